"""Engine.IO by hand: a server that echoes, and clients that speak the protocol with nothing but aiohttp.

async with echo_server() as echo, Polling(echo.url) as client:
    await client.open()
    await client.post("4hello")
    assert await client.poll() == ["4hello"]
"""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

from server.delivery.engineio_server import EngineServer
from server.delivery.engineio_socket import EngineSocket
from server.delivery.outlet import Outlet
from server.delivery.websocket import WebSocketServer

PATIENCE = 10.0  # seconds until a condition that should hold is given up
PROMPT = 1.0  # seconds in which whatever ended must be forgotten
LIMIT = 100_000  # bytes of a message to the echo server
PATH = "/engine.io/?EIO=4&transport="


async def until(condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Waits until a condition of the server holds."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.002)


@dataclass
class Echo:
    """A running Engine.IO server that sends back every message, and what it was told."""

    eio: EngineServer
    url: str = ""
    heard: list[Any] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)  # sid -> reason
    requests: list[web.Request] = field(default_factory=list)

    async def on_connect(self, sid: str, environ: Any) -> None:
        """Takes everybody."""

    async def on_message(self, sid: str, data: Any) -> None:
        self.heard.append(data)
        await self.eio.send(sid, data)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        self.ended[sid] = reason

    async def flood(self) -> None:
        """Sends more than anybody could read, until the only connection is ended for it."""
        while self.eio.sockets:
            await self.eio.send(self.socket.sid, "x" * 20_000)
            assert not self.eio.sockets or self.socket.backlog() < 32 << 20
            await asyncio.sleep(0.001)

    async def missed(self) -> None:
        """Waits until the server knows that the client of its last request has gone."""
        await until(lambda: self.requests[-1].transport is None)

    @property
    def socket(self) -> EngineSocket:
        """The only connection."""
        (socket,) = self.eio.sockets.values()
        assert isinstance(socket, EngineSocket)
        return socket

    async def emptied(self) -> None:
        """Waits until no connection is known any more, promptly."""
        await until(lambda: not (self.eio.sockets or len(self.eio.pings) or self.eio._tasks), PROMPT)


def engine_sockets() -> int:
    """Connections that something still refers to."""
    gc.collect()
    return sum(isinstance(each, EngineSocket) for each in gc.get_objects())


def websocket_server(*, max_frame_size: int = 1 << 20, send_buffer_limit: int = 1 << 20) -> WebSocketServer:
    return WebSocketServer(Outlet(), heartbeat=25, max_frame_size=max_frame_size, send_buffer_limit=send_buffer_limit)


@asynccontextmanager
async def echo_server(*, send_buffer_limit: int = 1 << 20, **options: Any) -> AsyncIterator[Echo]:
    """A server on a free port; at the end its clients are gone, and nothing may be left of them."""
    given = {"ping_interval": 20.0, "ping_timeout": 20.0, "async_mode": "aiohttp"}
    websockets = websocket_server(max_frame_size=LIMIT, send_buffer_limit=send_buffer_limit)
    eio = EngineServer(websockets=websockets, **(given | options))
    echo = Echo(eio)
    for event in ("connect", "message", "disconnect"):
        eio.on(event, getattr(echo, f"on_{event}"))

    @web.middleware
    async def remember(request: web.Request, handler: Any) -> web.StreamResponse:
        echo.requests.append(request)
        answer: web.StreamResponse = await handler(request)
        return answer

    app = web.Application(middlewares=[remember])
    eio.attach(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, lingering_time=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    echo.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    before: set[Any] = set(asyncio.all_tasks())
    try:
        yield echo
        await echo.emptied()
    finally:
        await eio.stop()
        await websockets.stop()
        await runner.cleanup()
    before.add(asyncio.current_task())  # of a fixture, the end runs in a task of its own
    await until(lambda: not asyncio.all_tasks() - before, PROMPT)
    echo.requests.clear()
    await until(lambda: engine_sockets() == 0, PROMPT)  # a look at a backlog may still be due


class Polling:
    """A client that polls; every request has a connection of its own, so that they may overlap."""

    def __init__(self, url: str, path: str = PATH) -> None:
        self.base = url + path
        self.http = aiohttp.ClientSession()
        self.handshake: dict[str, Any] = {}
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.handshake and not self.closed:
            await self.request("POST", "1")
        await self.http.close()

    @property
    def url(self) -> str:
        return f"{self.base}polling&sid={self.handshake['sid']}"

    async def open(self) -> Self:
        """Begins a connection."""
        async with self.http.get(self.base + "polling") as answer:
            assert answer.status == 200, await answer.text()
            text = await answer.text()
        assert text[0] == "0"
        self.handshake = json.loads(text[1:])
        return self

    async def request(self, method: str, body: str | bytes | None = None, **kwargs: Any) -> tuple[int, str]:
        """Status and text of the answer."""
        async with self.http.request(method, self.url, data=body, **kwargs) as answer:
            return answer.status, await answer.text()

    async def poll(self) -> list[str]:
        """The packets of a poll, which must succeed."""
        status, text = await asyncio.wait_for(self.request("GET"), PATIENCE)
        assert status == 200, text
        return text.split("\x1e")

    async def post(self, body: str | bytes) -> None:
        """Sends packets, which must be taken."""
        assert await self.request("POST", body) == (200, "ok")

    async def gone(self) -> None:
        """The connection must have ended: a poll is refused."""
        assert (await self.request("GET"))[0] == 400
        self.closed = True

    async def websocket(self) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket that could take over."""
        return await self.http.ws_connect(f"{self.base}websocket&sid={self.handshake['sid']}", autoclose=False)

    async def upgrade(self) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket that has taken over, as the official client does it while a poll waits."""
        socket = await self.websocket()
        waiting = asyncio.create_task(self.poll())
        await socket.send_str("2probe")
        assert await socket.receive_str(timeout=PATIENCE) == "3probe"
        assert await waiting == ["6"]
        await socket.send_str("5")
        self.closed = True
        return socket


@asynccontextmanager
async def websocket(url: str, path: str = PATH) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection that begins as a WebSocket; its OPEN packet is taken."""
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}{path}websocket", autoclose=False) as socket:
        assert (await socket.receive_str(timeout=PATIENCE))[0] == "0"
        yield socket


async def closed(socket: aiohttp.ClientWebSocketResponse) -> int:
    """Waits for the close frame, promptly, and answers it; what comes before is left out. Its code."""
    async with asyncio.timeout(PROMPT):
        while True:
            message = await socket.receive()
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                await socket.close()
                return message.data if message.type is aiohttp.WSMsgType.CLOSE else 1006
