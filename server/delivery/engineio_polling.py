"""Long-polling of Engine.IO: what waits for the next poll, and how packets look in requests and answers.

Packets are kept as a WebSocket would carry them, a text or bytes: which of the two ways they go is decided when they
go, and none is encoded for one of them in an object that the other shares.
"""

import asyncio
import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from aiohttp import web

from server.delivery.backlog import Backlog

SEPARATOR = "\x1e"
COMPRESSED = 1024  # bytes from which on an answer is compressed
OVERHEAD = 64  # bytes that a packet costs beside its text

Encoded: TypeAlias = str | bytes


class Malformed(Exception):
    """What a client sent is no packet."""


class Outbox(Backlog):
    """What waits for a polling client: everything that is sent to it passes here. `end` is called when it lets more
    than `limit` bytes wait."""

    __slots__ = ("_packets", "_poll", "end", "ended", "size")

    def __init__(self, limit: int, end: Callable[[], None]) -> None:
        self.limit = limit
        self.seen = None
        self.end = end
        self.size = 0
        self.ended = False
        self._packets: list[Encoded] = []
        self._poll: asyncio.Future[None] | None = None

    def backlog(self) -> int:
        return self.size

    def cut(self) -> None:
        self.end()

    def put(self, packet: Encoded) -> None:
        """Queues a packet, and answers the poll that waits."""
        if self.ended:
            return
        self._packets.append(packet)
        self.size += len(packet) + OVERHEAD
        self.flush()
        self.watch()

    def take(self) -> list[Encoded]:
        """All that waits, in its order; it waits no more."""
        taken, self._packets, self.size = self._packets, [], 0
        return taken

    async def wait(self, seconds: float | None) -> None:
        """Waits until there is something to take, or nothing to wait for, or the time is over."""
        if self._packets or self.ended:
            return
        self._poll = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._poll, seconds)
        except TimeoutError:
            pass
        finally:
            self._poll = None

    def flush(self) -> None:
        """Lets the waiting poll go on, with or without packets."""
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def finish(self) -> None:
        """Takes no more packets, and lets no poll wait."""
        self.ended = True
        self.flush()


def payload(packets: Iterable[Encoded]) -> bytes:
    """The body of an answer to a poll."""
    return SEPARATOR.join(
        packet if isinstance(packet, str) else "b" + b64encode(packet).decode() for packet in packets
    ).encode()


def packets_of(body: bytes) -> list[str]:
    """The packets of a request, those with bytes still in base64; raises Malformed."""
    try:
        return body.decode().split(SEPARATOR)
    except UnicodeDecodeError:
        raise Malformed from None


def bytes_of(packet: str) -> bytes:
    """The content of a packet in base64; raises Malformed."""
    try:
        return b64decode(packet[1:], validate=True)
    except (binascii.Error, ValueError):
        raise Malformed from None


async def read_body(request: web.Request, limit: int) -> bytes | None:
    """The body of a request; None, as soon as that is known, where it has more bytes than the limit."""
    if (request.content_length or 0) > limit:
        return None
    body = bytearray()
    async for part in request.content.iter_any():
        body += part
        if len(body) > limit:
            return None
    return bytes(body)


async def write_answer(
    request: web.Request, headers: Mapping[str, str], body: bytes, seconds: float
) -> tuple[web.StreamResponse, bool]:
    """Answers a poll; the second value is False where the client had gone, or did not read the answer in time, and so
    lost its connection."""
    response = web.Response(body=body, content_type="text/plain", charset="UTF-8", headers=headers)
    if len(body) >= COMPRESSED:
        response.enable_compression()
    try:
        async with asyncio.timeout(seconds):
            await response.prepare(request)
            await response.write_eof()
        return response, True
    except ConnectionError:
        pass
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
    return response, False
