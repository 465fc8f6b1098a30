"""What the namespaces have in common: how a client enters, comes back to its session, and leaves.

Invariants: between the check of an entitlement and the join lies no change of entitlement, and the join happens in the
turn of the event loop that answers the CONNECT, or where a recovered client meets the relay; what a client changes on
a connection that recovers is durable before it is acknowledged; nothing that a client sends raises.
"""

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import socketio

from server.actions.runner import Action, Runner, acting
from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Claims, Tokens
from server.delivery.engineio_socket import EngineSocket
from server.delivery.entitlements import close
from server.delivery.relay import Relay
from server.delivery.replay import meet, position_of
from server.delivery.rooms import Client, Registry
from server.delivery.sessions import Known, Names, Recovery, Resumption, Sessions
from server.delivery.socketio_server import SocketIOLink, SocketIOServer
from server.delivery.subscribers import KEPT_ENDINGS, Session, Subscriber
from server.delivery.wire import SocketIOWire
from server.errors import CloseCode, Unavailable
from server.namespaces.handshake import token_of

PID = re.compile(r"[A-Za-z0-9_-]{1,43}")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Doors:
    """What namespaces need to let clients in; `recover_all` is true where every connection recovers."""

    server: SocketIOServer
    registry: Registry
    relay: Relay
    runner: Runner
    sessions: Sessions
    tokens: Tokens
    origins: OriginRules
    recover_all: bool


class SessionNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """A namespace whose clients carry an access token and may come back to their session."""

    wires: tuple[SocketIOWire, SocketIOWire]  # without and with recovery
    clients_welcome = False  # whether tokens of clients are taken (contract items.md)

    def __init__(self, name: str, doors: Doors, find_rooms: Action[[], Mapping[str, int]]) -> None:
        """`find_rooms` gives the rooms that a new connection joins: name -> where the entitlement began."""
        super().__init__(name)
        self.doors = doors
        self.find_rooms = find_rooms
        self.registry, self.relay, self.runner = doors.registry, doors.relay, doors.runner

    def recovered(self, subscriber: Subscriber) -> None:
        """Called when a client that came back has been told what it missed."""

    def entered(self, client: Client, who: Credentials) -> None:
        """Called when a client was let in."""

    async def enter(self, engine: EngineSocket, auth: Any) -> None:
        """Lets a client with a good token in (contract mirrors.md, items.md); raises Refused, TooMany or
        Unavailable."""
        token = token_of(engine.handshake, auth, self.doors.origins)
        claims = self.doors.tokens.read_access(token, clients=self.clients_welcome)
        who = Credentials(claims)
        if self.doors.recover_all or asks_to_recover(auth):
            with self.registry.held_seat(claims.user_id):
                fresh = Names.fresh()
                found = await self.open_session(who, fresh, known_of(auth))
                if found.sid != fresh.sid or self.relay.last_control > found.offset:
                    await self.recover(engine, who, found)
                else:  # it has missed nothing, and lost no room
                    self.join(engine, who, self.subscriber(engine, found.sid, claims, found), found.state.rooms)
        else:
            rooms = await self.relay.admit(partial(self.runner.check, who, self.find_rooms))
            self.registry.seat(claims.user_id)
            sid = self.doors.server.eio.generate_id()
            self.join(engine, who, self.subscriber(engine, sid, claims, None), rooms)

    def join(self, engine: EngineSocket, who: Credentials, subscriber: Subscriber, rooms: Iterable[str]) -> None:
        """Lets a client in that hears these rooms from now on."""
        client = self.doors.server.welcome(engine, self.namespace, subscriber)
        if client is not None:
            self.registry.add(subscriber)
            for room in rooms:
                self.registry.join(subscriber, room, self.relay.cursor)
            self.let_in(client, who)

    async def open_session(self, who: Credentials, fresh: Names, known: Known | None) -> Resumption:
        """The session that a client comes back to, or a new one. The relay has then come to where it was checked."""
        assert who.claims is not None
        entitled = acting(who, self.find_rooms)
        found = await self.doors.sessions.open(self.namespace, who.claims.user_id, entitled, fresh, known)
        await self.relay.reached(found.checked)
        return found

    async def recover(self, engine: EngineSocket, who: Credentials, found: Resumption) -> None:
        """Lets a client in with its session, and tells it what that missed."""
        assert who.claims is not None
        server = self.doors.server
        subscriber = self.subscriber(engine, found.sid, who.claims, found)
        recovery = Recovery(self.relay, subscriber, found)
        client = server.welcome(engine, self.namespace, subscriber)
        if client is None:
            return
        self.let_in(client, who)
        client.resuming = asyncio.Event()
        try:
            await recovery.run(lambda: server.manager.clients.get(subscriber.sid) is client)
        except Exception as error:  # the client is welcome already: it must not stay and hear nothing
            if not isinstance(error, Unavailable):
                logger.exception("a session could not be recovered")
            subscriber.link.close(CloseCode.RESTART, "not recovered")
        finally:
            client.resuming.set()
            client.resuming = None
        if self.is_here(subscriber):
            self.recovered(subscriber)

    def subscriber(self, engine: EngineSocket, sid: str, claims: Claims, found: Resumption | None) -> Subscriber:
        """The connection of a client, with the session that was found or begun for it, if any."""
        link = SocketIOLink(self.doors.server, sid, engine, self.namespace)
        wire = self.wires[found is not None]
        subscriber = Subscriber(self.registry.progress, sid, claims.user_id, wire, link)
        subscriber.jti = claims.jti
        if found is not None:
            subscriber.session = found.session
            subscriber.ended = deque(found.state.ended, maxlen=KEPT_ENDINGS)
        return subscriber

    def let_in(self, client: Client, who: Credentials) -> None:
        """Keeps who it is; from now on the session ends through the log."""
        client.credentials = who.admitted()
        self.entered(client, who)

    def client(self, sid: str) -> tuple[Subscriber, Credentials]:
        """A connected client and who it is."""
        found: Client = self.doors.server.manager.clients[sid]
        assert found.credentials is not None
        return found.subscriber, found.credentials

    def is_here(self, subscriber: Subscriber) -> bool:
        """False when the connection ended while something was awaited."""
        return subscriber in self.registry.subscribers

    async def keep(self, subscriber: Subscriber) -> bool:
        """Makes a change of what a recovering connection hears durable; False where that is no longer its business."""
        if subscriber.session is None:
            return True
        try:
            kept = await self.doors.sessions.keep(subscriber)
        except Exception as error:  # whatever it is, the connection must not stay behind
            if not isinstance(error, Unavailable):
                logger.exception("a session could not be kept")
            kept = False
        if not kept and self.is_here(subscriber):  # it comes back, and finds what was kept last
            close(self.registry, subscriber, CloseCode.RESTART, "session not kept")
        return kept

    async def settle(self, subscriber: Subscriber) -> bool:
        """As `keep`, for a connection that has just joined something: it hears nothing more until the caller has said
        so and lets it `resume_soon`."""
        if subscriber.session is not None:
            self.resume(subscriber)  # what the last settling left for later
            subscriber.behind = self.relay.cursor
        return await self.keep(subscriber)

    def resume_soon(self, subscriber: Subscriber) -> None:
        """Lets a connection that settled hear what was told meanwhile, after the acknowledgement, which is written in
        this turn of the event loop when the handler returns: it names the position from which events follow."""
        client = self.doors.server.manager.clients.get(subscriber.sid)
        if subscriber.session is not None and client is not None and client.subscriber is subscriber:
            client.resume = asyncio.get_running_loop().call_soon(self.resume, subscriber)

    def resume(self, subscriber: Subscriber) -> None:
        """Lets a connection that settled be live, if it is not."""
        client = self.doors.server.manager.clients.get(subscriber.sid)
        if client is None or client.resume is None or client.subscriber is not subscriber:
            return
        client.resume.cancel()
        client.resume = None
        if not meet(self.relay, subscriber):
            close(self.registry, subscriber, CloseCode.RESTART, "history is gone")

    def left(self, client: Client, reason: str) -> None:
        """Forgets the session of a client that left of its own will."""
        session, server = client.subscriber.session, self.doors.server
        if session is not None and reason == server.reason.CLIENT_DISCONNECT:
            server.eio.spawn(self.end(session))

    async def end(self, session: Session) -> None:
        with contextlib.suppress(Unavailable):  # then it expires
            await self.doors.sessions.end(session)


def asks_to_recover(auth: Any) -> bool:
    """Whether a client wants to come back to its session, or to have one."""
    return isinstance(auth, dict) and (auth.get("recovery") is True or "pid" in auth)


def known_of(auth: Any) -> Known | None:
    """The session that a client says it has."""
    if not isinstance(auth, dict) or not isinstance(pid := auth.get("pid"), str) or not PID.fullmatch(pid):
        return None
    offset = auth.get("offset")
    return Known(pid, position_of(offset) if offset is not None else None)
