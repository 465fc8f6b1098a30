"""The Socket.IO server: python-socketio's, with our registry, our Engine.IO and namespaces' wires.

Invariants: what a client sends reaches a handler only as an event of a namespace that let it in, and what is not of the
protocol, or not due, ends its connection; an event that asks for an answer gets one; a client is entered and answered
in one turn of the event loop, and left in one; an earlier connection of a sid changes nothing any more.
"""

import asyncio
import logging
from typing import Any

import socketio

from server.delivery.deadlines import Deadlines
from server.delivery.engineio_server import EngineServer
from server.delivery.engineio_socket import TRANSPORT_ERROR, EngineSocket
from server.delivery.limits import Verdict
from server.delivery.packets import ACK, CONNECT, DISCONNECT, EVENT, MalformedPacket, Packet, read_packet
from server.delivery.rooms import Client, RedisRoomsManager, Registry, RoomsManager
from server.delivery.socketio_events import answer_event, failure
from server.delivery.subscribers import Link, Subscriber
from server.delivery.websocket import WebSocket, WebSocketServer
from server.delivery.wire import Frame, websocket_frame
from server.encoding import encode
from server.errors import TOO_MANY_MESSAGES, CloseCode, Refused, TooMany, Unavailable
from server.metrics import Limit, met

logger = logging.getLogger(__name__)


class SocketIOLink(Link):
    """Writes to an Engine.IO connection; several namespaces may share it."""

    __slots__ = ("engine", "namespace", "server", "sid")

    def __init__(self, server: "SocketIOServer", sid: str, engine: EngineSocket, namespace: str) -> None:
        self.server = server
        self.sid = sid
        self.engine = engine
        self.namespace = namespace

    def write(self, frame: Frame) -> bool:
        link = self.engine.link
        return link.write(frame) if link is not None else self.engine.write(frame)

    @property
    def socket(self) -> WebSocket | None:
        return self.engine.link

    def backlog(self) -> int:
        return self.engine.backlog() if self.alive else 0

    @property
    def alive(self) -> bool:
        return self.engine.alive

    def close(self, code: int, reason: str) -> None:
        """Socket.IO has no close codes: the namespace is left with a DISCONNECT packet, after which clients stay
        away; at a restart the whole connection is closed instead, after which they come back."""
        if code == CloseCode.RESTART:
            self.engine.restart()
        else:
            self.server.expel(self)


def packet(kind: str, namespace: str, body: Any = None) -> Frame:
    """A packet of Socket.IO about a namespace."""
    place = "" if namespace == "/" else namespace + ","
    return websocket_frame(f"4{kind}{place}".encode() + (encode(body) if body is not None else b""))


