"""HTTP clients that cost little: kept connections, requests made beforehand, answers cut at their length.

What a client does for an answer is one `data_received` and one future, so that one core drives a server that has the
other to itself.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self, cast

HOST = "127.0.0.1"
END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length: "


class Answer(NamedTuple):
    status: int
    head: bytes
    body: bytes


class Connection(asyncio.Protocol):
    """A kept connection on which one request runs at a time."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._wanted = 0  # bytes of the whole answer, 0 while its head is not there
        self._begun = 0  # where its body begins
        self._waiting: asyncio.Future[Answer]
        self.transport: asyncio.Transport

    @classmethod
    async def open(cls, port: int) -> Self:
        _, connection = await asyncio.get_running_loop().create_connection(cls, HOST, port)
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if hasattr(self, "_waiting") and not self._waiting.done():
            self._waiting.set_exception(error or ConnectionResetError())

    async def send(self, raw: bytes) -> Answer:
        """The answer to a request, whatever its status."""
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(raw)
        return await self._waiting

    async def ok(self, raw: bytes) -> bytes:
        """The body of a request that must succeed."""
        answer = await self.send(raw)
        if answer.status // 100 != 2:
            raise RuntimeError(f"{raw[:200]!r}: {answer.status} {answer.body[:500]!r}")
        return answer.body

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._wanted:
            self._read_head()
        if self._wanted and len(self._received) >= self._wanted:
            head = bytes(self._received[: self._begun])
            body = bytes(self._received[self._begun : self._wanted])
            del self._received[: self._wanted]
            self._wanted = 0
            self._waiting.set_result(Answer(int(head[9:12]), head, body))

    def _read_head(self) -> None:
        end = self._received.find(END)
        if end < 0:
            return
        head = bytes(self._received[: end + 2]).lower()
        at = head.find(LENGTH)
        length = int(head[at + len(LENGTH) : head.index(b"\r\n", at + 2)]) if at >= 0 else 0
        self._begun = end + len(END)
        self._wanted = self._begun + length


def request(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    """A request as it goes over the wire; a body is sent as JSON, bytes as they are."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Host": HOST} | {name.replace("_", "-"): text for name, text in headers.items()}
    if raw:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(raw))}
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + raw


async def latencies(connection: Connection, requests: Iterable[bytes]) -> list[float]:
    """Milliseconds of each request, one after the other."""
    taken = []
    for raw in requests:
        began = time.perf_counter()
        await connection.ok(raw)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


class Done(NamedTuple):
    """What several clients did at once."""

    seconds: float
    bodies: list[bytes]
    taken: list[float]  # milliseconds of each request

    @property
    def per_second(self) -> float:
        return len(self.bodies) / self.seconds


async def all_at_once(connections: Iterable[Connection], make: Callable[[int], bytes], seconds: float) -> Done:
    """Each connection sends one request after the other; `make` gives the request of each number."""
    numbers = itertools.count()
    bodies: list[bytes] = []
    taken: list[float] = []
    start = time.perf_counter()

    async def client(connection: Connection) -> None:
        while (began := time.perf_counter()) < start + seconds:
            bodies.append(await connection.ok(make(next(numbers))))
            taken.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*map(client, connections))
    return Done(time.perf_counter() - start, bodies, taken)


@asynccontextmanager
async def opened(port: int, count: int) -> AsyncIterator[list[Connection]]:
    """So many connections."""
    connections = [await Connection.open(port) for _ in range(count)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.transport.close()
