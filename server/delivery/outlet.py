"""What is written to WebSockets in one turn of the event loop, and sent at its end.

Invariants: each socket gets what was written to it in that order, in one write; what many sockets are to get alike is
joined once for all of them. What goes to the same audience stays one list until it is sent, and costs each socket
nothing but the kernel's work; only where audiences of one turn differ is it put together socket by socket. A socket
whose earlier bytes still wait, or that is being closed, is left to its transport: nothing overtakes them. A descriptor
is written to until its connection is lost, and closed only after that, so it is never somebody else's.
"""

import asyncio
import logging
from array import array
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeAlias

from server import faults
from server.delivery import sending
from server.delivery.sending import Slot

FEW = 4  # sockets for which one call is not worth its preparation
logger = logging.getLogger(__name__)


class Writable(Protocol):
    """A socket with frames to send."""

    transport: asyncio.Transport
    slot: Slot  # of its descriptor, which is -1 while only the transport may write
    frames: tuple[bytes, ...]  # written in this turn to this socket alone

    def put(self, data: bytes) -> None:
        """Gives bytes to the transport, which sends them as soon as it can; drops them when the socket has ended."""


class Crowd:
    """Sockets that are told alike, arranged for the loop in C once for many events."""

    __slots__ = ("slots", "sockets")

    def __init__(self, sockets: Iterable[Writable]) -> None:
        self.sockets = list(sockets)
        self.slots = array("i", [socket.slot.number for socket in self.sockets])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crowd) and self.slots == other.slots

    def write(self, data: bytes, without: Collection[Writable] = ()) -> None:
        """Sends the same to all but some, who need not be in the crowd; one broken socket must not cost the others
        their event."""
        if len(self.sockets) < FEW or sending.send_to_slots is None:
            for socket in self.sockets:
                if socket not in without:
                    put(socket, data)
            return
        apart = [(socket.slot, socket.slot.descriptor) for socket in without]
        for slot, _ in apart:
            slot.descriptor = -1  # which the loop passes over, and names with those that did not take everything
        try:
            short = sending.send(data, self.slots)
        finally:
            for slot, descriptor in apart:
                slot.descriptor = descriptor
        for place, sent in short:
            socket = self.sockets[place]
            if socket not in without:
                put(socket, data[sent:])


def put(socket: Writable, data: bytes) -> None:
    try:
        socket.put(data)
    except Exception:
        logger.exception("a socket could not be written to")
        socket.transport.abort()


Audience: TypeAlias = Sequence[Crowd]  # no socket is in two


class Outlet:
    """The frames of this turn."""

    def __init__(self) -> None:
        self._due = False
        self._audience: Audience = ()  # what was told to it stands in `_told`, for each of its crowds
        self._told: list[list[bytes]] = []
        self._untold: dict[Writable, set[int]] = {}  # which of that some sockets are not told
        self._waiting: list[Writable] = []  # sockets with frames of their own
        self._scattered = False  # what audiences are told goes to the frames of their sockets

    def add(self, socket: Writable, frame: bytes) -> None:
        """Sends a frame to one socket."""
        if self._told:
            self.flush()
        if not self._due:
            self._schedule()
        self._append(socket, (frame,))

    def tell(self, audience: Audience, frames: Sequence[bytes], without: Collection[Writable] = ()) -> None:
        """Sends each crowd of an audience its frame, but for some sockets, which may be in none."""
        if self._waiting and not self._scattered:
            self.flush()
        if not self._due:
            self._schedule()
        if self._told and audience is not self._audience and audience != self._audience:
            self._scatter()
        if self._scattered:
            for crowd, frame in zip(audience, frames, strict=True):
                one = (frame,)
                for socket in crowd.sockets:
                    if socket not in without:
                        self._append(socket, one)
            return
        if not self._told:
            self._audience, self._told = audience, [[] for _ in audience]
        for socket in without:
            self._untold.setdefault(socket, set()).add(len(self._told[0]))
        for told, frame in zip(self._told, frames, strict=True):
            told.append(frame)

    def _schedule(self) -> None:
        self._due = True
        asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._due = False
        self.flush()

    def _scatter(self) -> None:
        """From now on in this turn each socket has frames of its own."""
        self._scattered = True
        audience, told, untold = self._take_told()
        for crowd, frames in zip(audience, told, strict=True):
            for socket in crowd.sockets:
                self._append(socket, tuple(left(frames, untold.get(socket))))

    def _take_told(self) -> tuple[Audience, list[list[bytes]], dict[Writable, set[int]]]:
        taken = self._audience, self._told, self._untold
        self._audience, self._told, self._untold = (), [], {}
        return taken

    def _append(self, socket: Writable, frames: tuple[bytes, ...]) -> None:
        if not socket.frames:
            self._waiting.append(socket)
        socket.frames += frames

    def flush(self) -> None:
        """Sends what waits now."""
        audience, told, untold = self._take_told()
        waiting, self._waiting = self._waiting, []
        self._scattered = False
        for crowd, frames in zip(audience, told, strict=True):
            crowd.write(b"".join(frames), untold)
            faults.reach("mid_delivery")
        for socket, numbers in untold.items():
            for crowd, frames in zip(audience, told, strict=True):
                if len(numbers) < len(frames) and socket in crowd.sockets:
                    put(socket, b"".join(left(frames, numbers)))
        alike: dict[tuple[bytes, ...], list[Writable]] = {}
        for socket in waiting:
            alike.setdefault(socket.frames, []).append(socket)
            socket.frames = ()
        for together, sockets in alike.items():
            data = b"".join(together)
            if len(sockets) == 1:
                put(sockets[0], data)
            else:
                Crowd(sockets).write(data)
            faults.reach("mid_delivery")


def left(frames: Sequence[bytes], untold: Collection[int] | None) -> Sequence[bytes]:
    """The frames without those of some numbers."""
    return [frame for number, frame in enumerate(frames) if number not in untold] if untold else frames
