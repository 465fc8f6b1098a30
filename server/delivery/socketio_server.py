"""The Socket.IO server: python-socketio's, with our registry, bounded outboxes and namespaces' wires.

Invariants: every packet of a connection takes one ordered path, the Engine.IO socket's queue; a reader that
lets more than the limit wait there, and makes no progress, is cut.
"""

import asyncio
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import engineio
import socketio
from aiohttp import web
from engineio.async_drivers.aiohttp import WebSocket
from socketio import packet

from server.delivery.backlog import Backlog
from server.delivery.raw_sockets import CLOSE_TIMEOUT
from server.delivery.rooms import RedisRoomsManager, Registry, RoomsManager
from server.delivery.subscribers import Link, Subscriber
from server.delivery.wire import SOCKETIO_WIRES, Frame
from server.errors import CloseCode

logger = logging.getLogger(__name__)


class Outbox(asyncio.Queue[Any], Backlog):
    """The queue of an Engine.IO socket: everything that is sent to it passes here, acknowledgements and pings too."""

    size: int
    end: Callable[[], None]

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self.size, self.seen = 0, None
        self.limit = sys.maxsize  # until the connection is known, see SocketIOServer._handle_eio_connect

    def backlog(self) -> int:
        return self.size

    def cut(self) -> None:
        self.end()

    def _put(self, item: Any) -> None:
        self.size += weight(item)
        super()._put(item)
        self.watch()

    def _get(self) -> Any:
        item = super()._get()
        self.size -= weight(item)
        return item


def weight(packet: Any) -> int:
    """Bytes of a packet, near enough; None is the end mark of the queue."""
    data = getattr(packet, "data", None)
    return len(data) if isinstance(data, str | bytes) else 64


