"""WebSockets after the handshake: bytes on a real connection, and what is left of it when it has ended."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from server.delivery import websocket
from server.delivery.websocket import WebSocket, WebSocketServer
from server.delivery.websocket_handshake import UPGRADED
from server.delivery.websocket_reader import BINARY, CLOSE, PING, PONG, TEXT, Payload
from server.delivery.wire import websocket_frame
from server.errors import Unavailable
from tests.support.engineio import until, websocket_server
from tests.unit.test_websocket_reader import frame

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LIMIT = 1000  # bytes of a message
PROMPT = 1.0  # seconds in which an ended connection must be forgotten


class Served:
    """A server of WebSockets, and what it heard."""

    def __init__(self, server: WebSocketServer) -> None:
        self.server = server
        self.sockets: list[WebSocket] = []
        self.heard: list[Payload] = []
        self.ended = 0
        self.take: Callable[[Payload], Any] = self.hear
        self.may_begin = asyncio.Event()
        self.may_begin.set()

    async def hear(self, message: Payload) -> None:
        self.heard.append(message)

    def end(self) -> None:
        self.ended += 1

    async def serve(self, request: web.Request) -> web.StreamResponse:
        pinged, verdict = "pinged" in request.query, "verdict" in request.query
        socket = await self.server.accept(request, heartbeat=pinged, verdict=verdict)
        self.sockets.append(socket)
        await self.may_begin.wait()
        socket.begin(lambda message: self.take(message), self.end)
        return UPGRADED


class Peer:
    """The other end, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame."""
        async with asyncio.timeout(10):
            first, size = await self.reader.readexactly(2)
            return first & 0x0F, await self.reader.readexactly(size)

    async def eof(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read(1) == b""


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """At the end nothing may be left of any connection."""
    served = Served(websocket_server(max_frame_size=LIMIT))
    app = web.Application()
    app.router.add_get("/", served.serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.port = runner.addresses[0][1]  # type: ignore[attr-defined]
    yield served
    await served.server.stop()
    await runner.cleanup()
    assert len(served.server) == len(served.server.pings) == 0
    assert served.ended == len(served.sockets)


@asynccontextmanager
async def connected(served: Served, more: bytes = b"", handshake: bytes = HANDSHAKE) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)  # type: ignore[attr-defined]
    try:
        writer.write(handshake + more)
        assert (await reader.readline()) == b"HTTP/1.1 101 Switching Protocols\r\n"
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_the_example_of_the_rfc_and_what_came_with_the_handshake(served: Served) -> None:
    async with connected(served, frame(TEXT, b"at once") + frame(BINARY, b"\x00")) as peer:
        await until(lambda: served.heard == ["at once", b"\x00"])
        served.sockets[0].write(websocket_frame(b"hello"))
        assert await peer.frame() == (TEXT, b"hello")


@pytest.mark.parametrize(
    ("act", "first"),
    [
        (lambda socket: socket.write(websocket_frame(b"welcome")), (TEXT, b"welcome")),
        (lambda socket: socket.close(1000, ""), (CLOSE, b"\x03\xe8")),
        (lambda socket: socket.ping(), (PING, b"")),
    ],
)
async def test_an_answer_that_waits_for_the_first_frame_leaves_with_it(
    served: Served, act: Callable[[WebSocket], Any], first: tuple[int, bytes]
) -> None:
    async def listen() -> tuple[int, bytes]:
        async with connected(served, handshake=HANDSHAKE.replace(b"/", b"/?verdict", 1)) as peer:
            return await peer.frame()

    listening = asyncio.create_task(listen())
    await until(lambda: served.sockets)
    (socket,) = served.sockets
    assert socket.head.startswith(b"HTTP/1.1 101 ")
    assert not listening.done()
    act(socket)
    assert await listening == first
    assert socket.head == b""


async def test_a_ping_is_answered_with_its_own_bytes(served: Served) -> None:
    async with connected(served) as peer:
        peer.writer.write(frame(PING, b"are you there"))
        assert await peer.frame() == (PONG, b"are you there")


@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x0f\xa1because"])
async def test_a_close_of_the_client_is_answered_with_its_code(served: Served, payload: bytes) -> None:
    async with connected(served) as peer:
        peer.writer.write(frame(TEXT, b"last") + frame(CLOSE, payload) + frame(TEXT, b"too late"))
        assert await peer.frame() == (CLOSE, payload[:2] or b"\x03\xe8")
        assert await peer.eof()
        await until(lambda: served.ended == 1 and not len(served.server), PROMPT)
    assert "too late" not in served.heard


async def test_a_close_of_the_server_follows_what_was_written_and_waits_for_its_answer(served: Served) -> None:
    async with connected(served) as peer:
        (socket,) = served.sockets
        socket.write(websocket_frame(b"last words"))
        socket.close(4403, "access ended")
        assert not socket.write(websocket_frame(b"too late"))
        assert served.ended == 1, "its bookkeeping is over at once"
        assert await peer.frame() == (TEXT, b"last words")
        assert await peer.frame() == (CLOSE, (4403).to_bytes(2, "big") + b"access ended")
        peer.writer.write(frame(TEXT, b"unheard") + frame(CLOSE, b"\x11\x33"))
        assert await peer.eof()
        await until(lambda: not len(served.server), PROMPT)
    assert served.heard == []


async def test_a_client_that_never_answers_a_close_is_dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT", 0.1)
    async with connected(served):
        served.sockets[0].close(1000, "")
        await until(lambda: not len(served.server), PROMPT)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"x", head=0xC1), 1002, id="compressed without agreement"),
        pytest.param(frame(TEXT, b"x", mask=False), 1002, id="unmasked"),
        pytest.param(frame(CLOSE, b"\x03"), 1002, id="half a close code"),
        pytest.param(frame(TEXT, b"\xff"), 1007, id="no text"),
        pytest.param(b"\x82\xff" + (1 << 30).to_bytes(8, "big") + bytes(1 << 20), 1009, id="a gigabyte"),
    ],
)
async def test_what_is_not_websocket_gets_a_close_frame_and_the_end(served: Served, data: bytes, code: int) -> None:
    async with connected(served) as peer:
        peer.writer.write(frame(TEXT, b"good") + data + bytes(5000))
        opcode, payload = await peer.frame()
        assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
        assert await peer.eof(), "the client learns that nothing follows, without waiting for a timeout"
        assert served.ended == 1
        peer.writer.close()
        await until(lambda: not len(served.server), PROMPT)


async def test_messages_are_handled_one_by_one_and_a_client_that_is_ahead_waits(served: Served) -> None:
    may, busy = asyncio.Event(), [0]

    async def slow(message: Payload) -> None:
        busy[0] += 1
        assert busy[0] == 1
        await may.wait()
        served.heard.append(message)
        busy[0] -= 1

    served.take = slow
    async with connected(served) as peer:
        (socket,) = served.sockets
        sent = 0
        while socket.transport.is_reading():  # type: ignore[attr-defined]
            peer.writer.write(frame(TEXT, b"%d" % sent))
            sent += 1
            await asyncio.sleep(0)
        peer.writer.write(frame(TEXT, b"%d" % sent))
        may.set()
        await until(lambda: len(served.heard) == sent + 1)
        assert served.heard == [str(number) for number in range(sent + 1)]
        assert socket.transport.is_reading()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("error", "log"), [(Unavailable("no database"), False), (ValueError("a defect"), True)])
async def test_a_handler_that_fails_ends_its_connection_alone(
    served: Served, error: Exception, log: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Payload) -> None:
        raise error

    async with connected(served) as other, connected(served) as peer:
        served.take = fail
        peer.writer.write(frame(TEXT, b"x"))
        assert (await peer.frame())[1][:2] == (1012).to_bytes(2, "big")
        served.sockets[0].write(websocket_frame(b"still here"))
        assert await other.frame() == (TEXT, b"still here")
    assert ("a socket failed" in caplog.text) is log


async def test_a_connection_that_is_lost_before_it_begins_ends_when_it_begins(served: Served) -> None:
    served.may_begin.clear()
    async with connected(served, frame(TEXT, b"early")):
        pass
    await until(lambda: not len(served.server))
    assert served.ended == 0
    served.may_begin.set()
    await until(lambda: served.ended == 1)
    assert served.heard == []


async def test_who_gave_up_waiting_for_a_message_is_no_failure_later(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    """As the probe of an upgrade does, when the client says nothing."""
    served.may_begin.clear()
    async with connected(served) as peer:
        await until(lambda: served.sockets)
        (socket,) = served.sockets
        waiting = asyncio.create_task(socket.receive())
        await until(lambda: socket._waiter)
        waiting.cancel()
        peer.writer.write(frame(TEXT, b"late"))
        await until(lambda: socket._inbox)
    await until(lambda: not len(served.server))
    served.may_begin.set()
    await until(lambda: served.ended == 1)
    assert caplog.text == ""


async def test_who_answers_no_ping_is_dropped(served: Served) -> None:
    served.server.pings = websocket.Pings(0.05, 0.1)
    pinged = HANDSHAKE.replace(b"GET / ", b"GET /?pinged ")
    async with connected(served, handshake=pinged) as peer, connected(served, handshake=pinged) as silent:
        for _ in range(5):
            assert await peer.frame() == (PING, b"")
            peer.writer.write(frame(PONG))
        await until(lambda: served.ended == 1)
        assert await silent.frame() == (PING, b"")
        assert served.sockets[0].alive and not served.sockets[1].alive


async def test_an_idle_connection_keeps_nothing_of_its_request(served: Served) -> None:
    before = request_objects()  # of other tests, perhaps
    async with connected(served, frame(TEXT, b"x")):
        await until(lambda: served.heard)
        await until(lambda: not [each for each in request_objects() if not any(each is one for one in before)])
        (socket,) = served.sockets
        assert (socket._inbox, socket._task) == (None, None)


def request_objects() -> list[Any]:
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, web.Request | web.RequestHandler)]


@pytest.mark.parametrize(
    "wrong",
    [
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"keep-alive, Upgrade", b"keep-alive"),
        (b"Version: 13", b"Version: 8"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ"),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"\xe4hlIHNhbXBsZSBub25jZQ=="),
        (b"Sec-WebSocket-Key", b"X"),
    ],
)
async def test_what_is_no_handshake_is_an_ordinary_refusal(served: Served, wrong: tuple[bytes, bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)  # type: ignore[attr-defined]
    writer.write(HANDSHAKE.replace(*wrong))
    assert (await reader.readline()) == b"HTTP/1.1 400 Bad Request\r\n"
    writer.close()
    await writer.wait_closed()


async def test_at_the_end_all_are_told_to_come_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "GOODBYE", 0.2)  # one of them does not answer
    async with connected(served) as peer, connected(served) as silent:
        stopping = asyncio.create_task(served.server.stop())
        assert (await peer.frame())[1][:2] == (await silent.frame())[1][:2] == (1012).to_bytes(2, "big")
        peer.writer.write(frame(CLOSE, b"\x03\xf4"))
        await stopping
        assert await silent.reader.read() == b""
