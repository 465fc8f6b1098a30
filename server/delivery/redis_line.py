"""A connection to Redis once the library has opened it: commands go out and replies come in as they are.

redis-py knows URLs, TLS and credentials; awaiting it for each message costs five times what the message itself does
(`bench/RESULTS.md`), and a process hears one for every change that is made anywhere. Replies are read by hiredis.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import hiredis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

Reply: TypeAlias = Any  # bytes, int, None, ResponseError, or a list of them
TIMEOUT = 5  # seconds for the opening


class Line(asyncio.Protocol):
    """Hands each reply to `hear`, in order; what that raises ends the line. `connection` is open and idle."""

    def __init__(self, connection: Any, hear: Callable[[Reply], None]) -> None:
        self._hear = hear
        self._replies = hiredis.Reader(protocolError=ValueError, replyError=ResponseError)
        self._heard = False
        self._ended = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport = connection._writer.transport
        self._library = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def write(self, commands: bytes) -> None:
        """Sends commands; a line that has ended drops them."""
        self._transport.write(commands)

    async def is_quiet(self, seconds: float) -> bool:
        """Waits so long and tells whether nothing came meanwhile. Raises what ended the line, or ConnectionError."""
        self._heard = False
        await asyncio.wait([self._ended], timeout=seconds)
        if self._ended.done():
            raise self._ended.result() or ConnectionError("Redis hung up")
        return not self._heard

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            self._replies.feed(data)
            while (reply := self._replies.gets()) is not False:
                self._hear(reply)
        except Exception as error:
            self._end(error)
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._library.connection_lost(error)
        self._end(error)

    def _end(self, error: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)


@asynccontextmanager
async def open_line(url: str, hear: Callable[[Reply], None]) -> AsyncIterator[Line]:
    """A line to the Redis of a URL, closed in the end; raises RedisError or OSError."""
    pool = redis.asyncio.ConnectionPool.from_url(
        url, protocol=2, socket_timeout=TIMEOUT, socket_keepalive=True, retry=Retry(NoBackoff(), 0)
    )
    connection: Any = pool.make_connection()  # type: ignore[no-untyped-call]
    try:
        await connection.connect()
        yield Line(connection, hear)
    finally:
        await connection.disconnect(nowait=True)


def command(*parts: bytes) -> bytes:
    """A command as Redis reads it."""
    return b"".join((b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)))
