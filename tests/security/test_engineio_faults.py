"""Hostile frames of Engine.IO, over both transports. What "ends" means is said in `tests/support/siege.py`."""

import asyncio
import contextlib
import resource
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.support.engineio import PROMPT, Polling, closed, until, websocket
from tests.support.siege import CONNECT_TIMEOUT, LIMIT, Siege
from tests.support.socketio_by_hand import PATH, TRANSPORTS, Client, client

pytestmark = pytest.mark.asyncio(loop_scope="module")
Socket = aiohttp.ClientWebSocketResponse
GARBAGE = {
    "abc": "abc",
    "an empty frame": "",
    "an unknown type": "9x",
    "a type of Arabic digits": "٤hello",
    "200 kB of brackets, above the limit": "4" + "[" * 200_000,
    "99 kB of brackets": "4" + "[" * 99_000,
    "an event of 99 kB of brackets": "42/core," + "[" * 99_000,
}
MASK = bytes(4)


@pytest_asyncio.fixture(loop_scope="module")
async def socket(siege: Siege) -> AsyncIterator[Socket]:
    """A WebSocket of Eve, who is in the room."""
    async with websocket(siege.server.url, PATH) as connected:
        await Client(connected).enter(siege.eve)
        yield connected


def write(socket: Socket, data: bytes) -> None:
    """Sends bytes as they are, below WebSocket."""
    connection = socket._response.connection
    assert connection is not None and connection.transport is not None
    connection.transport.write(data)  # type: ignore[attr-defined]


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_ends_its_websocket(socket: Socket, garbage: str) -> None:
    await socket.send_str(garbage)
    assert await closed(socket) in (1008, 1009)


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_ends_its_polling_connection(siege: Siege, garbage: str) -> None:
    # what is a MESSAGE is taken first, and then found to be no packet of Socket.IO
    async with client(siege.server, "polling") as it:
        await it.enter(siege.eve)
        assert isinstance(it.link, Polling)
        with contextlib.suppress(ConnectionError):  # of a body that is not read to its end
            status, _ = await it.link.request("POST", garbage)
            assert status == (413 if len(garbage) > LIMIT else 200 if garbage[:1] == "4" else 400)
        await it.ended()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_thousand_pongs_that_nobody_asked_for_change_nothing(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        if isinstance(it.link, Polling):
            await it.link.post("\x1e".join(["3"] * 1000))
        else:
            for _ in range(1000):
                await it.link.send_str("3")
        assert (await it.ask('42/core,7["page",{}]'))["ok"] is False
        assert siege.kept()["pings"] == 2


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_session_without_connect_is_ended(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it, asyncio.timeout(2 * CONNECT_TIMEOUT + PROMPT):
        await until(lambda: siege.kept()["engines"] == 1)
        await it.ended()


async def test_17_packets_in_one_payload_are_all_taken(siege: Siege) -> None:
    async with client(siege.server, "polling") as it:
        await it.enter(siege.eve)
        await it.send("\x1e".join(f'42/core,{number}["nope"]' for number in range(17)))
        assert [(await it.receive()).partition("[")[0] for _ in range(17)] == [f"43/core,{n}" for n in range(17)]


async def test_a_message_of_the_limit_and_one_byte_ends_its_websocket(socket: Socket) -> None:
    packet = '42/core,7["nope","' + "x" * (LIMIT - 20) + '"]'
    assert len(packet) == LIMIT
    await socket.send_str(packet)
    assert (await socket.receive_str(timeout=PROMPT)).startswith("43/core,7")
    await socket.send_str(packet + " ")
    assert await closed(socket) == 1009


async def test_a_body_of_the_limit_and_one_byte_ends_its_polling_connection(siege: Siege) -> None:
    async with client(siege.server, "polling") as it:
        await it.enter(siege.eve)
        packet = '42/core,7["nope","' + "x" * (LIMIT - 20) + '"]'
        await it.send(packet)
        assert (await it.receive()).startswith("43/core,7")
        assert isinstance(it.link, Polling)
        assert (await it.link.request("POST", packet + " "))[0] == 413
        await it.ended()


# ---- below messages


def memory() -> int:
    """Bytes that this process had at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bomb() -> bytes:
    """A few kilobytes that become 256 MiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(256)), packer.flush()])


async def test_a_compressed_bomb_ends_its_websocket(socket: Socket) -> None:
    # compression is never agreed on, so it is no frame at all
    before, packed = memory(), bomb()
    write(socket, bytes((0xC1, 0xFE)) + (60_000).to_bytes(2, "big") + MASK + packed[:60_000])
    assert await closed(socket) == 1002
    assert memory() - before < 16 << 20


async def test_a_compressed_bomb_ends_its_polling_connection(siege: Siege) -> None:
    async with client(siege.server, "polling") as it:
        await it.enter(siege.eve)
        assert isinstance(it.link, Polling)
        before, packed = memory(), bomb()
        with contextlib.suppress(ConnectionError):
            status, _ = await it.link.request("POST", packed, headers={"Content-Encoding": "gzip"})
            assert status in (400, 413)
        await it.ended()
        assert memory() - before < 16 << 20


async def test_a_hundred_thousand_fragments_of_one_byte_hold_nobody_up(siege: Siege, socket: Socket) -> None:
    # they are a message in the end, and none that is allowed
    fragment = b"\x81" + MASK + b"["
    write(socket, b"\x01" + fragment)
    write(socket, (b"\x00" + fragment) * 99_998)
    await siege.hears()
    write(socket, b"\x80" + fragment)
    assert await closed(socket) == 1008


async def test_fragments_of_no_bytes_hold_nobody_up(siege: Siege, socket: Socket) -> None:
    write(socket, b"\x01\x80" + MASK + (b"\x00\x80" + MASK) * 100_000)
    await siege.hears()
    write(socket, b"\x80\x80" + MASK)
    assert await closed(socket) == 1008


@pytest.mark.parametrize("size", [1 << 30, (1 << 63) - 1, (1 << 64) - 1, LIMIT + 1])
async def test_a_header_that_announces_too_much_ends_its_websocket(socket: Socket, size: int) -> None:
    before = memory()
    write(socket, bytes((0x81, 0xFF)) + size.to_bytes(8, "big") + MASK)
    assert await closed(socket) == 1009
    assert memory() - before < 16 << 20


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x01x",  # not masked
        b"\x83\x80" + MASK,  # an opcode that is reserved
        b"\xf1\x80" + MASK,  # bits that are reserved
        b"\x89\xfe\x00\x7e" + MASK + bytes(126),  # a ping that is too long
        b"\x09\x80" + MASK,  # a ping in pieces
        b"\x80\x80" + MASK,  # the end of nothing
        b"\x01\x80" + MASK + b"\x81\x80" + MASK,  # a message within a message
        b"\x88\x81" + MASK + b"x",  # half a close code
        b"\x88\x82" + MASK + (1005).to_bytes(2, "big"),  # a close code that is none
    ],
)
async def test_what_is_no_frame_of_a_client_ends_its_websocket(socket: Socket, frame: bytes) -> None:
    write(socket, frame)
    assert await closed(socket) == 1002


async def test_a_text_that_is_not_utf_8_ends_its_websocket(socket: Socket) -> None:
    write(socket, b"\x81\x82" + MASK + b"4\xff")
    assert await closed(socket) == 1007
