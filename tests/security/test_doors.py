"""Where WebSockets are opened past the loop that aiohttp has for requests: what is refused, what is sent besides."""

import gc
import socket
import struct
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


@pytest.mark.parametrize("path", DOORS)
async def test_an_upgrade_with_a_body_is_refused_and_its_body_is_no_request(server: Server, path: str) -> None:
    body = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    request = asking(path, UPGRADE + KEY + b"Content-Length: %d\r\n" % len(body)) + body
    assert statuses(await exchange(server, request + LAST)) == [400 if path == "/socket.io/" else 404, 200]


@pytest.mark.parametrize("path", DOORS)
async def test_all_requests_behind_a_refused_upgrade_are_answered(server: Server, path: str) -> None:
    """The story: aiohttp holds back what comes while 32 requests wait, and counted the upgrade for too long."""
    more = 100
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    answered = statuses(await exchange(server, asking(path, UPGRADE) + request * more + LAST))
    assert answered == [400 if path == "/socket.io/" else 404, *[200] * (more + 1)]


@pytest.mark.parametrize("path", DOORS)
async def test_clients_that_hang_up_on_a_refusal_are_no_failure(
    server: Server, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = "127.0.0.1", int(server.url.rpartition(":")[2])
    for _ in range(20):
        with socket.create_connection(address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, at once
            client.sendall(asking(path, UPGRADE))
    assert (await server.request("GET", "/healthz")).status == 200
    gc.collect()  # tells of tasks that failed and that nobody asked
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_connection_that_has_said_nothing_ends_with_the_server(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        ending = await stack.enter_async_context(running_server(database_url=f"sqlite:///{tmp_path}/b"))
        async with sending(ending, b"") as reader:
            assert (await ending.request("GET", "/healthz")).status == 200  # it has been accepted before this one
            await stack.aclose()
            assert await reader.read() == b""
