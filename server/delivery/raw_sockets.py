"""Raw WebSockets: aiohttp accepts and reads them, we write our own frames to the transport.

A frame written with `transport.write` costs no task and no queue, keeps its order with aiohttp's own control
frames (both are whole frames written on the loop), and is joined by uvloop with others of the same turn.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from server.delivery.backlog import Backlog
from server.delivery.rooms import Registry
from server.delivery.subscribers import Link, Subscriber
from server.delivery.turnstile import ENDINGS
from server.delivery.wire import Frame
from server.errors import CloseCode, Unavailable

logger = logging.getLogger(__name__)
MAX_REASON = 123  # bytes of a close frame's reason
CLOSE_TIMEOUT = 5.0  # seconds a peer gets to read the rest and answer a close


class RawLink(Link, Backlog):
    """Writes frames to the transport of an accepted WebSocket."""

    __slots__ = ("_closing", "request", "socket", "transport")

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, limit: int) -> None:
        self.request = request
        self.socket = socket
        self.transport: Any = request.transport
        self.limit = limit
        self.seen = None
        self._closing: asyncio.Task[Any] | None = None

    def write(self, frame: Frame) -> bool:
        transport = self.transport
        if transport is None or self._closing is not None or transport.is_closing():
            return False
        transport.write(frame)
        if self.seen is None and transport.get_write_buffer_size() > self.limit:
            self.watch()
        return True

    def backlog(self) -> int:
        size: int = self.transport.get_write_buffer_size() if self.alive else 0
        return size

    @property
    def alive(self) -> bool:
        return self.transport is not None and not self.transport.is_closing() and self._closing is None

    def cut(self) -> None:
        """Ends a connection whose reader is too slow: 4408 after what it has not read, then a hard end. Until then what
        it sends is read on: the kernel resets a connection that is closed while pongs wait, and the rest is lost."""
        self.close(CloseCode.TOO_SLOW, "too slow")

    def close(self, code: int, reason: str) -> None:
        """Ends with a close frame; a peer that does not read it is dropped. aiohttp would wait for it without end."""
        if self._closing is None and self.transport is not None:
            text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
            self._closing = asyncio.ensure_future(self.socket.close(code=code, message=text))
            timer = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)
            self._closing.add_done_callback(lambda _: timer.cancel())

    async def drain_close(self) -> None:
        """Waits until a close that was begun has ended."""
        if self._closing is not None:
            await asyncio.gather(self._closing, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Settings of raw sockets: heartbeat in seconds (None: whoever serves the socket pings it), the rest in bytes."""

    heartbeat: float | None
    max_frame_size: int
    send_buffer: int


async def accept(request: web.Request, limits: SocketLimits) -> RawLink:
    """Upgrades a request to a WebSocket, without compression."""
    socket = web.WebSocketResponse(
        heartbeat=limits.heartbeat, max_msg_size=limits.max_frame_size, compress=False, timeout=CLOSE_TIMEOUT
    )
    await socket.prepare(request)
    return RawLink(request, socket, limits.send_buffer)


@asynccontextmanager
async def conversing(link: RawLink, subscriber: Subscriber, registry: Registry) -> AsyncIterator[None]:
    """The life of an accepted socket: whatever ends it ends it with a close code, since an HTTP answer would be garbage
    on an upgraded connection, and leaves nothing of it behind."""
    try:
        yield
    except Unavailable:
        link.close(CloseCode.RESTART, "The database is not available just now.")
    except Exception:
        logger.exception("a socket failed")
        link.close(CloseCode.RESTART, "error")
    finally:
        try:
            await ENDINGS.wait()
        finally:
            registry.remove(subscriber)
    await link.drain_close()
