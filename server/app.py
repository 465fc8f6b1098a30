"""Builds the application from its settings and wires its parts; nothing else knows all of them."""

import contextlib
import hashlib
from functools import partial

from aiohttp import web
from redis.exceptions import RedisError

from server import faults
from server.actions.files import Files
from server.actions.runner import Runner
from server.addresses import TRUSTED_PROXIES
from server.auth.origins import OriginRules
from server.auth.passwords import Passwords
from server.auth.tokens import Tokens
from server.delivery.bell import Bell, RedisBell, wake_others
from server.delivery.http_connections import HttpRunner
from server.delivery.limits import Limits
from server.delivery.outlet import Outlet
from server.delivery.presence import Presence
from server.delivery.redis_channels import RedisChannels
from server.delivery.relay import Relay
from server.delivery.rooms import Registry
from server.delivery.sessions import Sessions
from server.delivery.socketio_server import SocketIOServer
from server.delivery.websocket import WebSocketServer
from server.destinations import Destinations
from server.interpretation.service import Interpretations, Pace
from server.lifecycle import close_at_once, run_delivery, run_housekeeping, run_services
from server.metrics import Gauges
from server.namespaces.admission import Admission
from server.namespaces.ce import RecordsNamespace
from server.namespaces.core import CoreNamespace
from server.namespaces.core_socket import CoreDoors, CoreSocket
from server.namespaces.endpoint_door import EndpointDoor
from server.namespaces.endpoint_socket import EndpointSocket
from server.namespaces.event_stream import EventStream
from server.namespaces.events import EventsNamespace
from server.namespaces.events_socket import EventsSocket
from server.namespaces.session_namespace import Doors
from server.parts import (
    BELL,
    INTERPRETATIONS,
    OUTLET,
    PRESENCE,
    REGISTRY,
    RELAY,
    SESSIONS,
    SETTINGS,
    SOCKETIO,
    STORE,
    TOOLS,
    WEBHOOKS,
    WEBSOCKETS,
    Tools,
)
from server.rates import Rate
from server.rest import resources
from server.rest.access_log import access_log, mark_answer
from server.rest.context import OPTIONS, PASSWORDS, READINESS, RUNNER, SANDBOX, TOKENS, Readiness, RestOptions
from server.rest.events import EVENT_STREAM
from server.rest.failures import render_failures
from server.rest.files import FILES
from server.rest.item_files import DOCUMENT_CAME
from server.rest.logins import ATTEMPTS, LoginAttempts
from server.rest.metrics import GAUGES
from server.rest.middlewares import ORIGINS, cross_origin, screen
from server.rest.records import ENDPOINT_SOCKET
from server.rest.uploads import UPLOADS, UploadLimits
from server.rest.webhooks import DESTINATIONS
from server.sandbox.pool import Sandbox
from server.settings import Settings
from server.storage.opening import open_storage
from server.store.database import database_name
from server.store.log import LoggedEvent
from server.store.transaction import Store
from server.webhooks.sender import Sender
from server.webhooks.service import Patience, Webhooks

DOORS = ("/socket.io/", "/ws/core/", "/ws/events/")  # where WebSockets are opened by the thousand
PRESENCE_BACKLOG = 2048  # messages: a table's worth of people who come at once


def create_app(settings: Settings) -> web.Application:
    """The whole server as one aiohttp application; the database must be migrated."""
    faults.arm(settings.fault_points)
    app = web.Application(
        middlewares=[access_log, cross_origin, render_failures, screen],
        client_max_size=settings.max_body_size,
    )
    app.on_response_prepare.append(mark_answer)
    app[SETTINGS] = settings
    app[ORIGINS] = OriginRules(settings.public_url, settings.origins)
    app[TRUSTED_PROXIES] = settings.trusted_proxies
    wire_state(app, settings)
    wire_sockets(app, settings)
    app[GAUGES] = open_gauges(app)
    for table in resources.ALL:
        app.add_routes(table)
    app.cleanup_ctx.append(run_delivery)
    app.cleanup_ctx.append(run_housekeeping)
    app.cleanup_ctx.append(run_services)
    app.on_shutdown.append(close_at_once)
    return app


