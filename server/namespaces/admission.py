"""How a socket of the database API enters its rooms and its pages: the same for raw sockets and Socket.IO.

Invariant: between the check of an entitlement and the join lies no change of entitlement, and the join happens in
the same turn of the event loop as the answer that promises it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from server.actions import pages
from server.actions.runner import Runner
from server.auth.actors import Credentials
from server.delivery.relay import Relay
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.encoding import encode
from server.errors import Refused, Unavailable

PARAMETERS = {"table": ("table_id",), "row": ("table_id", "row_id")}


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a frame names it; `parameters` are the declared ones, with the values and types that were sent."""

    name: str
    parameters: dict[str, Any]

    @property
    def key(self) -> bytes:
        """What makes two frames mean the same subscription: 6 and "6" are two, in one room."""
        return encode([self.name, self.parameters])


def read_page(name: str, frame: Mapping[str, Any]) -> Page | None:
    """The page of a frame; None when its name is unknown or a parameter is missing."""
    declared = PARAMETERS.get(name)
    if declared is None or not all(parameter in frame for parameter in declared):
        return None
    return Page(name, {parameter: frame[parameter] for parameter in declared})


class Admission:
    """Lets subscribers into rooms, and out."""

    def __init__(self, runner: Runner, relay: Relay, registry: Registry, max_pages: int) -> None:
        self.runner = runner
        self.relay = relay
        self.registry = registry
        self.max_pages = max_pages

    async def enter(self, subscriber: Subscriber, who: Credentials) -> None:
        """Registers a socket in the rooms of its user and of all the user's workspaces; raises Refused."""
        names = await self.relay.admit(lambda: self.runner.look_at(who, pages.core_rooms))
        assert who.claims is not None
        self.registry.identify(subscriber, who.claims.user_id)
        for name in names:
            self.registry.join(subscriber, name)

    async def add_page(self, subscriber: Subscriber, who: Credentials, page: Page) -> int | None:
        """Subscribes a page and returns the position from which its events follow; None when it is refused."""
        if len(subscriber.subscriptions) >= self.max_pages and page.key not in subscriber.subscriptions:
            return None

        try:
            subscription = await self.relay.admit(
                lambda: self.runner.look_at(who, pages.open_page, page=page.name, parameters=page.parameters)
            )
        except (Refused, Unavailable):
            return None
        if subscription is None or self.registry.subscribers.get(subscriber.sid) is not subscriber:
            return None
        subscriber.subscriptions[page.key] = subscription
        self.registry.join(subscriber, subscription.room)
        return self.relay.cursor

    def remove_page(self, subscriber: Subscriber, page: Page) -> None:
        """Ends a subscription; delivery ends even while another spelling of the same page stays listed."""
        subscription = subscriber.subscriptions.pop(page.key, None)
        if subscription is not None:
            self.registry.leave(subscriber, subscription.room)
