"""`/api/1/ce/<endpoint name>` as a WebSocket: every change of an endpoint's records (contract records.md).

Invariants: the upgrade always succeeds, since a browser can read a refusal only from a close; a socket joins its
room in the turn of the event loop in which its right to it was checked, and with `since` in which it was told what it
had missed; what the client sends is ignored."""

import uuid
from collections.abc import Awaitable
from functools import partial
from typing import Any

from aiohttp import hdrs, web

from server.actions import records
from server.actions.runner import Runner
from server.auth.visitors import Visitor
from server.delivery.raw_sockets import SocketLimits, accept, conversing
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, catch_up, position_of
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.delivery.wire import RECORDS_RAW, RECORDS_RAW_OFFSETS
from server.errors import CloseCode, Refused


class EndpointSocket:
    """The handler of upgrade requests to endpoints."""

    def __init__(
        self, relay: Relay, registry: Registry, runner: Runner, limits: SocketLimits, replay_limit: int
    ) -> None:
        self.relay = relay
        self.registry = registry
        self.runner = runner
        self.limits = limits
        self.replay_limit = replay_limit

    async def serve(self, request: web.Request) -> web.StreamResponse:
        link = await accept(request, self.limits)
        wire = RECORDS_RAW_OFFSETS if request.query.get("offsets") == "true" else RECORDS_RAW
        subscriber = Subscriber(self.registry.progress, str(uuid.uuid4()), None, wire, link)
        self.registry.add(subscriber)
        async with conversing(link, subscriber, self.registry):
            try:
                await self.enter(subscriber, request)
                async for _ in link.socket:
                    pass
            except Refused as error:
                link.close(CloseCode.ENDPOINT_REFUSED, str(error.detail))
        return link.socket

    async def enter(self, subscriber: Subscriber, request: web.Request) -> None:
        """Joins the room of the endpoint; raises Refused. There is no master key here: it is for servers."""
        visitor = Visitor(request.query.get("key"), request.headers.get(hdrs.ORIGIN))
        name = request.match_info["name"]
        if "since" in request.query:
            await self.enter_since(subscriber, visitor, name, position_of(request.query["since"]))
            return
        room = await self.relay.admit(lambda: self.runner.ask_at(records.open_endpoint, visitor, name=name))
        self.join(subscriber, room)

    async def enter_since(self, subscriber: Subscriber, visitor: Visitor, name: str, since: int) -> None:
        """Tells what the endpoint was told above a position first; where that is gone, a `refresh`."""

        def read(cursor: int) -> Awaitable[Any]:
            most = self.replay_limit if cursor == since else None
            ask = partial(records.open_endpoint_since, name=name, cursor=cursor, chunk=CHUNK, most=most)
            return self.runner.ask_at(ask, visitor)

        def take(room: str, event: Any) -> None:
            if room in event.rooms:
                subscriber.write(event)

        room, gone = await catch_up(self.relay, subscriber, since, read, take)
        if gone:
            subscriber.tell("refresh", {"position": self.relay.cursor})
        self.join(subscriber, room)

    def join(self, subscriber: Subscriber, room: str) -> None:
        if subscriber in self.registry.subscribers:
            self.registry.join(subscriber, room, self.relay.cursor)
