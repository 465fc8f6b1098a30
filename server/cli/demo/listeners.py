"""The demo's clients, one of each style. Each keeps the messages it receives, with the time of arrival."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import socketio

from server.cli.demo.rest import DemoFailed
from server.cli.demo.stage import Stage

CORE, CORE_SOCKETIO, ITEMS, RECORDS = "raw /ws/core/", "Socket.IO /core", "Socket.IO /events", "endpoint socket"
HANDSHAKE = ("authentication", "page_add")
PATIENCE = 10.0  # seconds for connecting and subscribing


@dataclass
class Listener:
    """One connected client: what it received, as (seconds, message), in order."""

    name: str
    arrived: asyncio.Event
    received: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    greeting: list[dict[str, Any]] = field(default_factory=list)

    def take(self, message: dict[str, Any]) -> None:
        """Notes a message; those of the handshake apart."""
        now = time.perf_counter()
        if message.get("type") in HANDSHAKE:
            self.greeting.append(message)
        else:
            self.received.append((now, message))
        self.arrived.set()


async def connect_all(
    stack: contextlib.AsyncExitStack, http: aiohttp.ClientSession, url: str, stage: Stage, arrived: asyncio.Event
) -> list[Listener]:
    """Connects and subscribes all clients; `stack` closes them. Raises DemoFailed."""
    listeners = [Listener(name, arrived) for name in (CORE, CORE_SOCKETIO, ITEMS, RECORDS)]
    page = {"page": "table", "table_id": stage.table_id}
    try:
        async with asyncio.timeout(PATIENCE):
            core = await open_raw(stack, http, f"{url}/ws/core/?jwt_token={stage.token}", listeners[0])
            await core.send_str(orjson.dumps(page).decode())
            await open_socketio(stack, url, stage.token, listeners[1], ("page", page))
            await open_socketio(stack, url, stage.token, listeners[2], ("select-workspace", stage.workspace_id))
            await open_raw(stack, http, f"{url}/api/1/ce/{stage.endpoint}?key={stage.key}", listeners[3])
            while len(listeners[0].greeting) < len(HANDSHAKE):
                await arrived.wait()
                arrived.clear()
    except (TimeoutError, aiohttp.ClientError, socketio.exceptions.SocketIOError) as error:
        raise DemoFailed(f"a client could not connect: {error!r}") from error
    return listeners


async def open_raw(
    stack: contextlib.AsyncExitStack, http: aiohttp.ClientSession, url: str, listener: Listener
) -> aiohttp.ClientWebSocketResponse:
    """A WebSocket that is read until it ends."""
    socket = await stack.enter_async_context(http.ws_connect(url))

    async def read() -> None:
        async for frame in socket:
            listener.take(orjson.loads(frame.data))

    reader = asyncio.create_task(read())
    stack.callback(reader.cancel)
    return socket


async def open_socketio(
    stack: contextlib.AsyncExitStack, url: str, token: str, listener: Listener, subscribe: tuple[str, Any]
) -> None:
    """A Socket.IO client in the namespace that the listener's name ends with, subscribed."""
    namespace = listener.name.split()[-1]
    client = socketio.AsyncClient(reconnection=False)

    def take(event: str, argument: Any = None) -> None:
        listener.take(argument if namespace == "/core" else {"type": event, "data": argument})

    client.on("*", take, namespace=namespace)
    await client.connect(url, namespaces=[namespace], auth={"token": token}, transports=["websocket"])
    stack.push_async_callback(client.disconnect)
    reply = await client.call(*subscribe, namespace=namespace, timeout=PATIENCE)
    if not reply["ok"]:
        raise DemoFailed(f"{listener.name} refused {subscribe}: {reply}")
