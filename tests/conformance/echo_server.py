"""The server that the protocols' official test suites are pointed at, made of the project's own classes.

    python -m tests.conformance.echo_server

It takes PORT (3000), PING_INTERVAL and PING_TIMEOUT (0.3 and 0.2 seconds, as the suites expect) from
the environment. Socket.IO is on `/socket.io/`, with the namespaces `/` and `/custom`; with ENGINEIO_ONLY=1 there is
plain Engine.IO on `/engine.io/` instead. Either says back what it is told.
"""

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import socketio
from aiohttp import web

from server.delivery.engineio_server import EngineServer
from server.delivery.engineio_socket import EngineSocket
from server.delivery.rooms import Client, Registry
from server.delivery.socketio_server import SocketIOLink, SocketIOServer
from server.delivery.subscribers import Subscriber
from tests.support.engineio import websocket_server

MAX_PAYLOAD = 1_000_000  # bytes, which the suites expect in the handshake


class EchoNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Lets everybody in, tells what CONNECT carried, and says back what it is told."""

    server: SocketIOServer

    async def enter(self, engine: EngineSocket, auth: Any) -> None:
        registry = self.server.manager.registry
        sid = self.server.eio.generate_id()
        link = SocketIOLink(self.server, sid, engine, self.namespace)
        subscriber = Subscriber(registry.progress, sid, None, None, link)
        if self.server.welcome(engine, self.namespace, subscriber) is not None:
            registry.add(subscriber)
            await self.emit("auth", auth or {}, to=sid)

    def left(self, client: Client, reason: str) -> None:
        """Nothing was kept."""

    async def on_message(self, sid: str, *arguments: Any) -> None:
        await self.emit("message-back", arguments, to=sid)

    async def on_message_with_ack(self, sid: str, *arguments: Any) -> tuple[Any, ...]:
        return arguments


def make_app(environ: dict[str, str]) -> web.Application:
    """The application that these variables ask for."""
    websockets = websocket_server(max_frame_size=MAX_PAYLOAD)
    options: dict[str, Any] = {
        "websockets": websockets,
        "ping_interval": float(environ.get("PING_INTERVAL", "0.3")),
        "ping_timeout": float(environ.get("PING_TIMEOUT", "0.2")),
        "cors_allowed_origins": "*",
    }
    only_engine = environ.get("ENGINEIO_ONLY") == "1"
    server = engine_server(options) if only_engine else socketio_server(options)

    async def serving(app: web.Application) -> AsyncIterator[None]:
        yield
        await server.stop()
        await websockets.stop()

    app = web.Application()
    server.attach(app)
    app.cleanup_ctx.append(serving)
    return app


def engine_server(options: dict[str, Any]) -> EngineServer:
    """Plain Engine.IO that sends back every message."""
    server = EngineServer(async_mode="aiohttp", **options)
    server.on("message", server.send)
    return server


def socketio_server(options: dict[str, Any]) -> SocketIOServer:
    """Socket.IO with two namespaces, without recovery."""
    server = SocketIOServer(Registry(), redis_url="", channel="", **options)
    for name in ("/", "/custom"):
        server.register_namespace(EchoNamespace(name))
    return server


def loopback(port: int) -> list[socket.socket]:
    """What `localhost` may mean to a client, as far as this machine has it."""
    found = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with contextlib.suppress(OSError):
            found.append(socket.create_server((host, port), family=family))
    return found


if __name__ == "__main__":
    web.run_app(make_app(dict(os.environ)), sock=loopback(int(os.environ.get("PORT", "3000"))))
