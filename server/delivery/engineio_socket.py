"""One Engine.IO connection, whichever way its packets go.

Invariants: every packet takes one ordered path: while the connection polls, its outbox; from the turn of the event
loop in which it is a WebSocket, the transport. Packets leave the outbox only for a poll whose answer can be written;
where the answer fails, the connection ends, since the client may have missed them. A connection costs no task, no
timer and no queue of its own for writing; a reader that lets more than the limit wait, and makes no progress, is cut.
A connection ends in one turn of the event loop, and is forgotten in it.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol, Self

from aiohttp import hdrs, web
from engineio.packet import CLOSE, MESSAGE, NOOP, OPEN, PING, PONG, UPGRADE, Packet

from server.addresses import client_host
from server.delivery.engineio_polling import (
    Encoded,
    Malformed,
    Outbox,
    bytes_of,
    packets_of,
    payload,
    read_body,
    write_answer,
)
from server.delivery.engineio_probe import agree
from server.delivery.limits import Limits
from server.delivery.pings import Pings
from server.delivery.websocket import WebSocket
from server.delivery.websocket_reader import Payload
from server.delivery.wire import BINARY, TEXT, texts_of, websocket_frame
from server.errors import CloseCode
from server.metrics import Limit, met

FLUSH = 0.1  # seconds that a poll waits during an upgrade, which its end lets go on
BURST = 100  # packets of one request that are handled before others get their turn
PING_FRAME = websocket_frame(b"%d" % PING)

CLIENT_DISCONNECT = "client disconnect"
SERVER_DISCONNECT = "server disconnect"
PING_TIMEOUT = "ping timeout"
TRANSPORT_CLOSE = "transport close"
TRANSPORT_ERROR = "transport error"


class Host(Protocol):
    """What a connection needs of its server."""

    sockets: dict[str, Any]
    pings: Pings
    limits: Limits
    send_buffer_limit: int  # bytes
    max_http_buffer_size: int  # bytes
    patience: float  # seconds a request, or its answer, may be on its way

    async def trigger(self, event: str, *arguments: Any) -> Any:
        """Calls the handler of an event; what it raises is logged."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Runs a coroutine on its own."""


class Handshake(NamedTuple):
    """What is kept of the request with which a connection began: all that says who the client is, and from where."""

    token: str
    authorization: str
    cookie: str
    origin: str | None
    host: str

    @classmethod
    def of(cls, request: web.Request) -> Self:
        headers = request.headers
        return cls(
            request.query.get("token", ""),
            headers.get(hdrs.AUTHORIZATION, ""),
            headers.get(hdrs.COOKIE, ""),
            headers.get(hdrs.ORIGIN),
            client_host(request),
        )


