"""How a socket enters what it asks for: pages of the database API, the selected workspace, rooms of a stream.

Invariant: between the check of an entitlement and the join lies no change of entitlement, and the join happens in
the same turn of the event loop as the answer that promises it; with `since`, what was missed is told before.
"""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from server.actions import pages
from server.actions.pages import Find, Heard
from server.actions.runner import Runner
from server.auth.actors import Credentials
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, catch_up, position_of
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.encoding import encode
from server.errors import Refused, Unavailable
from server.metrics import Limit, met

PARAMETERS = {"table": ("table_id",), "row": ("table_id", "row_id")}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a frame names it; `parameters` are the declared ones, with the values and types that were sent."""

    name: str
    parameters: dict[str, Any]

    @property
    def key(self) -> str:
        """What makes two frames mean the same subscription: 6 and "6" are two, in one room."""
        return encode([self.name, self.parameters]).decode()


def read_page(name: str, frame: Mapping[str, Any]) -> Page | None:
    """The page of a frame; None when its name is unknown or a parameter is missing."""
    declared = PARAMETERS.get(name)
    if declared is None or not all(parameter in frame for parameter in declared):
        return None
    return Page(name, {parameter: frame[parameter] for parameter in declared})


@dataclass(frozen=True, slots=True)
class Opened:
    """What a socket hears from now on: the position from which events follow; `refresh` is true where the past that
    it asked for is gone, so that it has to read anew."""

    subscriptions: Heard
    position: int
    refresh: bool


class Admission:
    """Lets subscribers into rooms, and out."""

    def __init__(self, runner: Runner, relay: Relay, registry: Registry, max_pages: int, replay_limit: int) -> None:
        self.runner = runner
        self.relay = relay
        self.registry = registry
        self.max_pages = max_pages
        self.replay_limit = replay_limit

    async def enter(self, subscriber: Subscriber, who: Credentials) -> None:
        """Registers a socket in the rooms of its user and of all the user's workspaces; raises Refused or TooMany."""
        names = await self.relay.admit(lambda: self.runner.check(who, pages.core_rooms))
        assert who.claims is not None
        self.registry.seat(who.claims.user_id)
        subscriber.user_id, subscriber.jti = who.claims.user_id, who.claims.jti
        self.registry.add(subscriber)
        for name in names:
            self.registry.join(subscriber, name, self.relay.cursor)

    async def open(self, subscriber: Subscriber, who: Credentials, find: Find, since: Any = None) -> Opened:
        """Checks what `find` finds for the socket's user and, with `since`, tells what was missed. The caller must join
        what it gets without awaiting. Raises Refused or Unavailable."""
        if since is None:
            found = await self.relay.admit(lambda: self.runner.check(who, find))
            return Opened(found, self.relay.cursor, False)
        cursor = position_of(since)

        def read(at: int) -> Awaitable[Any]:
            most = self.replay_limit if at == cursor else None
            return self.runner.look_at(who, pages.with_history, find=find, cursor=at, chunk=CHUNK, most=most)

        take = partial(tell_missed, subscriber)
        found, gone = await catch_up(self.relay, subscriber, cursor, read, take)
        return Opened(found, self.relay.cursor if gone else cursor, gone)

    def join(self, subscriber: Subscriber, key: str, opened: Opened) -> bool:
        """Joins the one thing that was opened; False where there is none, or the socket has gone meanwhile."""
        if not opened.subscriptions or subscriber not in self.registry.subscribers:
            return False
        self.registry.subscribe(subscriber, key, opened.subscriptions[0], opened.position)
        return True

    async def add_page(self, subscriber: Subscriber, who: Credentials, page: Page, since: Any = None) -> Opened | None:
        """Subscribes a page; None when it is refused."""
        if len(subscriber.subscriptions) >= self.max_pages and page.key not in subscriber.subscriptions:
            met(Limit.PAGES)
            return None
        find = partial(pages.find_page, page=page.name, parameters=page.parameters)
        try:
            opened = await self.open(subscriber, who, find, since)
        except (Refused, Unavailable):
            return None
        return opened if self.join(subscriber, page.key, opened) else None

    def remove_page(self, subscriber: Subscriber, page: Page) -> None:
        """Ends a subscription; delivery ends even while another spelling of the same page stays listed."""
        self.registry.unsubscribe(subscriber, page.key)


def tell_missed(subscriber: Subscriber, found: Heard, event: Any) -> None:
    """Tells an event of what is being opened, unless the socket got it in another room. A connection that recovers has
    one offset for all its rooms, which older events must not turn back."""
    wanted = any(subscription.room in event.rooms for subscription in found)
    if wanted and not subscriber.was_told(event) and not subscriber.caused(event):
        subscriber.write(event, subscriber.position if subscriber.session is not None else None)
