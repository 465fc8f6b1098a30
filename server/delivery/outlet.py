"""What is written to WebSockets in one turn of the event loop, and sent at its end.

Invariants: each socket gets what was written to it in that order, in one write; what many sockets are to get alike is
joined once for all of them. What goes to the same audience stays one list until it is sent, and costs each socket
nothing but the kernel's work; only where audiences of one turn differ is it put together socket by socket. A socket
whose earlier bytes still wait, or that is being closed, is left to its transport: nothing overtakes them, and a
descriptor that may be somebody else's by now is never written to.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol, TypeAlias

from server import faults
from server.delivery import sending

FEW = 4  # sockets for which one call is not worth its preparation
logger = logging.getLogger(__name__)


class Writable(Protocol):
    """A socket with frames to send."""

    transport: asyncio.Transport
    descriptor: int  # -1 while only the transport can write
    frames: tuple[bytes, ...]  # written in this turn to this socket alone

    def put(self, data: bytes) -> None:
        """Gives bytes to the transport, which sends them as soon as it can; drops them when the socket has ended."""


Audience: TypeAlias = Sequence[Sequence[Writable]]  # groups of sockets; no socket is in two


class Outlet:
    """The frames of this turn."""

    def __init__(self) -> None:
        self._due = False
        self._audience: Audience = ()  # what was told to it stands in `_told`, for each of its groups
        self._told: list[list[bytes]] = []
        self._waiting: list[Writable] = []  # sockets with frames of their own
        self._scattered = False  # what audiences are told goes to the frames of their sockets

    def add(self, socket: Writable, frame: bytes) -> None:
        """Sends a frame to one socket."""
        if self._told:
            self.flush()
        self._schedule()
        self._append(socket, (frame,))

    def tell(self, audience: Audience, frames: Sequence[bytes]) -> None:
        """Sends each group of an audience its frame."""
        if self._waiting and not self._scattered:
            self.flush()
        self._schedule()
        if self._told and audience != self._audience:
            self._scatter()
        if self._scattered:
            self._append_all(audience, [(frame,) for frame in frames])
        elif self._told:
            for told, frame in zip(self._told, frames, strict=True):
                told.append(frame)
        else:
            self._audience, self._told = audience, [[frame] for frame in frames]

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._due = False
        self.flush()

    def _scatter(self) -> None:
        """From now on in this turn each socket has frames of its own."""
        audience, told, self._audience, self._told = self._audience, self._told, (), []
        self._scattered = True
        self._append_all(audience, [tuple(frames) for frames in told])

    def _append_all(self, audience: Audience, frames: Sequence[tuple[bytes, ...]]) -> None:
        for sockets, more in zip(audience, frames, strict=True):
            for socket in sockets:
                self._append(socket, more)

    def _append(self, socket: Writable, frames: tuple[bytes, ...]) -> None:
        if not socket.frames:
            self._waiting.append(socket)
        socket.frames += frames

    def flush(self) -> None:
        """Sends what waits now."""
        audience, told, self._audience, self._told = self._audience, self._told, (), []
        waiting, self._waiting = self._waiting, []
        self._scattered = False
        for sockets, frames in zip(audience, told, strict=True):
            write(sockets, b"".join(frames))
            faults.reach("mid_delivery")
        alike: dict[tuple[bytes, ...], list[Writable]] = {}
        for socket in waiting:
            alike.setdefault(socket.frames, []).append(socket)
            socket.frames = ()
        for together, sockets in alike.items():
            write(sockets, b"".join(together))
            faults.reach("mid_delivery")


def write(sockets: Sequence[Writable], data: bytes) -> None:
    """Sends the same to all; one broken socket must not cost the others their event."""
    if len(sockets) < FEW or sending.send_to_all is None:
        for socket in sockets:
            put(socket, data)
        return
    descriptors = [-1 if socket.transport.is_closing() else socket.descriptor for socket in sockets]
    for place, sent in sending.send(data, descriptors):
        put(sockets[place], data[sent:])


def put(socket: Writable, data: bytes) -> None:
    try:
        socket.put(data)
    except Exception:
        logger.exception("a socket could not be written to")
        socket.transport.abort()
