"""WebSockets that keep what they hear as bytes and read it only when nothing is measured any more."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self, cast

from bench.http_load import END, HOST, request

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
PATIENCE = 30.0  # seconds in which all must have heard the last change
PROMPT = 0.2  # seconds after which a socket that did not hear a change had not joined yet
TEXT = 0x81  # first byte of a text frame that is whole
MASKED = 0x80  # with a mask of zeros
SHORT, MEDIUM = 126, 127  # lengths that say how long the length is


class Listener(asyncio.Protocol):
    """One socket; what the server sends it is kept from the end of the handshake on."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.news = asyncio.Event()
        self.ready = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    @classmethod
    async def open(cls, port: int, path: str) -> Self:
        _, socket = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        socket.transport.write(request("GET", path, **UPGRADE))
        await socket.ready
        return socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        self.news.set()
        if not self.ready.done() and END in self.heard:
            _, _, rest = bytes(self.heard).partition(END)
            self.heard = bytearray(rest)
            self.ready.set_result(None)

    def send(self, text: str) -> None:
        """Sends a text of less than 126 bytes."""
        raw = text.encode()
        assert len(raw) < SHORT
        self.transport.write(bytes([TEXT, MASKED | len(raw)]) + bytes(4) + raw)

    async def until(self, marker: str, seconds: float = PATIENCE) -> None:
        """Waits until the marker is in what was heard last; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while marker.encode() not in self.heard[-16384:]:
                self.news.clear()
                await self.news.wait()

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in texts(bytes(self.heard))]


async def until_all_hear(sockets: Sequence[Listener], change: Callable[[], Awaitable[str]]) -> None:
    """Makes changes, which return their markers, until all sockets have joined, that is heard the same one; then these
    are forgotten."""
    for _ in range(50):
        marker = await change()
        try:
            await asyncio.gather(*(socket.until(marker, PROMPT) for socket in sockets))
        except TimeoutError:
            continue
        for socket in sockets:
            socket.heard.clear()
        return
    raise RuntimeError("not all sockets have joined")


class Heard(NamedTuple):
    """What several sockets were told of changes that are known, in their order."""

    lost: int
    duplicates: int
    disordered: int  # sockets with another order than that of the commits

    @property
    def whole(self) -> bool:
        return not any(self)


def compare(told: Sequence[Sequence[str]], wanted: Sequence[str]) -> Heard:
    """Holds what each socket was told against the changes in the order of their commits."""
    known = set(wanted)
    lost = sum(len(known - set(each)) for each in told)
    duplicates = sum(len(each) - len(Counter(each)) for each in told)
    disordered = sum(out_of_order(each, wanted) for each in told)
    return Heard(lost, duplicates, disordered)


def out_of_order(told: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether what was told came in another order, whatever is missing or doubled."""
    known = set(told)
    return list(dict.fromkeys(told)) != [change for change in wanted if change in known]


def texts(frames: bytes) -> Iterator[bytes]:
    """The texts of frames, which a server does not mask; control frames are left out."""
    at = 0
    while at < len(frames):
        kind, length = frames[at], frames[at + 1]
        at += 2
        if length in (SHORT, MEDIUM):
            size = 2 if length == SHORT else 8
            length = int.from_bytes(frames[at : at + size])
            at += size
        if kind == TEXT:
            yield frames[at : at + length]
        at += length
