"""Engine.IO: handshake, WebSockets, pings and the end of connections, spoken by hand.

Every test ends with a server that knows nobody and keeps nothing (tests/support/engineio.py).
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from server.auth.origins import OriginRules
from server.delivery import backlog
from tests.support.engineio import LIMIT, PATH, PROMPT, Echo, Polling, closed, echo_server, until, websocket

BRISK = {"ping_interval": 0.3, "ping_timeout": 0.2}


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with echo_server() as running:
        yield running


# ---- handshake


async def test_a_connection_begins_with_what_the_protocol_says() -> None:
    async with echo_server(**BRISK) as echo, Polling(echo.url) as client:
        await client.open()
        assert set(client.handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert client.handshake["upgrades"] == ["websocket"]
        assert (client.handshake["pingInterval"], client.handshake["pingTimeout"]) == (300, 200)
        assert client.handshake["maxPayload"] == LIMIT
        async with client.http.ws_connect(echo.url + PATH + "websocket") as socket:
            assert json.loads((await socket.receive_str())[1:])["upgrades"] == []


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("GET", "transport=polling"),
        ("GET", "EIO=abc&transport=polling"),
        ("GET", "EIO=3&transport=polling"),
        ("GET", "EIO=4"),
        ("GET", "EIO=4&transport=abc"),
        ("POST", "EIO=4&transport=polling"),
        ("PUT", "EIO=4&transport=polling"),
        ("DELETE", "EIO=4&transport=polling"),
        ("HEAD", "EIO=4&transport=polling"),
        ("GET", "EIO=4&transport=polling&sid=nobody"),
        ("POST", "EIO=4&transport=polling&sid=nobody"),
        ("GET", "EIO=4&transport=websocket"),  # without the headers of an upgrade
        ("POST", "EIO=4&transport=websocket"),
    ],
)
async def test_what_is_no_handshake_is_refused(echo: Echo, method: str, query: str) -> None:
    async with aiohttp.ClientSession() as http, http.request(method, f"{echo.url}/engine.io/?{query}") as answer:
        assert answer.status == 400
        assert method == "HEAD" or isinstance(await answer.json(content_type=None), str)


@pytest.mark.parametrize("query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=x"])
async def test_what_is_no_handshake_of_a_websocket_is_refused(echo: Echo, query: str) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{echo.url}/engine.io/?{query}")
        assert refused.value.status == 400


@pytest.mark.parametrize(("served", "asked"), [("polling", "websocket"), ("websocket", "polling")])
async def test_a_transport_that_is_not_served_is_refused(served: str, asked: str) -> None:
    async with echo_server(transports=[served]) as echo, aiohttp.ClientSession() as http:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade"} if asked == "websocket" else {}
        async with http.get(echo.url + PATH + asked, headers=headers) as answer:
            assert (answer.status, await answer.text()) == (400, '"Invalid transport"')
        if served == "polling":
            async with http.get(echo.url + PATH + served) as answer:
                handshake = json.loads((await answer.text())[1:])
            assert handshake["upgrades"] == []
            async with http.get(f"{echo.url}{PATH}websocket&sid={handshake['sid']}", headers=headers) as answer:
                assert answer.status == 400
            async with http.post(f"{echo.url}{PATH}polling&sid={handshake['sid']}", data="1") as answer:
                assert answer.status == 200


GOOD, BAD = "https://good.example", "https://bad.example"


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [("*", BAD, 200), (GOOD, GOOD, 200), (GOOD, BAD, 400), (GOOD, "null", 400), (GOOD, None, 200)],
)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_pages_of_foreign_origins_are_refused(
    allowed: str, origin: str | None, status: int, transport: str
) -> None:
    headers = {"Origin": origin} if origin else {}
    async with echo_server(origins=OriginRules("", frozenset([allowed]))) as echo, Polling(echo.url) as client:
        if transport == "websocket":
            with contextlib.suppress(aiohttp.WSServerHandshakeError):
                await client.http.ws_connect(echo.url + PATH + "websocket", headers=headers)
                assert status == 200
                return
            assert status == 400
            return
        async with client.http.get(echo.url + PATH + "polling", headers=headers) as answer:
            assert answer.status == status
            cors = answer.headers.get("Access-Control-Allow-Origin")
            assert cors == (origin if status == 200 else None)
            if status == 200:
                client.handshake = json.loads((await answer.text())[1:])
        if origin and status == 200:
            await client.post("4x")
            async with client.http.get(client.url, headers=headers) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == origin, "polls too"
                assert answer.headers["Access-Control-Allow-Credentials"] == "true"


async def test_a_preflight_request_names_what_is_allowed() -> None:
    async with echo_server(origins=OriginRules("", frozenset([GOOD]))) as echo, aiohttp.ClientSession() as http:
        asked = {"Origin": GOOD, "Access-Control-Request-Headers": "authorization"}
        async with http.options(echo.url + PATH + "polling", headers=asked) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Methods"] == "OPTIONS, GET, POST"
            assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
        async with http.options(echo.url + PATH + "polling", headers=asked | {"Origin": BAD}) as answer:
            assert answer.status == 400


async def test_an_application_may_turn_a_connection_away(echo: Echo) -> None:
    async def refuse(sid: str, environ: Any) -> bool:
        return False

    echo.eio.on("connect", refuse)
    async with aiohttp.ClientSession() as http:
        async with http.get(echo.url + PATH + "polling") as answer:
            assert answer.status == 401
        socket = await http.ws_connect(echo.url + PATH + "websocket", autoclose=False)
        await closed(socket)


# ---- messages over WebSockets


async def test_texts_and_bytes_come_back_as_they_were_sent(echo: Echo) -> None:
    async with websocket(echo.url) as socket:
        await socket.send_str("4hello")
        assert await socket.receive_str() == "4hello"
        await socket.send_bytes(b"\x01\x02\x03\x04")
        assert await socket.receive_bytes() == b"\x01\x02\x03\x04"
        await socket.send_str("4")
        assert await socket.receive_str() == "4"
    assert echo.heard == ["hello", b"\x01\x02\x03\x04", ""]


@pytest.mark.parametrize("garbage", ["abc", "", "9x", "b" + "AAAA", "2", "\x1e", "٤hello"])
async def test_garbage_ends_the_connection_and_no_other(echo: Echo, garbage: str) -> None:
    async with websocket(echo.url) as bystander, websocket(echo.url) as socket:
        await socket.send_str(garbage)
        assert await closed(socket) == 1008
        await until(lambda: len(echo.eio.sockets) == 1, PROMPT)
        await bystander.send_str("4still here")
        assert await bystander.receive_str() == "4still here"


@pytest.mark.parametrize("idle", ["0{}", "5", "6"])
async def test_packets_that_mean_nothing_here_do_nothing(echo: Echo, idle: str) -> None:
    async with websocket(echo.url) as socket:
        await socket.send_str(idle)
        await socket.send_str("4hello")
        assert await socket.receive_str() == "4hello"


async def test_a_message_may_have_as_many_bytes_as_the_limit_says_and_not_one_more(echo: Echo) -> None:
    async with websocket(echo.url) as socket:
        largest = "4" + "x" * (LIMIT - 1)
        await socket.send_str(largest)
        assert await socket.receive_str() == largest
        await socket.send_str(largest + "x")
        assert await closed(socket) == 1009


async def test_fragments_add_up_to_the_limit(echo: Echo) -> None:
    """Many small frames of one message are not a way around it."""
    async with websocket(echo.url) as socket:
        writer = socket._writer
        assert writer is not None
        transport = writer.transport
        assert transport is not None
        part = bytes((0x80 | 100,)) + bytes(4) + b"4" * 100  # masked with zeros
        transport.write(b"\x01" + part)
        with contextlib.suppress(ConnectionError):
            for _ in range(LIMIT // 100 + 1):
                transport.write(b"\x00" + part)
        assert await closed(socket) == 1009
    assert echo.heard == []


async def test_a_handler_that_fails_does_not_end_the_reader(echo: Echo) -> None:
    async def fails(sid: str, data: Any) -> None:
        if data == "bad":
            raise RuntimeError("broken")
        await echo.eio.send(sid, data)

    echo.eio.on("message", fails)
    async with websocket(echo.url) as socket:
        await socket.send_str("4bad")
        await socket.send_str("4good")
        assert await socket.receive_str() == "4good"


# ---- the end


async def test_a_client_may_end_with_a_packet(echo: Echo) -> None:
    async with websocket(echo.url) as socket:
        await socket.send_str("1")
        await socket.send_str("4too late")
        assert await closed(socket) == 1000
        await echo.emptied()
    assert list(echo.ended.values()) == ["client disconnect"]
    assert echo.heard == []


async def test_the_server_may_end_with_a_packet(echo: Echo) -> None:
    async with websocket(echo.url) as socket:
        await echo.eio.disconnect(echo.socket.sid)
        assert await socket.receive_str() == "1"
        assert await closed(socket) == 1000
        await echo.emptied()


async def test_a_restart_ends_without_a_packet_so_that_clients_come_back(echo: Echo) -> None:
    async with websocket(echo.url) as socket, Polling(echo.url) as client:
        await client.open()
        waiting = asyncio.create_task(client.poll())
        await until(lambda: any(each._polled for each in echo.eio.sockets.values()))
        await echo.eio.stop()
        assert await closed(socket) == 1012
        assert await waiting == ["6"]
        await client.gone()
        await echo.emptied()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_connection_that_breaks_is_forgotten_at_once(echo: Echo, how: str) -> None:
    async with websocket(echo.url) as socket:
        connection = socket._response.connection
        assert connection is not None and connection.transport is not None
        getattr(connection.transport, how)()
        await echo.emptied()
    assert list(echo.ended.values()) == ["transport close"]


async def test_a_client_that_is_gone_before_its_websocket_is_accepted_leaves_nothing(
    echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may = asyncio.Event(), asyncio.Event()
    accept = echo.eio.websockets.accept

    async def late(request: Any, **options: Any) -> Any:
        asked.set()
        await may.wait()
        return await accept(request, **options)

    monkeypatch.setattr(echo.eio.websockets, "accept", late)
    async with aiohttp.ClientSession() as http:
        connecting = asyncio.create_task(http.ws_connect(echo.url + PATH + "websocket"))
        await asked.wait()
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    await echo.missed()
    may.set()
    await echo.emptied()


async def test_closing_from_two_sides_at_once_ends_once(echo: Echo) -> None:
    ended: list[str] = []

    async def on_disconnect(sid: str, reason: str) -> None:
        await asyncio.sleep(0)  # a handler that lets others run
        ended.append(reason)

    echo.eio.on("disconnect", on_disconnect)
    async with websocket(echo.url) as socket:
        ours = echo.socket
        await socket.send_str("1")
        await asyncio.gather(ours.close(), ours.close(abort=True), echo.eio.disconnect(ours.sid))
        await closed(socket)
        await until(lambda: ended)
    await echo.emptied()
    assert len(ended) == 1


# ---- pings


async def test_a_websocket_that_answers_pings_stays() -> None:
    async with echo_server(**BRISK) as echo, websocket(echo.url) as socket:
        for _ in range(3):
            assert await socket.receive_str(timeout=2) == "2"
            await socket.send_str("3")
        assert len(echo.eio.sockets) == 1


async def test_a_websocket_that_does_not_answer_is_closed() -> None:
    """Without a CLOSE packet: a client whose machine slept for a while would stay away for good."""
    async with echo_server(**BRISK) as echo, websocket(echo.url) as socket:
        assert await socket.receive_str(timeout=2) == "2"
        assert (await socket.receive(timeout=PROMPT)).type is aiohttp.WSMsgType.CLOSE
        await socket.close()
        await echo.emptied()
        assert list(echo.ended.values()) == ["ping timeout"]


async def test_a_half_open_connection_is_forgotten_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer does not even answer the close frame."""
    monkeypatch.setattr("server.delivery.websocket.CLOSE_TIMEOUT", 0.2)
    async with echo_server(**BRISK) as echo:
        host, port = echo.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        upgrade = (
            f"GET {PATH}websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        writer.write(upgrade.encode())
        await until(lambda: len(echo.eio.sockets) == 1)
        await until(lambda: not echo.eio.sockets, PROMPT)
        async with asyncio.timeout(PROMPT):
            with contextlib.suppress(ConnectionError):
                while await reader.read(1000):
                    pass
        writer.close()


async def test_a_thousand_pongs_change_nothing() -> None:
    async with echo_server(ping_interval=0.3, ping_timeout=5.0) as echo, websocket(echo.url) as socket:
        for _ in range(1000):
            await socket.send_str("3")
        assert await socket.receive_str(timeout=2) == "2"
        for _ in range(1000):
            await socket.send_str("3")
        await socket.send_str("4hello")
        assert await socket.receive_str() == "4hello", "one ping was answered once"
        assert len(echo.eio.pings) == 1
        assert await socket.receive_str(timeout=2) == "2"


# ---- readers that do not read


async def test_a_websocket_that_does_not_read_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 0.05)
    monkeypatch.setattr("server.delivery.websocket.CLOSE_TIMEOUT", 0.1)
    async with echo_server(send_buffer_limit=50_000) as echo, websocket(echo.url) as socket:
        connection = socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.pause_reading()  # type: ignore[attr-defined]
        await echo.flood()
        connection.transport.abort()


async def test_a_polling_client_that_does_not_poll_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its request's connection stays: behind a router it may carry somebody else's request by now."""
    monkeypatch.setattr(backlog, "PATIENCE", 0.05)
    async with echo_server(send_buffer_limit=50_000) as echo, Polling(echo.url) as client:
        await client.open()
        await echo.flood()
        assert client.http.connector is not None
        assert len(client.http.connector._conns) == 1
        await client.gone()