def wire_state(app: web.Application, settings: Settings) -> None:
    """The store, the runner, and what resources need."""
    tools = app[TOOLS] = open_tools(settings)
    store = tools.store
    registry = Registry(settings.max_connections_per_user)
    outlet = app[OUTLET] = Outlet()
    relay = Relay(store, registry, outlet, settings.poll_interval)
    bell = open_bell(settings, relay)
    webhooks = open_webhooks(app, settings, store)
    store.on_commit = partial(announce, bell, webhooks)
    relay.on_control = webhooks.notice
    app[STORE], app[REGISTRY], app[RELAY], app[BELL] = store, registry, relay, bell
    app[WEBHOOKS] = webhooks
    app[PRESENCE] = open_presence(settings)
    app[RUNNER] = Runner(store)
    app[TOKENS], app[PASSWORDS] = tools.tokens, tools.passwords
    app[SANDBOX] = Sandbox(settings.sandbox_workers)
    app[READINESS] = Readiness(lambda: bell.connected)
    app[OPTIONS] = RestOptions(
        settings.public_url,
        settings.signup_creates_workspace,
        settings.allow_signups,
        settings.body_timeout,
        settings.max_json_depth,
        settings.max_pages,
        settings.metrics_token,
    )
    app[FILES] = Files(store, tools.storage)
    app[UPLOADS] = UploadLimits(settings.max_file_size, settings.max_files, settings.max_uploads)
    pace = Pace(settings.interpretation_workers, settings.interpretation_timeout, settings.interpretation_interval)
    app[INTERPRETATIONS] = Interpretations(app[FILES], app[SANDBOX], pace, settings.foreign_environ)
    app[DOCUMENT_CAME] = app[INTERPRETATIONS].wake
    app[ATTEMPTS] = LoginAttempts(settings.login_window, settings.logins_per_account, settings.logins_per_address)


def open_tools(settings: Settings) -> Tools:
    """The database, tokens and passwords of these settings."""
    store = Store(
        settings.database_url,
        writers=settings.database_writers,
        readers=settings.database_readers,
        retries=settings.database_retries,
    )
    lifetimes = settings.access_token_lifetime, settings.refresh_token_lifetime
    tokens = Tokens(settings.secret_key, *lifetimes, settings.fallback_keys)
    return Tools(store, tokens, Passwords(), open_storage(settings.storage_url))


def announce(bell: Bell, webhooks: Webhooks, events: list[LoggedEvent]) -> None:
    """Tells those who wait for commits of this process."""
    bell.ring(events)
    webhooks.hear(events)


def open_webhooks(app: web.Application, settings: Settings, store: Store) -> Webhooks:
    """What tells the receivers of webhooks, and what decides where they may be."""
    destinations = app[DESTINATIONS] = Destinations(allow_private=settings.webhook_private_addresses)
    patience = Patience(settings.webhook_interval, settings.webhook_retry, settings.webhook_patience)
    return Webhooks(store, Sender(destinations, settings.webhook_timeout), patience, settings.webhook_concurrency)


def channel(settings: Settings, purpose: str) -> str:
    """A Redis channel for the processes of one database, since deployments may share a Redis."""
    digest = hashlib.sha256(database_name(settings.database_url).encode()).hexdigest()[:12]
    return f"roomcast:{purpose}:{digest}"


def open_bell(settings: Settings, relay: Relay) -> Bell:
    if settings.redis_url:
        return RedisBell(relay.hear, relay.wake, settings.redis_url, channel(settings, "bell"))
    return Bell(relay.hear, relay.wake)


async def wake_servers(settings: Settings) -> None:
    """Has the serving processes look at the log, where a command has changed something. Without Redis, and when it is
    away, they do so within `poll_interval`."""
    if settings.redis_url:
        with contextlib.suppress(RedisError):
            await wake_others(settings.redis_url, channel(settings, "bell"))


def open_presence(settings: Settings) -> Presence:
    """Presence with a connection to Redis of its own, so that its traffic never delays the bell."""
    if settings.redis_url:
        return Presence(RedisChannels(settings.redis_url, PRESENCE_BACKLOG), channel(settings, "presence"))
    return Presence()


def open_limits(settings: Settings) -> Limits:
    """What clients may have and say."""
    return Limits(
        per_address=settings.max_connections_per_address,
        connects=Rate.of(settings.connects_per_second, settings.connects_burst),
        events=Rate.of(settings.events_per_second, settings.events_burst),
        max_depth=settings.max_json_depth,
    )


