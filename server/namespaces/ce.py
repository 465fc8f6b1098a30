"""Namespace `/ce`: the records of endpoints over Socket.IO (contract mirrors.md).

A client needs no token to connect: its right is checked for each endpoint, as on the endpoint's own socket. Invariants:
each subscription is a subscriber of its own, so the end of an endpoint costs the client nothing else; nothing that a
client sends raises.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import socketio

from server.actions.endpoints import ENDPOINT_NAME
from server.delivery.engineio_socket import EngineSocket, Handshake
from server.delivery.replay import position_of
from server.delivery.rooms import Client, Registry
from server.delivery.socketio_server import UNAVAILABLE, SocketIOLink, SocketIOServer
from server.delivery.subscribers import Link, Subscriber
from server.delivery.wire import Frame, RecordsSocketIOWire
from server.errors import ENDPOINT_INVALID, TOO_MANY_ENDPOINTS, CloseCode, Refused, Unavailable
from server.metrics import Limit, met
from server.namespaces.endpoint_door import EndpointDoor, Entered


@dataclass(eq=False, slots=True)
class Watcher:
    """A connected client: how it came, and the endpoints that it hears by their names."""

    subscriber: Subscriber
    handshake: Handshake
    endpoints: dict[str, Subscriber] = field(default_factory=dict)


class EndpointLink(Link):
    """One endpoint on the connection of a client: its end is a message."""

    __slots__ = ("ended", "expiry", "name", "watcher", "wire")

    def __init__(self, watcher: Watcher, name: str, wire: RecordsSocketIOWire) -> None:
        self.watcher = watcher
        self.name = name
        self.wire = wire
        self.ended = False
        self.expiry: asyncio.TimerHandle | None = None

    def expire(self, expiry: asyncio.TimerHandle | None) -> None:
        """Ends with this timer, if any, and no longer with an earlier one."""
        if self.expiry is not None:
            self.expiry.cancel()
        self.expiry = expiry

    def write(self, frame: Frame) -> bool:
        return not self.ended and self.watcher.subscriber.link.write(frame)

    def backlog(self) -> int:
        return self.watcher.subscriber.link.backlog()

    @property
    def alive(self) -> bool:
        return not self.ended and self.watcher.subscriber.link.alive

    def close(self, code: int, reason: str) -> None:
        """Says that the endpoint has ended for the client; at a restart the whole connection ends."""
        if code == CloseCode.RESTART:
            self.watcher.subscriber.link.close(code, reason)
        elif not self.ended:
            self.write(self.wire.message("closed", {"code": int(code), "reason": reason}, 0))
            self.ended = True
            self.expire(None)
            self.watcher.endpoints.pop(self.name, None)


class RecordsNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Subscribing endpoints; `limit` is how many of them a client may hear at once."""

    def __init__(self, server: SocketIOServer, registry: Registry, door: EndpointDoor, limit: int) -> None:
        super().__init__("/ce")
        self.socketio = server
        self.registry = registry
        self.door = door
        self.limit = limit
        self.watchers: dict[str, Watcher] = {}
        self.wires: WeakValueDictionary[str, RecordsSocketIOWire] = WeakValueDictionary()

    async def enter(self, engine: EngineSocket, auth: Any) -> None:
        """Lets everybody in; whatever CONNECT carries is ignored."""
        sid = self.socketio.eio.generate_id()
        link = SocketIOLink(self.socketio, sid, engine, self.namespace)
        subscriber = Subscriber(self.registry.progress, sid, None, None, link)
        if self.socketio.welcome(engine, self.namespace, subscriber) is not None:
            self.registry.add(subscriber)
            self.watchers[sid] = Watcher(subscriber, engine.handshake)

    def left(self, client: Client, reason: str) -> None:
        """Forgets what a client heard."""
        watcher = self.watchers.pop(client.subscriber.sid, None)
        if watcher is not None:
            for name in list(watcher.endpoints):
                self.end(watcher, name)

    async def on_subscribe(self, sid: str, wanted: Any = None, *_: Any) -> dict[str, Any]:
        """Lets a client hear an endpoint; the answer names the position from which records follow. What is refused
        leaves what the client hears as it was."""
        name = name_of(wanted)
        try:
            entered = await self.subscribe(self.watchers[sid], name, wanted)
        except Refused as error:
            return refusal(name, CloseCode.ENDPOINT_REFUSED, str(error.detail))
        except Unavailable:
            entered = None
        if entered is None:
            return refusal(name, CloseCode.RESTART, UNAVAILABLE)
        answer = {"ok": True, "endpoint": name, "position": entered.position}
        return answer | {"refresh": True} if entered.refresh else answer

    async def subscribe(self, watcher: Watcher, name: str | None, wanted: Any) -> Entered | None:
        """Enters an endpoint; None when it ended meanwhile, or the client went. Raises Refused or Unavailable."""
        if name is None or not ENDPOINT_NAME.fullmatch(name):
            raise Refused(ENDPOINT_INVALID)
        if name not in watcher.endpoints and len(watcher.endpoints) >= self.limit:
            met(Limit.PAGES)
            raise Refused(TOO_MANY_ENDPOINTS)
        key, access_token, since = (wanted.get(name) for name in ("key", "accessToken", "since"))
        visitor = self.door.visitor(
            key if isinstance(key, str) else None,
            watcher.handshake.origin,
            access_token=access_token if isinstance(access_token, str) else None,
            authorization=watcher.handshake.authorization,
            cookies=watcher.handshake.cookie,
        )
        known = watcher.endpoints.get(name)
        subscriber = known if known is not None else self.open(watcher, name)
        try:
            entered = await self.door.enter(subscriber, visitor, name, None if since is None else position_of(since))
        except (Refused, Unavailable):
            if known is None:
                self.end(watcher, name)
            raise
        if entered is not None:
            link_of(subscriber).expire(entered.expiry)
        return entered

    def open(self, watcher: Watcher, name: str) -> Subscriber:
        """A subscriber for an endpoint, in no room yet. All of one endpoint share a wire, hence their frames."""
        wire = self.wires.get(name)
        if wire is None:
            wire = self.wires[name] = RecordsSocketIOWire(name)
        link = EndpointLink(watcher, name, wire)
        subscriber = watcher.endpoints[name] = Subscriber(
            self.registry.progress, watcher.subscriber.sid, None, wire, link
        )
        self.registry.add(subscriber)
        return subscriber

    def end(self, watcher: Watcher, name: str | None) -> None:
        """Ends the subscription of an endpoint without a word; harmless when there is none."""
        subscriber = watcher.endpoints.pop(name, None) if name is not None else None
        if subscriber is not None:
            link_of(subscriber).expire(None)
            self.registry.remove(subscriber)

    async def on_unsubscribe(self, sid: str, wanted: Any = None, *_: Any) -> dict[str, Any]:
        """Ends a subscription; harmless when there is none."""
        self.end(self.watchers[sid], name_of(wanted))
        return {"ok": True}


def link_of(subscriber: Subscriber) -> EndpointLink:
    """The link of a subscriber that was made here."""
    assert isinstance(subscriber.link, EndpointLink)
    return subscriber.link


def name_of(wanted: Any) -> str | None:
    """The endpoint that a client names; None for what is no text, or cannot be echoed."""
    name = wanted.get("endpoint") if isinstance(wanted, dict) else None
    return name if isinstance(name, str) and name.isprintable() else None


def refusal(name: str | None, code: CloseCode, reason: str) -> dict[str, Any]:
    return {"ok": False, "endpoint": name, "code": int(code), "reason": reason}
