"""How sockets enter an endpoint of records, at its URL and in the namespace `/ce` (contracts records.md, mirrors.md).

Invariant: a socket joins the endpoint's room in the turn of the event loop in which its right to it was checked, and
with `since` in which it was told what it had missed.
"""

import asyncio
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any, NamedTuple

from server.actions import record_sockets
from server.actions.record_sockets import Heard
from server.actions.runner import Runner
from server.auth.tokens import Tokens
from server.auth.visitors import COOKIE, Visitor
from server.delivery.entitlements import close
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, catch_up
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.errors import TOKEN_EXPIRED, CloseCode
from server.namespaces.handshake import bare, cookie_of


class Entered(NamedTuple):
    """The position from which events follow; `refresh` is true where the past that was asked for is gone. `expiry` ends
    the subscriber with its token; whoever ends it before cancels that."""

    position: int
    refresh: bool
    expiry: asyncio.TimerHandle | None = None


class EndpointDoor:
    """Lets subscribers into the rooms of endpoints."""

    def __init__(self, relay: Relay, registry: Registry, runner: Runner, tokens: Tokens, replay_limit: int) -> None:
        self.tokens = tokens
        self.relay = relay
        self.registry = registry
        self.runner = runner
        self.replay_limit = replay_limit

    def visitor(
        self, key: str | None, origin: str | None, *, access_token: str | None, authorization: str, cookies: str
    ) -> Visitor:
        """Who opens a socket, by what it says itself and by the headers of its handshake. There is no master key here:
        it is for servers."""
        brought, added = access_token or bare(authorization), cookie_of(cookies, COOKIE)
        read = self.tokens.read_record_user
        return Visitor(key, origin, None, read(brought) if brought else None, read(added) if added else None)

    async def enter(
        self, subscriber: Subscriber, visitor: Visitor, name: str, since: int | None = None
    ) -> Entered | None:
        """Joins the rooms of an endpoint; None when the subscriber ended meanwhile. With `since`, first tells what was
        told there above that position, or a `refresh` where that is gone. Raises Refused or Unavailable."""
        if since is None:
            ask = partial(self.runner.check_visitor, record_sockets.open_endpoint, visitor, name=name)
            heard = await self.relay.admit(ask)
            return self.join(subscriber, heard, Entered(self.relay.cursor, False))

        def read(cursor: int) -> Awaitable[Any]:
            most = self.replay_limit if cursor == since else None
            ask = partial(record_sockets.open_endpoint_since, name=name, cursor=cursor, chunk=CHUNK, most=most)
            return self.runner.ask_at(ask, visitor)

        def take(heard: Heard, event: Any) -> None:
            if heard.room in event.rooms and not subscriber.was_told(event):
                subscriber.write(event)

        heard, gone = await catch_up(self.relay, subscriber, since, read, take)
        if gone:
            subscriber.tell("refresh", {"position": self.relay.cursor})
        return self.join(subscriber, heard, Entered(self.relay.cursor if gone else since, gone))

    def join(self, subscriber: Subscriber, heard: Heard, entered: Entered) -> Entered | None:
        """Has a subscriber in these rooms and no others: it may have come as somebody else before."""
        if subscriber not in self.registry.subscribers:
            return None
        wanted = (heard.room, *heard.endings)
        for room in subscriber.rooms.keys() - set(wanted):
            self.registry.leave(subscriber, room)
        for room in wanted:
            self.registry.join(subscriber, room, entered.position)
        if heard.user is None:
            return entered
        subscriber.jti = heard.user.jti
        left = max(heard.user.expires_at - time.time(), 0)
        end = asyncio.get_running_loop().call_later
        words = CloseCode.GOODBYE, TOKEN_EXPIRED.detail
        return entered._replace(expiry=end(left, close, self.registry, subscriber, *words))
