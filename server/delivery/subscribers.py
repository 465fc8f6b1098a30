"""Connections as the relay sees them: something in rooms to which frames are written, whatever carries them.

Invariants: writing never waits, so a delivery to a room is one uninterrupted turn of the event loop; a reader whose
unsent bytes pass the limit is cut; between `hold` and `release` frames are kept back, in order, so that a reply
that promises them comes first.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from server.delivery.wire import Frame, Wire
from server.events.subscription import Subscription


class Link(ABC):
    """The transport of one connection."""

    __slots__ = ()

    @abstractmethod
    def write(self, frame: Frame) -> bool:
        """Queues a frame; False when the connection is gone or had to be cut."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Ends the connection after what was written; does not wait."""


class Subscriber:
    """One connection: who it is, what it hears, and how its frames are made.

    `sid` is the `web_socket_id` or the Socket.IO sid, which requests name in their `WebSocketId` header."""

    __slots__ = ("__weakref__", "_held", "link", "rooms", "sid", "subscriptions", "user_id", "wire")

    def __init__(self, sid: str, user_id: int | None, wire: Wire | None, link: Link) -> None:
        self.sid = sid
        self.user_id = user_id
        self.wire = wire
        self.link = link
        self.rooms: set[str] = set()
        self.subscriptions: dict[Any, Subscription] = {}
        self._held: list[Frame] | None = None

    def send(self, frame: Frame) -> bool:
        """Writes a frame, or keeps it while held; False when the connection is gone."""
        if self._held is not None:
            self._held.append(frame)
            return True
        return self.link.write(frame)

    def tell(self, kind: str, message: dict[str, Any]) -> None:
        """Sends an ephemeral message, one that is not in the log."""
        if self.wire is not None:
            self.send(self.wire.message(kind, message))

    def hold(self) -> None:
        """Keeps frames back until `release`."""
        self._held = []

    def release(self) -> None:
        """Writes what was kept back, in order, and ends holding."""
        held, self._held = self._held, None
        for frame in held or ():
            self.link.write(frame)

    def wants(self, holds: Callable[[Subscription], bool]) -> list[Any]:
        """Keys of the subscriptions for which `holds` is true."""
        return [key for key, subscription in self.subscriptions.items() if holds(subscription)]