UNAUTHORIZED = "Unauthorized"
UNAVAILABLE = "The server cannot look this up just now."


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]
    """python-socketio's server around our registry. A namespace of ours lets clients in with `enter(engine, auth)`,
    which raises Refused or Unavailable, or welcomes the client; `left(client, reason)` tells it that one has gone; its
    coroutine methods `on_…` are the handlers of events, with dots and hyphens of names as underscores."""

    def __init__(
        self,
        registry: Registry,
        *,
        websockets: WebSocketServer,
        redis_url: str,
        channel: str,
        connect_timeout: float = 10.0,
        **options: Any,
    ) -> None:
        manager = RedisRoomsManager(registry, redis_url, channel) if redis_url else RoomsManager(registry)
        super().__init__(client_manager=manager, async_mode="aiohttp", websockets=websockets, **options)
        self.limits = websockets.limits
        self._entering: set[tuple[str, str]] = set()  # (eio_sid, namespace) whose CONNECT is being looked at
        self._partial: dict[str, Packet] = {}  # by eio_sid: what waits for its attachments
        self._idle: Deadlines[str] = Deadlines(connect_timeout, self._look_at)  # eio_sids that may be in no namespace

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    async def _handle_eio_connect(self, eio_sid: str, environ: Any) -> None:
        """A connection has begun, and is to enter a namespace soon."""
        await super()._handle_eio_connect(eio_sid, environ)
        self._idle.start(eio_sid)

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        """A connection has ended, and with it its stay in all namespaces."""
        await super()._handle_eio_disconnect(eio_sid, reason)
        self._partial.pop(eio_sid, None)
        self._idle.cancel(eio_sid)

    def _look_at(self, eio_sid: str, _: float) -> None:
        """Ends a connection that is in no namespace; one whose CONNECT is being looked at gets as long again."""
        engine = self.eio.sockets.get(eio_sid)
        if engine is None or any((eio_sid, name) in self.manager.sids for name in self.namespace_handlers):
            return
        if any((eio_sid, name) in self._entering for name in self.namespace_handlers):
            self._idle.start(eio_sid)
        else:
            met(Limit.CONNECT_TIME)
            self.eio.spawn(engine.close(abort=True))

    async def _handle_eio_message(self, eio_sid: str, data: Any) -> None:
        """Takes a message; one that is no packet, or none that is due, ends the connection."""
        engine = self.eio.sockets.get(eio_sid)
        if engine is None:
            return
        try:
            packet = self._packet(eio_sid, data)
            if packet.missing:
                self._partial[eio_sid] = packet
            else:
                await self._take(engine, packet)
        except MalformedPacket:
            if engine.link is not None:
                engine.link.close(CloseCode.MALFORMED, "malformed")
            await engine.close(abort=True, reason=TRANSPORT_ERROR)

    def _packet(self, eio_sid: str, data: Any) -> Packet:
        """The packet that a message is, begins or completes; raises MalformedPacket, also for what is not due: a second
        CONNECT, and everything else in a namespace that the client is not in."""
        waiting = self._partial.pop(eio_sid, None)
        if isinstance(data, str) != (waiting is None):
            raise MalformedPacket
        packet = waiting or read_packet(data, self.limits.max_depth)
        key = (eio_sid, packet.namespace)
        inside = key in self.manager.sids or (packet.kind == CONNECT and key in self._entering)
        if inside == (packet.kind == CONNECT):
            raise MalformedPacket
        if waiting is not None:
            waiting.attach(data, self.eio.max_http_buffer_size)
        return packet

    async def _take(self, engine: EngineSocket, packet: Packet) -> None:
        """Handles a packet of a client that may send it."""
        if self._is_too_much(engine, packet):
            return
        if packet.kind == CONNECT:
            await self._connect(engine, packet.namespace, packet.data)
            return
        client = self.manager.clients[self.manager.sids[engine.sid, packet.namespace]]
        if packet.kind == DISCONNECT:
            self.leave(client, self.reason.CLIENT_DISCONNECT)
        elif packet.kind == EVENT:
            await self._event(client, packet)
        elif packet.id:  # where python-socketio keeps callbacks, 0 is something else
            await self.manager.trigger_callback(client.subscriber.sid, packet.id, packet.data)

    def _is_too_much(self, engine: EngineSocket, packet: Packet) -> bool:
        """Whether a client says more than it may: it is told so, and soon its connection ends, in the way after which
        clients come back."""
        verdict = self.limits.judge(engine)
        if verdict and packet.kind == CONNECT:
            self.refuse(engine, packet.namespace, TOO_MANY_MESSAGES.detail)
        elif verdict and packet.kind == EVENT and packet.id is not None:
            answer = [failure(TOO_MANY_MESSAGES.code, TOO_MANY_MESSAGES.detail)]
            ack = self.packet_class(ACK, namespace=packet.namespace, id=packet.id, data=answer)
            engine.write(websocket_frame(f"4{ack.encode()}".encode()))
        if verdict is Verdict.ENOUGH:
            engine.restart(CloseCode.RATE, "too many messages")
        return verdict is not Verdict.FINE

    async def _connect(self, engine: EngineSocket, name: str, data: Any) -> None:
        """Lets a client into a namespace, by that namespace's `enter`. One that fails or refuses leaves nothing."""
        door = self.namespace_handlers.get(name)
        if door is None:
            return self.refuse(engine, name, "Invalid namespace")
        key = (engine.sid, name)
        self._entering.add(key)
        try:
            await door.enter(engine, data)
        except Refused:
            self.refuse(engine, name, UNAUTHORIZED)
        except Unavailable:
            self.refuse(engine, name, UNAVAILABLE)
        except TooMany as error:
            self.refuse(engine, name, error.kind.detail)
        except Exception:
            logger.exception("connect handler failed")
            self.refuse(engine, name, "The server failed to connect this client.")
        finally:
            self._entering.discard(key)

    def refuse(self, engine: EngineSocket, namespace: str, message: str) -> None:
        """Answers a CONNECT with an error."""
        engine.write(packet("4", namespace, {"message": message}))

    def welcome(self, engine: EngineSocket, namespace: str, subscriber: Subscriber) -> Client | None:
        """Enters a client and answers its CONNECT, in this turn of the event loop; a session's earlier connection is
        cut. None where the client is gone: then nothing was entered."""
        if not engine.alive:
            return None
        self.take_over(subscriber.sid)
        client = Client(engine.sid, namespace, subscriber)
        self.manager.enter(client)
        answer = {"sid": subscriber.sid} | ({"pid": subscriber.session.pid} if subscriber.session else {})
        engine.write(packet("0", namespace, answer))
        return client

    def take_over(self, sid: str) -> None:
        """Forgets an earlier connection with this sid, half-open mostly, and cuts it; its late end finds nothing."""
        before = self.manager.clients.get(sid)
        if before is not None:
            self.manager.forget(before)
            before.subscriber.link.close(CloseCode.RESTART, "the session goes on elsewhere")

    def expel(self, link: SocketIOLink) -> None:
        """Ends a client's stay in its namespace; an earlier connection of a session has no say in it any more."""
        client = self.manager.clients.get(link.sid)
        if client is not None and client.subscriber.link is link:
            link.write(packet("1", link.namespace))
            self.leave(client, self.reason.SERVER_DISCONNECT)

    def leave(self, client: Client, reason: str) -> None:
        """Forgets a client, in this turn of the event loop, and tells its namespace."""
        self.manager.forget(client)
        self._idle.start(client.eio_sid)
        self.namespace_handlers[client.namespace].left(client, reason)

    async def _handle_disconnect(self, eio_sid: str, namespace: str | None, reason: str | None = None) -> None:
        """A client has left its namespace, or its connection has ended."""
        client = self.manager.clients.get(self.manager.sid_from_eio_sid(eio_sid, namespace or "/"))
        if client is not None:
            self.leave(client, reason or self.reason.CLIENT_DISCONNECT)

    async def _event(self, client: Client, packet: Packet) -> None:
        """Has an event handled, once the client has been told what it missed; answers where it asks for it."""
        if client.resuming is not None:
            await client.resuming.wait()
        if not self._is_here(client):
            return
        answer = await answer_event(self.namespace_handlers[client.namespace], client.subscriber.sid, packet.data)
        if packet.id is not None and self._is_here(client):
            ack = self.packet_class(ACK, namespace=client.namespace, id=packet.id, data=answer)
            await self._send_packet(client.eio_sid, ack)

    def _is_here(self, client: Client) -> bool:
        """False where a client has left, or its session goes on elsewhere."""
        return self.manager.clients.get(client.subscriber.sid) is client

    async def stop(self) -> None:
        """Ends all connections and background tasks."""
        await self.eio.stop()
        self._idle.stop()
        await self.shutdown()
        thread = getattr(self.manager, "thread", None)
        if thread is not None:
            thread.cancel()
            await asyncio.gather(thread, return_exceptions=True)
        redis = getattr(self.manager, "redis", None)
        if redis is not None:
            await redis.aclose()
