"""Event streams: Server-Sent Events over an HTTP response (contract mirrors.md), the third kind of connection.

Invariants: aiohttp writes the head of the answer and the end of its body, we write what lies between to the transport,
in the order of the calls; the head is sent with the first frame, so what fails before is an ordinary answer; a
position stands in every frame, so a client that reconnects always has a cursor. Nothing follows on the connection.
"""

import asyncio
import itertools
import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiohttp import HttpVersion11, web

from server.delivery.backlog import Backlog
from server.delivery.subscribers import Link, Progress, Subscriber
from server.delivery.turnstile import ENDINGS
from server.delivery.wire import EVENT_STREAM, EVENT_STREAM_UNCHUNKED, Frame
from server.errors import CloseCode
from server.events.subscription import Subscription

CLOSE_TIMEOUT = 5.0  # seconds a client gets to read the rest
TURNS = 15  # in which the heartbeats of one interval are written, so that many streams do not hold up the event loop


class StreamLink(Link, Backlog):
    """Writes frames to the transport of a response that is sent with the first of them."""

    __slots__ = ("_deadline", "_head", "_held", "ended", "request", "response", "transport", "wire")

    def __init__(self, request: web.Request, response: web.StreamResponse, limit: int) -> None:
        self.request = request
        self.response = response
        self.transport: Any = request.transport
        self.limit = limit
        self.seen = None
        self.wire = EVENT_STREAM if request.version >= HttpVersion11 else EVENT_STREAM_UNCHUNKED
        self.ended = asyncio.Event()
        self._held = bytearray()  # until the head is sent
        self._head: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> bool:
        """True where the client gets a stream; until then it can be refused."""
        return self._head is not None

    def write(self, frame: Frame) -> bool:
        if not self.alive:
            return False
        assert isinstance(frame, bytes)
        if self._head is not None and self._head.done():
            self.transport.write(frame)
        else:
            self._held += frame
            self._head = self._head or asyncio.ensure_future(self._begin())
        self.watch()
        return True

    async def _begin(self) -> None:
        """Sends the head and what was written meanwhile. From here on only the end of the connection is of interest."""
        self.request.protocol.set_parser(Departure(self.leave))  # type: ignore[arg-type]
        self.response.force_close()
        try:
            await self.response.prepare(self.request)
        except ConnectionError:  # the client has gone
            self.ended.set()
        else:
            self.transport.write(bytes(self._held))
        self._held.clear()

    def backlog(self) -> int:
        return int(self.transport.get_write_buffer_size()) + len(self._held) if self.alive else 0

    @property
    def alive(self) -> bool:
        return self.transport is not None and not self.transport.is_closing() and not self.ended.is_set()

    def cut(self) -> None:
        """Ends a stream whose reader is too slow; it comes back with the position of the last event that it got."""
        self.close(CloseCode.TOO_SLOW, "too slow")

    def close(self, code: int, reason: str) -> None:
        """Ends the stream; the reason is a comment, since streams have no codes."""
        if self.begun and reason:
            self.write(self.wire.comment(reason))
        self.ended.set()

    def leave(self) -> None:
        """The connection has ended."""
        self.ended.set()
        if self._deadline is not None:
            self._deadline.cancel()

    async def finish(self) -> None:
        """Waits for the end of the stream; aiohttp then ends the body. A client that does not read it is dropped."""
        if self._head is None:  # it was closed, or the client left, before there was anything to send
            return
        await self._head
        await self.ended.wait()
        await ENDINGS.wait()
        if not self.transport.is_closing():
            self._deadline = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)


class Departure:
    """What aiohttp gives further bytes of the connection to, and the news of its end, as it does for a WebSocket:
    otherwise a handler learns of neither."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self.feed_eof = gone

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Nothing is asked any more on this connection."""
        return False, b""


class StreamSubscriber(Subscriber):
    """A stream hears the rooms of its request and ends with the last of them."""

    __slots__ = ()

    def discard(self, subscription: Subscription) -> None:
        super().discard(subscription)
        if not self.subscriptions:
            self.link.close(CloseCode.ACCESS_ENDED, "")


class Heartbeat:
    """Writes to each stream, once in `interval` seconds, how far it was told: that keeps a silent connection open, and
    its cursor young. One timer serves all streams, some of them in each of its turns."""

    def __init__(self, progress: Progress, interval: float) -> None:
        self.progress = progress
        self.interval = interval
        self._last: OrderedDict[StreamLink, float] = OrderedDict()  # when; those that wait longest come first
        self._timer: asyncio.TimerHandle | None = None

    def add(self, link: StreamLink) -> None:
        """Begins with a stream that is live."""
        self._last[link] = asyncio.get_running_loop().time()
        if self._timer is None:
            self._again()

    def remove(self, link: StreamLink) -> None:
        """Ends with a stream; harmless when it is not there."""
        self._last.pop(link, None)
        if self._timer is not None and not self._last:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.interval / TURNS, self._beat)

    def _beat(self) -> None:
        now = asyncio.get_running_loop().time()
        due = now - self.interval + self.interval / TURNS  # what is not written now is written a turn later
        for link, last in list(itertools.islice(self._last.items(), math.ceil(len(self._last) / TURNS))):
            if last > due:
                break
            link.write(link.wire.heartbeat(self.progress.position))
            self._last[link] = now
            self._last.move_to_end(link)
        self._again()
