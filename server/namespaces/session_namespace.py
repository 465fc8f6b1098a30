"""What the namespaces have in common: how a client enters, comes back to its session, and leaves.

Invariants: between the check of an entitlement and the join lies no change of entitlement, and the join happens in the
turn of the event loop that answers the CONNECT, or where a recovered client meets the relay; what a client changes on
a connection that recovers is durable before it is acknowledged; nothing that a client sends raises.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import socketio

from server.actions.runner import Runner
from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Claims, Tokens
from server.delivery.engineio_socket import EngineSocket
from server.delivery.entitlements import close
from server.delivery.relay import Relay
from server.delivery.replay import meet, position_of
from server.delivery.rooms import Client, Registry
from server.delivery.sessions import Recovery, Sessions
from server.delivery.socketio_server import SocketIOLink, SocketIOServer
from server.delivery.subscribers import Session, Subscriber
from server.delivery.wire import SocketIOWire
from server.errors import CloseCode, Unavailable
from server.namespaces.handshake import token_of

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

    def __init__(self, name: str, doors: Doors) -> None:
        super().__init__(name)
        self.doors = doors
        self.registry, self.relay, self.runner = doors.registry, doors.relay, doors.runner

    async def find_rooms(self, who: Credentials) -> tuple[list[str], int]:
        """The rooms that a new connection joins, and the log position of the answer; raises Refused."""
        raise NotImplementedError

    def recovered(self, subscriber: Subscriber) -> None:
        """Called when a client that came back has been told what it missed."""

    def entered(self, client: Client, who: Credentials) -> None:
        """Called when a client was let in."""

    async def enter(self, engine: EngineSocket, auth: Any) -> None:
        """Lets a client with a good token in (contract mirrors.md, items.md); raises Refused, TooMany or
        Unavailable."""
        token = token_of(engine.handshake, auth, self.doors.origins)
        who = Credentials(self.doors.tokens.read_access(token, clients=self.clients_welcome))
        assert who.claims is not None
        rooms = await self.relay.admit(partial(self.find_rooms, who))
        self.registry.seat(who.claims.user_id)
        position = self.relay.cursor
        places = dict.fromkeys(rooms, position)
        recovers = self.doors.recover_all or (
            isinstance(auth, dict) and (auth.get("recovery") is True or "pid" in auth)
        )
        if recovers:
            await self.recover(engine, who, auth, places, position)
            return
        subscriber = self.subscriber(engine, self.doors.server.eio.generate_id(), who.claims, self.wires[0])
        client = self.doors.server.welcome(engine, self.namespace, subscriber)
        if client is not None:
            self.registry.add(subscriber)
            for room, start in places.items():
                self.registry.join(subscriber, room, start)
            self.let_in(client, who)

    async def recover(
        self, engine: EngineSocket, who: Credentials, auth: Any, places: dict[str, int], position: int
    ) -> None:
        """Lets a client in with its session, or with a new one where it cannot be recovered."""
        assert who.claims is not None
        server, user_id = self.doors.server, who.claims.user_id
        found = None
        if isinstance(auth, dict) and isinstance(auth.get("pid"), str):
            offset = position_of(auth["offset"]) if auth.get("offset") is not None else None
            found = await self.doors.sessions.take(self.namespace, user_id, auth["pid"], offset)
        if found is None:
            sid = server.eio.generate_id()
            found = await self.doors.sessions.begin(self.namespace, user_id, sid, places, position)
        subscriber = self.subscriber(engine, found.sid, who.claims, self.wires[1])
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

    def subscriber(self, engine: EngineSocket, sid: str, claims: Claims, wire: SocketIOWire) -> Subscriber:
        link = SocketIOLink(self.doors.server, sid, engine, self.namespace)
        subscriber = Subscriber(self.registry.progress, sid, claims.user_id, wire, link)
        subscriber.jti = claims.jti
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
        except Unavailable:
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
