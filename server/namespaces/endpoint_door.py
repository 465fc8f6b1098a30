"""How sockets enter an endpoint of records, at its URL and in the namespace `/ce` (contracts records.md, mirrors.md).

Invariant: a socket joins the endpoint's room in the turn of the event loop in which its right to it was checked, and
with `since` in which it was told what it had missed.
"""

from collections.abc import Awaitable
from functools import partial
from typing import Any, NamedTuple

from server.actions import records
from server.actions.runner import Runner
from server.auth.visitors import Visitor
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, catch_up
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber


class Entered(NamedTuple):
    """The position from which events follow; `refresh` is true where the past that was asked for is gone."""

    position: int
    refresh: bool


class EndpointDoor:
    """Lets subscribers into the rooms of endpoints."""

    def __init__(self, relay: Relay, registry: Registry, runner: Runner, replay_limit: int) -> None:
        self.relay = relay
        self.registry = registry
        self.runner = runner
        self.replay_limit = replay_limit

    async def enter(
        self, subscriber: Subscriber, visitor: Visitor, name: str, since: int | None = None
    ) -> Entered | None:
        """Joins the room of an endpoint; None when the subscriber ended meanwhile. With `since`, first tells what was
        told there above that position, or a `refresh` where that is gone. Raises Refused or Unavailable."""
        if since is None:
            room = await self.relay.admit(lambda: self.runner.check_visitor(records.open_endpoint, visitor, name=name))
            return self.join(subscriber, room, Entered(self.relay.cursor, False))

        def read(cursor: int) -> Awaitable[Any]:
            most = self.replay_limit if cursor == since else None
            ask = partial(records.open_endpoint_since, name=name, cursor=cursor, chunk=CHUNK, most=most)
            return self.runner.ask_at(ask, visitor)

        def take(room: str, event: Any) -> None:
            if room in event.rooms and not subscriber.was_told(event):
                subscriber.write(event)

        room, gone = await catch_up(self.relay, subscriber, since, read, take)
        if gone:
            subscriber.tell("refresh", {"position": self.relay.cursor})
        return self.join(subscriber, room, Entered(self.relay.cursor if gone else since, gone))

    def join(self, subscriber: Subscriber, room: str, entered: Entered) -> Entered | None:
        if subscriber not in self.registry.subscribers:
            return None
        self.registry.join(subscriber, room, entered.position)
        return entered
