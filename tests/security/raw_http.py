"""HTTP as bytes: what no client library would send."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.support.app import PATIENCE, Server


@asynccontextmanager
async def sending(server: Server, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A connection on which these bytes were sent; it ends with the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    try:
        with suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        async with asyncio.timeout(PATIENCE):
            yield reader
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def exchange(server: Server, request: bytes) -> bytes:
    """All that is answered until the server closes."""
    answer = b""
    async with sending(server, request) as reader:
        with suppress(ConnectionError):
            while piece := await reader.read(1 << 16):
                answer += piece
    return answer


def statuses(answer: bytes) -> list[int]:
    """The status of each answer on a connection."""
    return [int(status) for status in re.findall(rb"HTTP/\d\.\d (\d{3}) ", answer)]
