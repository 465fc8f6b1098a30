"""Heads of requests: those that never end, and those that are too large. Pins the hooks of our aiohttp connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.app import Server, running_server
from tests.support.limits import watch_limits

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
WHOLE = GET + b"\r\n"
CROWD = 50


@contextlib.asynccontextmanager
async def connection(server: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def dribble(server: Server, before: bytes) -> bytes:
    """Begins a head and sends a byte now and then, for ever; returns what came when the server had enough."""
    async with connection(server) as (reader, writer):
        writer.write(before + GET)
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=0.02)
        with contextlib.suppress(ConnectionError):
            return await ended
    return b""


async def test_heads_that_never_end_are_cut_while_others_are_served(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", header_timeout=0.3) as server:
        slow = [asyncio.create_task(dribble(server, b"")) for _ in range(CROWD)]
        assert (await server.request("GET", "/healthz")).status == 200
        async with asyncio.timeout(5):
            assert await asyncio.gather(*slow) == [b""] * CROWD
            later = await dribble(server, WHOLE)  # the head of a further request
        assert later.startswith(b"HTTP/1.1 200 OK")
        assert later.count(b"HTTP/1.1") == 1
    assert limits_met() == {"header_time": CROWD + 1}


async def test_a_connection_that_says_nothing_is_cut_and_one_that_is_kept_alive_is_not(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", header_timeout=0.1) as server:  # noqa: SIM117
        async with connection(server) as (kept, writer), connection(server) as (silent, _):
            writer.write(WHOLE)
            assert (await kept.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK")
            async with asyncio.timeout(5):
                assert await silent.read() == b""
            writer.write(WHOLE)
            assert (await kept.readuntil(b"}")).startswith(b"HTTP/1.1 200 OK")


async def test_a_socket_and_a_slow_body_are_no_slow_heads(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", header_timeout=0.05) as server:
        socket = await server.websocket("/ws/core/?jwt_token=anonymous")
        await socket.expect("authentication")
        async with connection(server) as (reader, writer), connection(server) as (silent, _):
            writer.write(b"POST /api/user/token-verify/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n")
            writer.write(b"Content-Type: application/json\r\n\r\n{")
            async with asyncio.timeout(5):
                assert await silent.read() == b""  # so much time has passed
            writer.write(b"}")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 400 ")
        await socket.send({"type": "ping"})
        await socket.expect("pong")
    assert limits_met() == {"header_time": 1}


async def test_heads_that_are_too_large_are_refused_and_counted(tmp_path: Path) -> None:
    limits_met = watch_limits()
    settings = {"max_header_size": 1024, "max_headers": 20}
    heads = [
        b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\n\r\n",
        GET + b"X: " + b"x" * 2000 + b"\r\n\r\n",
        GET + b"X: x\r\n" * 30 + b"\r\n",
    ]
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", **settings) as server:
        for head in heads:
            async with connection(server) as (reader, writer), asyncio.timeout(5):
                writer.write(head)
                assert b" 400 Bad Request\r\n" in await reader.read()
    assert limits_met() == {"headers": len(heads)}
