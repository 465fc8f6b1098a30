"""Long-polling of Engine.IO, spoken by hand: what an answer carries, and what ends a connection.

Every test ends with a server that knows nobody and keeps nothing (tests/support/engineio.py).
"""

import asyncio
import base64
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.engineio import LIMIT, PATH, PROMPT, Echo, Polling, echo_server, until

BRISK = {"ping_interval": 0.3, "ping_timeout": 0.2}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with echo_server() as running:
        yield running


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[Polling]:
    async with Polling(echo.url) as polling:
        yield await polling.open()


async def waiting_poll(echo: Echo, client: Polling) -> asyncio.Task[list[str]]:
    """A poll that has arrived."""
    task = asyncio.create_task(client.poll())
    await until(lambda: echo.socket.outbox._poll)
    return task


# ---- messages


@pytest.mark.parametrize(
    "body", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4grüße \U0001f30d", "4"]
)
async def test_what_is_posted_comes_back_with_the_next_poll(client: Polling, body: str) -> None:
    await client.post(body)
    assert await client.poll() == body.split("\x1e")


async def test_a_waiting_poll_is_answered_by_what_is_sent(echo: Echo, client: Polling) -> None:
    poll = await waiting_poll(echo, client)
    for number in range(3):
        await echo.eio.send(echo.socket.sid, f"{number}")
    assert await poll == ["40", "41", "42"], "what is sent in one turn goes in one answer"


async def test_as_many_packets_as_a_client_likes_may_come_in_one_request(echo: Echo, client: Polling) -> None:
    """The official client puts whatever it has waiting into one request; python-engineio drops more than 16."""
    await client.post("\x1e".join(f"4{number}" for number in range(1000)))
    assert echo.heard == [str(number) for number in range(1000)]
    assert await client.poll() == [f"4{number}" for number in range(1000)]