def open_gauges(app: web.Application) -> Gauges:
    """What can be read of the running parts."""
    gauges, registry = Gauges(), app[REGISTRY]
    gauges.add("websockets", "open WebSockets", lambda: len(app[WEBSOCKETS]))
    gauges.add("engineio_connections", "Engine.IO connections", lambda: len(app[SOCKETIO].eio.sockets))
    gauges.add("subscribers", "connections that were let in", lambda: len(registry.subscribers))
    gauges.add("users", "users with a connection", lambda: len(registry.users))
    gauges.add("rooms", "rooms with somebody in them", lambda: len(registry.members))
    gauges.add("requests", "HTTP requests being answered", lambda: app[READINESS].running)
    gauges.add("sandbox_workers", "processes that evaluate expressions", lambda: app[SANDBOX].workers)
    gauges.add("log_position", "the last event told to connections", lambda: app[RELAY].cursor)
    gauges.add("accepting", "1 while the process takes traffic", lambda: app[READINESS].accepting)
    gauges.add("bell_connected", "1 while commits of other processes are heard of", lambda: app[BELL].connected)
    gauges.add("webhooks", "active webhooks of the database", lambda: app[WEBHOOKS].known)
    gauges.add("webhooks_served", "webhooks that are told, or tried again, here", lambda: len(app[WEBHOOKS]))
    gauges.add("interpreting", "documents that are interpreted here", lambda: len(app[INTERPRETATIONS]))
    return gauges


def make_runner(app: web.Application, **timeouts: float) -> HttpRunner:
    """What serves the application on listening sockets; `timeouts` are those of aiohttp, in seconds."""
    settings = app[SETTINGS]
    return HttpRunner(
        app,
        doors=DOORS,
        header_timeout=settings.header_timeout,
        max_header_size=settings.max_header_size,
        max_headers=settings.max_headers,
        **timeouts,
    )


def wire_sockets(app: web.Application, settings: Settings) -> None:
    """Socket.IO with its namespaces, and the raw sockets."""
    limits = open_limits(settings)
    registry, relay, runner, presence = app[REGISTRY], app[RELAY], app[RUNNER], app[PRESENCE]
    registry.left = presence.left
    origins = app[ORIGINS]
    admission = Admission(runner, relay, registry, settings.max_pages, settings.replay_limit)
    websockets = WebSocketServer(
        app[OUTLET],
        heartbeat=settings.heartbeat,
        max_frame_size=settings.max_frame_size,
        send_buffer_limit=settings.send_buffer_limit,
        limits=limits,
    )
    server = SocketIOServer(
        registry,
        websockets=websockets,
        redis_url=settings.redis_url,
        channel=channel(settings, "socketio"),
        origins=origins,
        transports=["polling", "websocket"] if may_poll(settings) else ["websocket"],
        ping_interval=settings.ping_interval,
        ping_timeout=settings.ping_timeout,
        connect_timeout=settings.connect_timeout,
        async_handlers=False,  # the frames of one client are handled in the order in which they came
    )
    sessions = Sessions(app[STORE], registry, lifetime=settings.session_lifetime, replay_limit=settings.replay_limit)
    doors = Doors(server, registry, relay, runner, sessions, app[TOKENS], origins, settings.socketio_recovery)
    server.register_namespace(CoreNamespace(doors, admission, presence))
    server.register_namespace(EventsNamespace(doors, admission))
    endpoint_door = EndpointDoor(relay, registry, runner, app[TOKENS], settings.replay_limit)
    server.register_namespace(RecordsNamespace(server, registry, endpoint_door, settings.max_pages))
    server.attach(app)
    app[SOCKETIO], app[SESSIONS], app[WEBSOCKETS] = server, sessions, websockets
    app[ENDPOINT_SOCKET] = EndpointSocket(endpoint_door, websockets).serve
    app[EVENT_STREAM] = EventStream(admission, limits, settings.send_buffer_limit, settings.stream_heartbeat).serve
    app.router.add_get("/ws/events/", EventsSocket(app[TOKENS], origins, admission, websockets).serve)
    core_doors = CoreDoors(app[TOKENS], origins, admission, presence, websockets)
    app.router.add_get("/ws/core/", CoreSocket(core_doors).serve)


def may_poll(settings: Settings) -> bool:
    """Long-polling needs every request of a client to reach the same process."""
    return settings.polling_affinity or not settings.several_processes
