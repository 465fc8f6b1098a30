"""Where WebSockets are opened past the loop that aiohttp has for requests: what is refused, what is sent besides."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from server.app import DOORS
from tests.security.raw_http import exchange, sending, statuses
from tests.support.app import Server, running_server

UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
QUERY = "?EIO=4&transport=websocket&jwt_token=anonymous"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a") as running:
        yield running


def asking(path: str, headers: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % ((path + QUERY).encode(), headers)


@pytest.mark.parametrize("path", DOORS)
async def test_a_refused_upgrade_is_answered_as_a_request_and_the_next_one_too(server: Server, path: str) -> None:
    refused = 400 if path == "/socket.io/" else 404
    assert statuses(await exchange(server, asking(path, UPGRADE) + LAST)) == [refused, 200]


@pytest.mark.parametrize("path", DOORS)
async def test_an_upgrade_after_another_request_is_one_too(server: Server, path: str) -> None:
    first = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with sending(server, first + asking(path, UPGRADE + KEY)) as reader:
        head = await reader.readuntil(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
    assert statuses(head) == [200, 101]


@pytest.mark.parametrize("path", DOORS)
async def test_the_answer_bears_the_name_of_the_request(server: Server, path: str) -> None:
    async with sending(server, asking(path, UPGRADE + KEY + b"X-Request-Id: request-0001\r\n")) as reader:
        assert b"\r\nX-Request-Id: request-0001\r\n" in await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize("path", DOORS)
async def test_who_expects_to_be_told_to_continue_is(server: Server, path: str) -> None:
    async with sending(server, asking(path, UPGRADE + KEY + b"Expect: 100-continue\r\n")) as reader:
        head = await reader.readuntil(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
    assert statuses(head) == [100, 101]


@pytest.mark.parametrize("path", DOORS)
@pytest.mark.parametrize("twice", [b"Origin: http://a\r\nOrigin: http://b\r\n", b"Authorization: JWT a\r\n" * 2])
async def test_oddities_are_refused_there_too(server: Server, path: str, twice: bytes) -> None:
    assert statuses(await exchange(server, asking(path, UPGRADE + KEY + twice) + LAST)) == [400, 200]


async def test_a_connection_that_has_said_nothing_ends_with_the_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ending = await stack.enter_async_context(running_server(database_url=f"sqlite:///{tmp_path}/b"))
        async with sending(ending, b"") as reader:
            assert (await ending.request("GET", "/healthz")).status == 200  # it has been accepted before this one
            await stack.aclose()
            assert await reader.read() == b""
