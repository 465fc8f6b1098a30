"""Connections as the relay sees them: something in rooms to which frames are written, whatever carries them.

Invariants: writing never waits, so a delivery to a room is one uninterrupted turn of the event loop; a reader whose
unsent bytes pass the limit is cut; a subscriber that is `behind` gets no event from the relay, but its own from the
log, until it has met the relay (`delivery/replay.py`).
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from server.delivery.outlet import Writable
from server.delivery.wire import Frame, Wire
from server.events.subscription import Subscription
from server.store.log import LoggedEvent

KEPT_ENDINGS = 50  # ended subscriptions that a session remembers: more than a client can miss before it is cut


class Link(ABC):
    """The transport of one connection."""

    __slots__ = ()

    @abstractmethod
    def write(self, frame: Frame) -> bool:
        """Queues a frame; False when the connection is gone or had to be cut."""

    @property
    def socket(self) -> Writable | None:
        """The WebSocket to which frames go as they are; None where they take another way, if only for now."""
        return None

    @abstractmethod
    def backlog(self) -> int:
        """Bytes that wait to be sent; 0 when the connection is gone."""

    @property
    @abstractmethod
    def alive(self) -> bool:
        """False when nothing can be sent any more."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Ends the connection after what was written; does not wait."""


class Progress:
    """How far the relay of this process has come: the log position up to which live connections were told. `changed`
    is called when a connection is from now on told in another way, or not."""

    __slots__ = ("changed", "position")

    def __init__(self, changed: "Callable[[Subscriber], None]") -> None:
        self.position = 0
        self.changed = changed


@dataclass(frozen=True, slots=True)
class Session:
    """What a connection knows of the session that it holds: its public id, and the how-manieth connection it is."""

    pid: str
    generation: int


class Subscriber:
    """One connection: who it is, what it hears, and how its frames are made.

    `sid` is the `web_socket_id` or the Socket.IO sid, which requests name in their `WebSocketId` header. `rooms` says
    for each room above which log position the connection has been told its events. `behind` is the position of a
    connection that has not met the relay yet, None when it has."""

    __slots__ = (
        "__weakref__",
        "_behind",
        "_wire",
        "ended",
        "jti",
        "link",
        "progress",
        "rooms",
        "session",
        "sid",
        "subscriptions",
        "user_id",
    )

    def __init__(self, progress: Progress, sid: str, user_id: int | None, wire: Wire | None, link: Link) -> None:
        self.progress = progress
        self.sid = sid
        self.user_id = user_id
        self._wire = wire
        self.link = link
        self.rooms: dict[str, int] = {}
        self.subscriptions: dict[Any, Subscription] = {}
        self._behind: int | None = None
        self.jti = ""  # of the token with which it came
        self.session: Session | None = None
        self.ended: deque[tuple[int, Subscription]] | None = None

    @property
    def wire(self) -> Wire | None:
        """How its frames are made; None for a connection that is told nothing."""
        return self._wire

    @wire.setter
    def wire(self, wire: Wire | None) -> None:
        self._wire = wire
        self.progress.changed(self)

    @property
    def behind(self) -> int | None:
        return self._behind

    @behind.setter
    def behind(self, position: int | None) -> None:
        self._behind = position
        self.progress.changed(self)

    @property
    def position(self) -> int:
        """How far this connection has been told."""
        return self.progress.position if self.behind is None else self.behind

    def tell(self, kind: str, body: Any) -> None:
        """Sends an ephemeral message, one that is not in the log."""
        if self.wire is not None:
            self.link.write(self.wire.message(kind, body, self.position))

    def was_told(self, event: LoggedEvent) -> bool:
        """True where the event was sent to this connection already."""
        return event.id <= self.position and self.hears(event)

    def hears(self, event: LoggedEvent) -> bool:
        """True where the connection is in a room of the event, since before it happened, and did not cause it."""
        rooms = self.rooms
        return any(rooms[room] < event.id for room in event.rooms if room in rooms) and not self.caused(event)

    def caused(self, event: LoggedEvent) -> bool:
        """True for the acting user's own socket, which is left out (contract database.md, g)."""
        return event.origin is not None and event.origin == (self.user_id, self.sid)

    def write(self, event: LoggedEvent, position: int | None = None) -> None:
        """Sends an event to this connection alone, marked with another position where one is given."""
        if self.wire is not None:
            marked = event if position is None else event._replace(id=position)
            self.link.write(self.wire.event(marked))

    def discard(self, subscription: Subscription) -> None:
        """Says that a subscription has ended; a session keeps in mind where, for a client that did not hear it."""
        if self.ended is not None:
            self.ended.append((self.position, subscription))
        if self.wire is not None:
            self.tell(*self.wire.discarded(subscription))

    def wants(self, holds: Callable[[Subscription], bool]) -> list[Any]:
        """Keys of the subscriptions for which `holds` is true."""
        return [key for key, subscription in self.subscriptions.items() if holds(subscription)]