class EngineSocket:
    """One Engine.IO connection; `link` is its WebSocket, None while it polls. python-engineio reads `session`,
    `upgraded` and `closed`."""

    __slots__ = (
        "__weakref__",
        "_next",
        "_polled",
        "_posting",
        "_probed",
        "address",
        "closed",
        "full_at",
        "handshake",
        "link",
        "outbox",
        "server",
        "session",
        "sid",
        "upgrading",
    )

    def __init__(
        self, server: Host, sid: str, handshake: Handshake, link: WebSocket | None = None, address: str = ""
    ) -> None:
        self.server = server
        self.sid = sid
        self.handshake = handshake
        self.session: dict[str, Any] = {}
        self.link = link
        self.address = address  # that it is counted for where it began by polling
        self.outbox = Outbox(server.send_buffer_limit, self.cut) if link is None else UNPOLLED
        self.closed = False
        self.full_at = 0.0  # see Limits
        self.upgrading = False  # a WebSocket has asked to take over
        self._next: WebSocket | None = None  # the WebSocket that may take over
        self._probed = False  # it was found to work
        self._polled = self._posting = False  # a request of each kind is being answered

    @property
    def alive(self) -> bool:
        return not self.closed

    @property
    def upgraded(self) -> bool:
        return self.link is not None

    def write(self, frames: bytes) -> bool:
        """Sends MESSAGE packets, given as the text frames of a WebSocket; False when the connection has ended."""
        if self.link is not None:
            return self.link.write(frames)
        for text in texts_of(frames):
            self.outbox.put(text)
        return not self.closed

    def put(self, packet: Packet) -> None:
        """Sends a packet."""
        encoded = packet.encode()
        if self.link is not None:
            self.link.write(frame_of(encoded))
        else:
            self.outbox.put(encoded)

    async def send(self, packet: Packet) -> None:
        """What python-engineio calls."""
        self.put(packet)

    def backlog(self) -> int:
        """Bytes that wait to be sent."""
        return self.link.backlog() if self.link is not None else self.outbox.size

    def ping(self) -> None:
        if self.link is not None:
            self.link.write(PING_FRAME)
        else:
            self.put(Packet(PING))

    def lost(self) -> None:
        self.server.spawn(self.close(abort=True, reason=PING_TIMEOUT))

    # ---- what the client sends

    async def take(self, text: str) -> None:
        """One packet of a client; raises Malformed for what is none. Types that mean nothing here do nothing."""
        kind = text[:1]
        if kind == str(MESSAGE):
            await self.server.trigger("message", self.sid, text[1:])
        elif kind == str(PONG):
            self.server.pings.answered(self)
        elif kind == str(CLOSE):
            await self.close(abort=True, reason=CLIENT_DISCONNECT)
        elif kind not in IDLE:
            raise Malformed

    async def hear(self, message: Payload) -> None:
        """Takes what comes over the WebSocket."""
        if self.closed:
            return
        if isinstance(message, bytes):
            await self.server.trigger("message", self.sid, message)
            return
        try:
            await self.take(message)
        except Malformed:
            if self.link is not None:
                self.link.close(CloseCode.MALFORMED, "malformed")

    def gone(self) -> None:
        """The WebSocket has ended, whatever ended it."""
        self.server.spawn(self.close(abort=True, reason=TRANSPORT_CLOSE))

    # ---- polling

    async def poll(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse | None:
        """Answers with what waits, or as soon as something does. A second poll at a time ends the connection, as the
        protocol demands; its answer is None."""
        if self._polled:
            await self.close(reason=TRANSPORT_ERROR)
            return None
        self._polled = True
        try:
            await self.outbox.wait(FLUSH if self._probed else None)
            return await self.answer(request, headers, self.outbox.take())
        finally:
            self._polled = False

    async def answer(self, request: web.Request, headers: dict[str, str], packets: list[Encoded]) -> web.StreamResponse:
        """Writes the answer to a poll; where that fails, what it carried may be lost, so the connection ends."""
        written = False
        try:
            response, written = await write_answer(
                request, headers, payload(packets or [str(NOOP)]), self.server.patience
            )
        finally:
            if packets and not written:
                await self.close(abort=True, reason=TRANSPORT_CLOSE)
        return response

    async def post(self, request: web.Request) -> int:
        """Takes the packets of a request; the answer is its HTTP status. One that cannot be taken whole ends the
        connection, and so does a second one at a time, since their order would be anybody's guess."""
        status = 400
        if not self._posting:
            self._posting = True
            try:
                status = await self.receive(request)
            finally:
                self._posting = False
        if status != 200:
            await self.close(abort=True, reason=TRANSPORT_ERROR)
        return status

    async def receive(self, request: web.Request) -> int:
        try:
            async with asyncio.timeout(self.server.patience):
                body = await read_body(request, self.server.max_http_buffer_size)
        except Exception:  # whatever aiohttp finds wrong with a body: broken off, badly encoded or compressed
            return 400
        if body is None:
            met(Limit.FRAME_SIZE)
            return 413
        try:
            for number, packet in enumerate(packets_of(body), 1):
                if packet.startswith("b"):
                    await self.server.trigger("message", self.sid, bytes_of(packet))
                else:
                    await self.take(packet)
                if self.closed:
                    break
                if number % BURST == 0:
                    await asyncio.sleep(0)
        except Malformed:
            return 400
        return 200

    # ---- from polling to a WebSocket

    async def upgrade(self, link: WebSocket) -> bool:
        """Takes over from polling: a probe, its answer, the end of the waiting poll, the word to go on. Until then all
        goes on as before. False, with the WebSocket closed, where the client does not keep to that."""
        self._next = link
        try:
            agreed = await agree(link, self.probed)
        finally:
            self._next, self._probed = None, False
        if not agreed or self.closed:
            link.close(CloseCode.MALFORMED, "no upgrade")
            return False
        self.link = link
        for packet in self.outbox.take():
            link.write(frame_of(packet))
        self.outbox.finish()
        return True

    def probed(self) -> None:
        """Lets the waiting poll go, so that the client can take over."""
        self._probed = True
        self.outbox.flush()

    # ---- the end

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Ends the connection, and answers the waiting poll. With a CLOSE packet unless `abort`: after that a client
        of python-socketio does not come back."""
        if self.closed:
            return
        if not abort:
            self.put(Packet(CLOSE))
        self.closed = True
        self.server.sockets.pop(self.sid, None)
        self.server.pings.forget(self)
        self.server.limits.leave(self.address)
        self.outbox.finish()
        for link in (self.link, self._next):
            if link is not None:
                link.close(CloseCode.GOODBYE, "")
        await self.server.trigger("disconnect", self.sid, reason or SERVER_DISCONNECT)

    def restart(self, code: CloseCode = CloseCode.RESTART, reason: str = "restart") -> None:
        """Ends the connection after what was written, with a close code; a waiting poll is answered, the next one
        meets nobody. The client comes back."""
        if self.link is not None:
            self.link.close(code, reason)
        self.server.spawn(self.close(abort=True))

    def cut(self) -> None:
        """Ends a connection that does not poll; what waits is lost to it."""
        self.server.spawn(self.close(abort=True, reason=TRANSPORT_ERROR))


UNPOLLED = Outbox(0, lambda: None)  # of the connections that begin as WebSockets
UNPOLLED.finish()
IDLE = frozenset(map(str, (OPEN, UPGRADE, NOOP)))  # types of packets that a client may send in vain


def frame_of(packet: Encoded) -> bytes:
    """A packet as a whole WebSocket frame."""
    return websocket_frame(packet.encode(), TEXT) if isinstance(packet, str) else websocket_frame(packet, BINARY)