class EngineWebSocket(WebSocket):  # type: ignore[misc]
    """The WebSocket of an Engine.IO connection, which knows how it ends."""

    def __init__(self, handler: Any, server: Any) -> None:
        super().__init__(handler, server)
        self.code = int(CloseCode.GOODBYE)
        handler.__self__.websocket = self  # the Engine.IO socket finds its transport

    async def __call__(self, environ: dict[str, Any]) -> Any:
        """Accepts without compression: deflating a broadcast anew for every socket costs more than its bytes."""
        size = self.server.max_http_buffer_size
        self._sock = web.WebSocketResponse(max_msg_size=size, compress=False, timeout=CLOSE_TIMEOUT)
        self.request = environ["aiohttp.request"]
        await self._sock.prepare(self.request)
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def close(self) -> None:
        await self._sock.close(code=self.code)


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]
    """Engine.IO with bounded outboxes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._async: dict[str, Any] = {**self._async, "websocket": EngineWebSocket}

    async def _trigger_event(self, event: str, *args: Any, **kwargs: Any) -> Any:
        """Answers the waiting poll of a connection that ended; it would wait until the next ping otherwise."""
        result = await super()._trigger_event(event, *args, **kwargs)
        socket = self.sockets.get(args[0]) if event == "disconnect" else None
        if socket is not None and not socket.upgraded:
            # soon: after the CLOSE packet, if there is to be one
            asyncio.get_running_loop().call_soon(socket.queue.put_nowait, None)
        return result

    def create_queue(self, *args: Any, **kwargs: Any) -> Outbox:
        return Outbox(*args, **kwargs)


class SocketIOLink(Link):
    """Writes into the outbox of an Engine.IO socket."""

    __slots__ = ("eio_sid", "namespace", "server", "sid")

    def __init__(self, server: "SocketIOServer", sid: str, eio_sid: str, namespace: str) -> None:
        self.server = server
        self.sid = sid
        self.eio_sid = eio_sid
        self.namespace = namespace

    def write(self, frame: Frame) -> bool:
        if not self.server.is_alive(self.eio_sid):
            return False
        self.server.eio.sockets[self.eio_sid].queue.put_nowait(frame)
        return True

    def close(self, code: int, reason: str) -> None:
        """Socket.IO has no close codes: the namespace is left with a DISCONNECT packet, after which clients stay
        away; at a restart the whole connection is closed instead, after which they come back."""
        if code == CloseCode.RESTART:
            self.server.restart(self.eio_sid)
        else:
            self.server.spawn(self.server.disconnect(self.sid, namespace=self.namespace))


BINARY = ("5", "6")  # packet types BINARY_EVENT and BINARY_ACK
RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]
    """python-socketio's server around our registry. `subscriber` is what the registry enters for a new client."""

    def __init__(self, registry: Registry, *, send_buffer_limit: int, redis_url: str, channel: str, **options: Any):
        manager = RedisRoomsManager(registry, redis_url, channel) if redis_url else RoomsManager(registry)
        super().__init__(client_manager=manager, async_mode="aiohttp", **options)
        self.send_buffer_limit = send_buffer_limit
        self._tasks: set[asyncio.Task[Any]] = set()

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Passes packets on, but for what is none, and for those with attachments: no event of ours has any, and they
        would be waited for without end, in memory without bound."""
        if not isinstance(data, str) or data[:1] in BINARY:
            return
        try:
            self.packet_class(encoded_packet=data)
        except (ValueError, IndexError, TypeError, RecursionError):
            return
        await super()._handle_eio_message(eio_sid, data)

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> Any:
        queue = self.eio.sockets[eio_sid].queue
        queue.limit, queue.end = self.send_buffer_limit, partial(self.cut, eio_sid)
        return await super()._handle_eio_connect(eio_sid, environ)

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: Any) -> None:
        """Lets a client into a namespace. A connect handler that fails refuses it and leaves nothing behind."""
        try:
            await super()._handle_connect(eio_sid, namespace, data)
        except Exception:
            logger.exception("connect handler failed")
            sid = self.manager.sid_from_eio_sid(eio_sid, namespace or "/")
            if sid is not None and self.manager.is_pre_connected(sid, namespace or "/"):
                self.manager.basic_disconnect(sid, namespace or "/")
            error = {"message": "The server failed to connect this client."}
            refusal = self.packet_class(packet.CONNECT_ERROR, data=error, namespace=namespace)
            await self._send_packet(eio_sid, refusal)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        """Takes an event of a client, but none with a name that the protocol keeps for itself: those would reach the
        handlers of connections with whatever arguments the client likes."""
        if isinstance(data, list) and data and isinstance(data[0], str) and data[0] not in RESERVED:
            await super()._handle_event(eio_sid, namespace, id, data)

    def subscriber(self, sid: str, eio_sid: str, namespace: str) -> Subscriber:
        link = SocketIOLink(self, sid, eio_sid, namespace)
        return Subscriber(sid, None, SOCKETIO_WIRES.get(namespace), link)

    def subscriber_of(self, sid: str) -> Subscriber:
        """The registry's entry of a connected client."""
        found: Subscriber = self.manager.clients[sid].subscriber
        return found

    def is_alive(self, eio_sid: str) -> bool:
        """True while the Engine.IO connection stands."""
        socket = self.eio.sockets.get(eio_sid)
        return socket is not None and not (socket.closing or socket.closed)

    def cut(self, eio_sid: str) -> None:
        """Drops a connection that does not read; what is queued is lost to it."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is not None:
            self.spawn(socket.close(wait=False, abort=True))
            self.drop(socket)

    def drop(self, socket: Any) -> None:
        """Ends the transport of an Engine.IO connection without a word."""
        websocket = getattr(socket, "websocket", None)
        request = (
            websocket.request if websocket is not None else self.environ.get(socket.sid, {}).get("aiohttp.request")
        )
        if request is not None and request.transport is not None:
            request.transport.abort()

    def restart(self, eio_sid: str) -> None:
        """Ends a connection after what is queued, with close code 1012 and without a CLOSE packet, after which
        python-socketio's client would not come back; a waiting poll is answered, the next one meets nobody."""
        socket = self.eio.sockets.get(eio_sid)
        if socket is None or socket.closed:
            return
        if socket.upgraded:
            socket.websocket.code = int(CloseCode.RESTART)
            socket.queue.put_nowait(None)  # the end mark
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.drop, socket)  # if it is never read
        else:
            self.spawn(socket.close(wait=False, abort=True, reason=self.reason.SERVER_DISCONNECT))

    def spawn(self, work: Any) -> None:
        """Runs a coroutine on its own, keeping a reference until it ends."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Ends all connections and background tasks."""
        for socket in list(self.eio.sockets.values()):
            await socket.close(wait=False, reason=self.reason.SERVER_DISCONNECT)
        await self.shutdown()
        thread = getattr(self.manager, "thread", None)
        if thread is not None:
            thread.cancel()
            await asyncio.gather(thread, return_exceptions=True)
        redis = getattr(self.manager, "redis", None)
        if redis is not None:
            await redis.aclose()
