"""Engine.IO over HTTP: who may open a connection, and which request belongs to which.

Invariants: python-engineio's server is what python-socketio talks to; every request and every connection is ours, so
none of its tasks, queues and transports are used. Private hooks of it are overridden or called;
`tests/unit/test_engineio_server.py` pins them. A connection that ended is forgotten at once.
"""

import asyncio
import base64
import json
import logging
import os
from collections.abc import Coroutine
from typing import Any

import engineio
from aiohttp import hdrs, web
from engineio.packet import OPEN

from server.addresses import client_host
from server.auth.origins import OriginRules
from server.delivery.engineio_socket import EngineSocket, Handshake
from server.delivery.pings import Pings
from server.delivery.websocket import WebSocketServer
from server.delivery.websocket_handshake import UPGRADED, NoHandshake
from server.delivery.wire import Frame, websocket_frame
from server.encoding import encode

logger = logging.getLogger(__name__)
ANY_PAGE = OriginRules("", frozenset("*"))
UNSUPPORTED = "The client is using an unsupported version of the Socket.IO or Engine.IO protocols"


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]
    """python-engineio's server, with transports of our own. Of its options these count: `ping_interval`,
    `ping_timeout` and `transports`."""

    def __init__(self, *args: Any, websockets: WebSocketServer, origins: OriginRules = ANY_PAGE, **kwargs: Any) -> None:
        super().__init__(*args, monitor_clients=False, max_http_buffer_size=websockets.max_frame_size, **kwargs)
        self.websockets = websockets
        self.limits = websockets.limits
        self.origins = origins
        self.send_buffer_limit = websockets.send_buffer_limit
        self.patience = self.ping_interval + self.ping_timeout
        self.pings = Pings(self.ping_interval, self.ping_timeout)
        self._tasks: set[asyncio.Task[Any]] = set()
        terms = {
            "pingTimeout": int(self.ping_timeout * 1000),
            "pingInterval": int(self.ping_interval * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        self._terms = encode(terms)[1:]  # the rest of each greeting

    def attach(self, app: web.Application, engineio_path: str = "engine.io") -> None:
        """Serves a path of an application."""
        app.router.add_route("*", f"/{engineio_path.strip('/')}/", self.handle_request)

    async def handle_request(self, request: web.Request) -> web.StreamResponse:
        """Any request to the path of the server."""
        if not self.admits(request):
            return self.reply(request, 400, f"{request.headers[hdrs.ORIGIN]} is not an accepted origin.")
        if request.method == hdrs.METH_OPTIONS:
            return self.reply(request, 200, "OK")
        if reason := self.reason_to_refuse(request):
            return self.reply(request, 400, reason)
        if request.query["transport"] == "websocket":
            return await self.serve_websocket(request)
        return await self.serve_polling(request)

    def admits(self, request: web.Request) -> bool:
        """False for a page that may not connect."""
        origin = request.headers.get(hdrs.ORIGIN)
        return origin is None or self.origins.admits(origin, client_host(request))

    def reason_to_refuse(self, request: web.Request) -> str:
        """Why a request is none of the protocol; empty when it is one."""
        transport, sid = request.query.get("transport", ""), request.query.get("sid")
        if transport not in self.transports:
            return "Invalid transport"
        if sid is None and request.query.get("EIO") != "4":
            return UNSUPPORTED
        if request.method != hdrs.METH_GET and (request.method != hdrs.METH_POST or transport == "websocket"):
            return "Invalid method"
        if sid is None:
            return "" if request.method == hdrs.METH_GET else "Invalid session"
        return self.reason_to_end(sid, transport)

    def reason_to_end(self, sid: str, transport: str) -> str:
        """Why a connection does not take a request."""
        socket: EngineSocket | None = self.sockets.get(sid)
        if socket is None or self.pings.overdue(socket):
            return "Invalid session"
        if socket.upgraded:
            return "Unexpected HTTP request"
        return "Unexpected websocket upgrade" if transport == "websocket" and socket.upgrading else ""

    # ---- transports

    async def serve_polling(self, request: web.Request) -> web.StreamResponse:
        """A poll, the first of a connection too, or what a client sends."""
        sid = request.query.get("sid")
        socket = self.sockets[sid] if sid is not None else self.arrive(request)
        if request.method == hdrs.METH_POST:
            status = await socket.post(request)
            return self.reply(request, status, POSTED.get(status, "Bad request"))
        if sid is None and not await self.begin(socket):
            return self.reply(request, 401, "Unauthorized")
        answer: web.StreamResponse | None = await socket.poll(request, self.cors(request))
        return answer or self.reply(request, 400, "Another poll waits already")

    def arrive(self, request: web.Request) -> EngineSocket:
        """A connection that begins by polling, and is counted until it ends, upgraded or not; raises TooMany."""
        address = self.limits.arrive(request)
        self.limits.enter(address)
        return EngineSocket(self, self.generate_id(), Handshake.of(request), address=address)

    async def serve_websocket(self, request: web.Request) -> web.StreamResponse:
        """A connection that begins as a WebSocket, or the upgrade of one that polls."""
        sid = request.query.get("sid")
        socket: EngineSocket | None = self.sockets[sid] if sid is not None else None
        if socket is not None:
            socket.upgrading = True  # before anything is awaited, so that there is one upgrade at a time
        try:
            link = await self.websockets.accept(request, heartbeat=False, upgrade=socket is not None)
            agreed = await socket.upgrade(link) if socket is not None else True
        except NoHandshake:
            return self.reply(request, 400, "Invalid websocket upgrade")
        except ConnectionError:
            return web.Response()  # nobody is there to read it
        finally:
            if socket is not None:
                socket.upgrading = False
        if socket is None:
            socket = EngineSocket(self, self.generate_id(), Handshake.of(request), link)
            await self.begin(socket)
        if agreed:
            link.begin(socket.hear, socket.gone)
        return UPGRADED

    async def begin(self, socket: EngineSocket) -> bool:
        """Enters a new connection, and greets it; False where the application does not want it."""
        self.sockets[socket.sid] = socket
        socket.write(self.greeting(socket))
        self.pings.begin(socket)
        wanted = False
        try:
            wanted = await self.trigger("connect", socket.sid, {}) is not False
        finally:
            if not wanted:
                await socket.close(abort=True)
        return wanted

    def greeting(self, socket: EngineSocket) -> Frame:
        """The OPEN packet of a connection."""
        upgrades = b"" if socket.upgraded or "websocket" not in self.transports else b'"websocket"'
        return websocket_frame(b'%d{"sid":"%b","upgrades":[%b],%b' % (OPEN, socket.sid.encode(), upgrades, self._terms))

    # ---- answers

    def reply(self, request: web.Request, status: int, text: str) -> web.Response:
        """An answer that carries no packets; the reason of a refusal is JSON, as clients of python-engineio expect."""
        body = text if status == 200 else json.dumps(text)
        answer = web.Response(status=status, text=body, headers=self.cors(request))
        if status == 413:
            answer.force_close()  # nobody reads the rest of what is being sent
        return answer

    def cors(self, request: web.Request) -> dict[str, str]:
        """What a page may read of an answer, and send. Its cookies may come along, as those of a router that sends a
        client's requests to one process do; as a credential they count for own and listed pages only."""
        headers: dict[str, str] = {hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true", hdrs.VARY: "Origin"}
        if (origin := request.headers.get(hdrs.ORIGIN)) is not None and self.admits(request):
            headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        if request.method == hdrs.METH_OPTIONS:
            headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = "OPTIONS, GET, POST"
        if (wanted := request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)) is not None:
            headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = wanted
        return headers

    # ---- tasks and events

    def generate_id(self) -> str:
        """A name that cannot be guessed, for a connection or a client."""
        return base64.urlsafe_b64encode(os.urandom(15)).decode()

    async def trigger(self, event: str, *arguments: Any) -> Any:
        """Calls the handler of an event. What it raises is logged and costs nothing else, but refuses a connection."""
        handler = self.handlers.get(event)
        try:
            return await handler(*arguments) if handler is not None else None
        except Exception:
            logger.exception("the handler of an Engine.IO %s failed", event)
            return False

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs a coroutine on its own, keeping a reference until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Ends all connections, in the way after which clients come back, and waits for what was spawned."""
        for socket in list(self.sockets.values()):
            socket.restart()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pings.stop()


POSTED = {200: "ok", 413: "The request is too large"}
