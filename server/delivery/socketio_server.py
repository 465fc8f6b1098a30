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
from engineio.packet import MESSAGE, Packet

from server.delivery.backlog import Backlog
from server.delivery.raw_sockets import CLOSE_TIMEOUT
from server.delivery.rooms import Client, RedisRoomsManager, Registry, RoomsManager
from server.delivery.subscribers import Link, Subscriber
from server.delivery.wire import Frame
from server.encoding import encode
from server.errors import CloseCode, Refused, Unavailable

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
        if not self.alive:
            return False
        self.server.eio.sockets[self.eio_sid].queue.put_nowait(frame)
        return True

    def backlog(self) -> int:
        size: int = self.server.eio.sockets[self.eio_sid].queue.size if self.alive else 0
        return size

    @property
    def alive(self) -> bool:
        return self.server.is_alive(self.eio_sid)

    def close(self, code: int, reason: str) -> None:
        """Socket.IO has no close codes: the namespace is left with a DISCONNECT packet, after which clients stay
        away; at a restart the whole connection is closed instead, after which they come back."""
        if code == CloseCode.RESTART:
            self.server.restart(self.eio_sid)
        else:
            self.server.expel(self)


def place(namespace: str) -> str:
    """How a packet names its namespace."""
    return "" if namespace == "/" else namespace + ","


UNAUTHORIZED = "Unauthorized"
UNAVAILABLE = "The server cannot look this up just now."
BINARY = ("5", "6")  # packet types BINARY_EVENT and BINARY_ACK
RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]
    """python-socketio's server around our registry. A namespace of ours lets clients in with `enter(eio_sid, environ,
    auth)`, which raises Refused or Unavailable, or welcomes the client."""

    def __init__(self, registry: Registry, *, send_buffer_limit: int, redis_url: str, channel: str, **options: Any):
        manager = RedisRoomsManager(registry, redis_url, channel) if redis_url else RoomsManager(registry)
        super().__init__(client_manager=manager, async_mode="aiohttp", **options)
        self.send_buffer_limit = send_buffer_limit
        self._tasks: set[asyncio.Task[Any]] = set()
        self._entering: set[tuple[str, str]] = set()  # (eio_sid, namespace) whose CONNECT is being looked at

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
        """Lets a client into a namespace, by that namespace's `enter`. One that fails or refuses leaves nothing."""
        name = namespace or "/"
        door = self.namespace_handlers.get(name)
        key = (eio_sid, name)
        if door is None:
            return self.refuse(eio_sid, name, "Invalid namespace")
        if key in self.manager.sids or key in self._entering:
            return self.refuse(eio_sid, name, "Already connected")
        self._entering.add(key)
        try:
            await door.enter(eio_sid, self.environ.get(eio_sid, {}), data)
        except Refused:
            self.refuse(eio_sid, name, UNAUTHORIZED)
        except Unavailable:
            self.refuse(eio_sid, name, UNAVAILABLE)
        except Exception:
            logger.exception("connect handler failed")
            self.refuse(eio_sid, name, "The server failed to connect this client.")
        finally:
            self._entering.discard(key)

    def refuse(self, eio_sid: str, namespace: str, message: str) -> None:
        """Answers a CONNECT with an error."""
        self.write(eio_sid, Packet(MESSAGE, f"4{place(namespace)}{encode({'message': message}).decode()}"))

    def welcome(self, eio_sid: str, namespace: str, subscriber: Subscriber) -> Client | None:
        """Enters a client and answers its CONNECT, in this turn of the event loop; a session's earlier connection is
        cut. None where the client is gone: then nothing was entered."""
        if not self.is_alive(eio_sid):
            return None
        self.take_over(subscriber.sid)
        client = Client(eio_sid, namespace, subscriber)
        self.manager.enter(client)
        answer = {"sid": subscriber.sid} | ({"pid": subscriber.session.pid} if subscriber.session else {})
        self.write(eio_sid, Packet(MESSAGE, f"0{place(namespace)}{encode(answer).decode()}"))
        return client

    def take_over(self, sid: str) -> None:
        """Forgets an earlier connection with this sid, half-open mostly, and cuts it; its late end finds nothing."""
        before = self.manager.clients.get(sid)
        if before is not None:
            self.manager.forget(before)
            self.cut(before.eio_sid)

    def expel(self, link: SocketIOLink) -> None:
        """Ends a client's stay in its namespace; an earlier connection of a session has no say in it any more."""
        client = self.manager.clients.get(link.sid)
        if client is not None and client.subscriber.link is link:
            link.write(Packet(MESSAGE, f"1{place(link.namespace)}"))
            self.leave(client, self.reason.SERVER_DISCONNECT)

    def leave(self, client: Client, reason: str) -> None:
        """Forgets a client, in this turn of the event loop, and tells its namespace."""
        self.manager.forget(client)
        self.namespace_handlers[client.namespace].left(client, reason)

    async def _handle_disconnect(self, eio_sid: str, namespace: str | None, reason: str | None = None) -> None:
        """A client has left its namespace, or its connection has ended."""
        client = self.manager.clients.get(self.manager.sid_from_eio_sid(eio_sid, namespace or "/"))
        if client is not None:
            self.leave(client, reason or self.reason.CLIENT_DISCONNECT)

    def link(self, sid: str, eio_sid: str, namespace: str) -> SocketIOLink:
        return SocketIOLink(self, sid, eio_sid, namespace)

    def write(self, eio_sid: str, packet: Packet) -> None:
        """Queues a packet for a connection, if it still stands."""
        if self.is_alive(eio_sid):
            self.eio.sockets[eio_sid].queue.put_nowait(packet)

    async def _handle_event(self, eio_sid: str, namespace: str | None, id: int | None, data: Any) -> None:
        """Takes an event of a client, but none with a name that the protocol keeps for itself: those would reach the
        handlers of connections with whatever arguments the client likes."""
        if isinstance(data, list) and data and isinstance(data[0], str) and data[0] not in RESERVED:
            client = self.manager.clients.get(self.manager.sid_from_eio_sid(eio_sid, namespace or "/"))
            if client is not None and client.resuming is not None:
                await client.resuming.wait()
            await super()._handle_event(eio_sid, namespace, id, data)

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