async def test_a_request_that_comes_in_pieces_is_read_whole(echo: Echo, client: Polling) -> None:
    """python-engineio takes what has come so far for all of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for part in (b"4he", b"llo", b"\x1e4you"):
            yield part
            await asyncio.sleep(0.01)

    text = "4hello\x1e4you"
    async with client.http.post(client.url, data=pieces()) as answer:  # chunked, without a length
        assert answer.status == 200
    async with client.http.post(client.url, data=pieces(), headers={"Content-Length": str(len(text))}) as answer:
        assert answer.status == 200
    assert echo.heard == ["hello", "you"] * 2


async def test_large_answers_are_compressed_for_whom_that_is_good(client: Polling) -> None:
    message = "4" + "x" * 50_000
    await client.post(message)
    async with client.http.get(client.url) as answer:
        assert answer.headers["Content-Encoding"] in ("gzip", "deflate")
        assert await answer.text() == message
    await client.post(message)
    async with client.http.get(client.url, headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert await answer.text() == message


# ---- what is no packet


@pytest.mark.parametrize(
    "body", [b"abc", b"", b"9x", b"4good\x1e", b"\x1e", b"\xff\xfe", b"b!!", "bé".encode(), b"2", b"d=4hello"]
)
async def test_garbage_is_refused_and_ends_the_connection(echo: Echo, body: bytes) -> None:
    async with Polling(echo.url) as client, Polling(echo.url) as bystander:
        await bystander.open()
        await client.open()
        assert (await client.request("POST", body))[0] == 400
        await client.gone()
        await bystander.post("4still here")
        assert await bystander.poll() == ["4still here"]


async def test_deeply_nested_garbage_is_a_message_like_any_other(echo: Echo, client: Polling) -> None:
    await client.post("4" + "[" * 90_000)
    assert await client.poll() == ["4" + "[" * 90_000]


# ---- sizes


async def test_a_request_of_the_limit_is_taken(echo: Echo, client: Polling) -> None:
    await client.post("4" + "x" * (LIMIT - 1))
    assert len(echo.heard[0]) == LIMIT - 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_request_above_the_limit_is_answered_at_once(echo: Echo, client: Polling, chunked: bool) -> None:
    """The client has announced a gigabyte, or announces nothing, and goes on sending as long as it may."""
    host, port = echo.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    path = f"{PATH}polling&sid={client.handshake['sid']}"
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000000"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
    if chunked:
        writer.write(b"%x\r\n" % (LIMIT + 1) + b"4" * (LIMIT + 1) + b"\r\n")
    async with asyncio.timeout(PROMPT):
        assert await reader.readline() == b"HTTP/1.1 413 Request Entity Too Large\r\n"
    writer.close()
    await client.gone()
    assert echo.heard == []


async def test_a_request_that_unpacks_to_more_than_the_limit_is_refused(echo: Echo, client: Polling) -> None:
    bomb = zlib.compress(b"4" * (50 << 20))
    assert len(bomb) < LIMIT
    headers = {"Content-Encoding": "deflate"}
    assert (await client.request("POST", bomb, headers=headers))[0] == 413
    await client.gone()


# ---- two at a time


async def test_a_second_poll_at_a_time_ends_the_connection(echo: Echo, client: Polling) -> None:
    poll = await waiting_poll(echo, client)
    assert (await client.request("GET"))[0] == 400
    assert await poll == ["1"]
    await client.gone()


async def test_a_second_request_at_a_time_ends_the_connection(echo: Echo, client: Polling) -> None:
    """Nobody could say in which order their packets were meant."""
    slow, begun = asyncio.Event(), asyncio.Event()

    async def on_message(sid: str, data: Any) -> None:
        begun.set()
        await slow.wait()
        echo.heard.append(data)

    echo.eio.on("message", on_message)
    first = asyncio.create_task(client.request("POST", "4a\x1e4b"))
    await begun.wait()
    assert (await client.request("POST", "4c"))[0] == 400
    slow.set()
    await first
    assert echo.heard == ["a"], "and what is left of the first is not handled after the end"
    await client.gone()


async def test_polling_and_posting_go_on_side_by_side(echo: Echo, client: Polling) -> None:
    """Every message once and in order, whatever the timing."""
    received: list[str] = []

    async def poll() -> None:
        while len(received) < 300:
            received.extend(await client.poll())

    polling = asyncio.create_task(poll())
    for number in range(100):
        await client.post("\x1e".join(f"4{number * 3 + part}" for part in range(3)))
    await polling
    assert received == [f"4{number}" for number in range(300)]


# ---- polls that break off


async def cancelled_poll(echo: Echo, client: Polling) -> None:
    """A poll that was waiting when its client went."""
    poll = await waiting_poll(echo, client)
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    await echo.missed()


async def test_a_poll_that_was_broken_off_ends_the_connection_at_the_next_one(echo: Echo, client: Polling) -> None:
    await cancelled_poll(echo, client)
    await client.gone()


async def test_a_poll_that_was_broken_off_swallows_no_message(echo: Echo, client: Polling) -> None:
    """The story: the answer to a poll whose client has gone carried an event; python-engineio took it for delivered,
    and the client, which polled on, never heard of it. A connection that ended is noticed, and can be recovered."""
    await cancelled_poll(echo, client)
    await echo.eio.send(echo.socket.sid, "lost otherwise")
    await until(lambda: not echo.eio.sockets, PROMPT)
    assert list(echo.ended.values()) == ["transport close"]
    await client.gone()


async def test_a_request_that_breaks_off_ends_the_connection(echo: Echo, client: Polling) -> None:
    """Half a message is none, and the client cannot know which half."""
    host, port = echo.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    path = f"{PATH}polling&sid={client.handshake['sid']}"
    writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n4hal".encode())
    await until(lambda: echo.socket._posting)
    writer.transport.abort()
    await until(lambda: not echo.eio.sockets, PROMPT)
    assert echo.heard == []
    client.closed = True


async def test_a_client_that_does_not_read_the_answer_is_dropped() -> None:
    """However small the pieces in which it takes it."""
    slow = {"ping_interval": 0.5, "ping_timeout": 0.3, "send_buffer_limit": 64 << 20}
    async with echo_server(**slow) as echo, Polling(echo.url) as client:
        await client.open()
        await echo.eio.send(echo.socket.sid, base64.b64encode(b"\x00\xff" * (16 << 20)).decode())
        host, port = echo.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        path = f"{PATH}polling&sid={client.handshake['sid']}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await until(lambda: echo.ended and echo.requests[-1].transport is None, 3)
        writer.transport.abort()
        client.closed = True


# ---- pings


async def test_a_polling_client_that_answers_pings_stays() -> None:
    async with echo_server(**BRISK) as echo, Polling(echo.url) as client:
        await client.open()
        for _ in range(3):
            assert await client.poll() == ["2"]
            await client.post("3")
        await client.request("POST", "1")
        client.closed = True


async def test_a_polling_client_that_does_not_answer_is_refused_to_the_millisecond() -> None:
    async with echo_server(**BRISK) as echo, Polling(echo.url) as client:
        await client.open()
        await asyncio.sleep(0.5)  # interval and timeout, as the protocol's own test suite does it
        await client.gone()
        await until(lambda: not echo.eio.sockets, PROMPT)
        assert list(echo.ended.values()) == ["ping timeout"]


async def test_a_poll_that_waits_when_the_answer_is_overdue_is_let_go() -> None:
    """With a packet after which clients poll again, find that the connection has ended, and come back."""
    async with echo_server(**BRISK) as echo, Polling(echo.url) as client:
        await client.open()
        assert await client.poll() == ["2"]
        assert await client.poll() == ["6"]
        await client.gone()


async def test_a_thousand_pongs_in_requests_change_nothing(echo: Echo, client: Polling) -> None:
    await client.post("\x1e".join("3" for _ in range(1000)))
    assert len(echo.eio.pings) == 1
    await client.post("4hello")
    assert await client.poll() == ["4hello"]


# ---- the end


async def test_a_client_may_end_with_a_packet(echo: Echo, client: Polling) -> None:
    poll = await waiting_poll(echo, client)
    await client.post("1\x1e4too late")
    assert await poll == ["6"]
    await client.gone()
    assert list(echo.ended.values()) == ["client disconnect"]
    assert echo.heard == []


async def test_the_server_may_end_with_a_packet(echo: Echo, client: Polling) -> None:
    poll = await waiting_poll(echo, client)
    await echo.eio.disconnect(echo.socket.sid)
    assert await poll == ["1"]
    await client.gone()


async def test_an_upgrade_under_a_false_name_is_a_poll(echo: Echo, client: Polling) -> None:
    """The story: a poll with the headers of a WebSocket reached python-engineio's own transport, which knows no limit
    of ours and shares no bookkeeping with us."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    await client.post("4hello")
    async with client.http.get(client.url, headers=headers) as answer:
        assert (answer.status, await answer.text()) == (200, "4hello")
