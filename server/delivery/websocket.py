"""WebSockets of the server: after the handshake a connection leaves aiohttp and is served by its own protocol.

Invariants: messages are handled one after the other, in the order in which they came, and what comes while one is
handled waits in a bounded queue; an idle connection costs no task, no timer, no request and no queue; it has ended as
soon as it is closed or lost and no message is being handled, in one place and once. A close is an exchange of close
frames: until the peer's has come what it sends is read and dropped, since the kernel resets a connection that is
closed while bytes wait, and what was written last is lost with it.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any

from aiohttp import web

from server.delivery.backlog import Backlog
from server.delivery.limits import Limits
from server.delivery.outlet import Outlet
from server.delivery.pings import Pings
from server.delivery.sending import Slot
from server.delivery.subscribers import Link
from server.delivery.turnstile import ENDINGS
from server.delivery.websocket_handshake import detach, head_of
from server.delivery.websocket_reader import CLOSE, PING, PONG, BrokenProtocol, Payload, WebSocketReader, code_of
from server.delivery.wire import Frame, websocket_frame
from server.errors import CloseCode, Unavailable

CLOSE_TIMEOUT = 5.0  # seconds a peer gets to read the rest and answer a close
GOODBYE = 0.5  # seconds for the same when the server ends, which has mostly asked them before
MAX_REASON = 123  # bytes of a close frame's reason
INBOX = 64  # messages that may wait while one is handled; then the client has to,
LARGE = 1 << 16  # and after one with more bytes than this
BURST = 64  # frames of one client that are read before others get their turn
FINAL = 0x80  # the bit of a frame that is whole
PING_FRAME = websocket_frame(b"", FINAL | PING)
logger = logging.getLogger(__name__)


class Lost(asyncio.Transport):
    """The transport of a connection that has none any more."""

    def is_closing(self) -> bool:
        return True

    def is_reading(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        """It has ended."""

    resume_reading = pause_reading = close = abort


LOST = Lost()


class WebSocket(asyncio.Protocol, Link, Backlog):
    """One accepted connection. It hears what comes after `begin`; what came before waits."""

    __slots__ = (
        "_context",
        "_deadline",
        "_ended",
        "_inbox",
        "_own",
        "_reader",
        "_take",
        "_task",
        "_waiter",
        "address",
        "closing",
        "frames",
        "head",
        "server",
        "slot",
        "transport",
    )

    def __init__(self, server: "WebSocketServer", transport: asyncio.Transport, address: str) -> None:
        self.server = server
        self.address = address  # that it is counted for
        self.transport = transport
        self._own = descriptor_of(transport)
        self.slot = Slot(self._own)
        self.limit = server.send_buffer_limit
        self.seen = None
        self.frames: tuple[Frame, ...] = ()
        self.closing = False
        self.head = b""  # of the answer to the handshake, where it leaves with the first frame
        self._context = copy_context()  # of the handshake: the log lines of the connection bear its name
        self._reader: WebSocketReader | None = WebSocketReader(server.max_frame_size)
        self._inbox: deque[Payload] | None = None
        self._take: Callable[[Payload], Awaitable[None]] | None = None
        self._ended: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # ---- what is sent

    def write(self, frame: Frame) -> bool:
        if self.closing or self.transport is LOST:
            return False
        if self.head:
            frame, self.head = self.head + frame, b""
        self.server.outlet.add(self, frame)
        return True

    @property
    def socket(self) -> "WebSocket":
        return self

    def put(self, data: bytes) -> None:
        if not self.closing and not self.transport.is_closing():
            self.transport.write(data)
            self.watch()

    def write_beside(self) -> None:
        """Lets what is written go beside the transport, as long as nothing waits in it."""
        self.transport.set_write_buffer_limits(high=0)
        if self.transport.get_write_buffer_size():
            self.pause_writing()

    def pause_writing(self) -> None:
        self.slot.descriptor = -1

    def resume_writing(self) -> None:
        self.slot.descriptor = self._own

    def backlog(self) -> int:
        return self.transport.get_write_buffer_size() + sum(map(len, self.frames))

    @property
    def alive(self) -> bool:
        return not self.closing and not self.transport.is_closing()

    def cut(self) -> None:
        self.close(CloseCode.TOO_SLOW, "too slow")

    def close(self, code: int, reason: str) -> None:
        """Ends with a close frame; a peer that does not answer it is dropped."""
        if self.closing or self.transport is LOST:
            return
        text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
        self.write(websocket_frame(code.to_bytes(2, "big") + text, FINAL | CLOSE))
        self.server.outlet.flush()
        self.closing = True
        self._write_no_more()
        self._deadline = asyncio.get_running_loop().call_later(CLOSE_TIMEOUT, self.transport.abort)
        self._end_if_idle()

    def _write_no_more(self) -> None:
        self.slot.descriptor = self._own = -1

    def ping(self) -> None:
        self.write(PING_FRAME)

    def lost(self) -> None:
        """No answer to a ping came in time."""
        self.transport.abort()

    # ---- what comes

    def data_received(self, data: bytes) -> None:
        if self._reader is not None:
            self._reader.feed(data)
            self._read()

    def _read(self) -> None:
        """Takes what has come, frame by frame, as far as it is the client's turn; the transport waits until then."""
        if self._reader is None or self._is_full or self.transport.is_closing():
            return
        self.transport.resume_reading()
        try:
            for number, (opcode, payload) in enumerate(self._reader.messages(), 1):
                self._receive(opcode, payload)
                if self.transport.is_closing():
                    break
                if self._is_full or number == BURST:
                    self.transport.pause_reading()
                    asyncio.get_running_loop().call_soon(self._read)
                    break
        except BrokenProtocol as error:
            self._reader = None  # what follows cannot be read; the peer learns from the end of ours that this is all
            self.close(error.code, str(error))
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def _receive(self, opcode: int, payload: Payload) -> None:
        if opcode == CLOSE:
            assert isinstance(payload, bytes)
            self.close(code_of(payload), "")
            self.transport.close()
        elif opcode == PING:
            assert isinstance(payload, bytes)
            self.write(websocket_frame(payload, FINAL | PONG))
        elif opcode == PONG:
            self.server.pings.answered(self)
        elif not self.closing:
            self._queue(payload)

    @property
    def _is_full(self) -> bool:
        """True for a client that is ahead of us."""
        inbox = self._inbox
        if not inbox or self.closing:
            return False
        return len(inbox) >= INBOX or len(inbox[-1]) > LARGE

    def _queue(self, payload: Payload) -> None:
        """Hands a message on, or lets it wait."""
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(payload)
        self._wake()
        if self._take is not None and self._task is None:
            self._task = self.server.spawn(self._work(), self._context)

    async def _work(self) -> None:
        """Handles what waits, one message after the other."""
        assert self._take is not None
        try:
            while self._inbox and not self.closing and self.transport is not LOST:
                await self._take(self._inbox.popleft())
        except Unavailable:
            self.close(CloseCode.RESTART, "The database is not available just now.")
        except Exception:
            logger.exception("a socket failed")
            self.close(CloseCode.RESTART, "error")
        finally:
            self._task = self._inbox = None  # an empty queue is 600 bytes
            if not self.transport.is_reading():  # since the client was ahead of us
                self._read()
            self._end_if_idle()

    async def receive(self) -> Payload | None:
        """The next message before `begin`; None when the connection has ended."""
        if not self._inbox and self.alive:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._inbox.popleft() if self._inbox else None

    def _wake(self) -> None:
        """Lets `receive` go on; whoever waited may have given up in this turn."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- beginning and end

    def begin(self, take: Callable[[Payload], Awaitable[None]], ended: Callable[[], None]) -> None:
        """Has `take` called with one message after the other, and `ended` when the connection has."""
        self._take, self._ended = take, ended
        if self._inbox:
            self._task = self.server.spawn(self._work(), self._context)
        self._end_if_idle()

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = LOST
        self._write_no_more()  # the transport closes the descriptor after this
        self.server.forget(self)
        if self._deadline is not None:
            self._deadline.cancel()
        self._wake()
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self._ended is not None and self._task is None and (self.closing or self.transport is LOST):
            ended, self._ended, self._take = self._ended, None, None
            ENDINGS.call(ended)


class WebSocketServer:
    """The WebSockets of the server: accepts, pings and ends them. `heartbeat` is the interval of pings in seconds, the
    rest are bytes: of the largest message that a client may send, and what may wait to be read by it."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        heartbeat: float,
        max_frame_size: int,
        send_buffer_limit: int,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.outlet = outlet
        self.max_frame_size = max_frame_size
        self.send_buffer_limit = send_buffer_limit
        self.pings = Pings(heartbeat, heartbeat / 2)
        self._open: set[WebSocket] = set()
        self._empty: asyncio.Event | None = None  # while somebody waits for it
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(
        self, request: web.Request, *, heartbeat: bool = True, upgrade: bool = False, verdict: bool = False
    ) -> WebSocket:
        """Answers an upgrade request and takes its connection away from aiohttp, to which the handler gives UPGRADED;
        no exception of the handler is answered any more. An `upgrade` is to continue a connection that polls, which is
        counted already; where a `verdict` is the first message whatever happens, the answer leaves with it. Raises
        NoHandshake, TooMany or ConnectionError."""
        head = head_of(request)
        address = self.limits.arrive(request, upgrade=upgrade)
        transport, early = detach(request)
        socket = WebSocket(self, transport, address)
        transport.set_protocol(socket)
        socket.write_beside()
        if verdict:
            socket.head = head
        else:
            socket.write(head)
        self._open.add(socket)
        self.limits.enter(address)
        if heartbeat:
            self.pings.begin(socket)
        if early:
            socket.data_received(early)
        return socket

    def forget(self, socket: WebSocket) -> None:
        """A connection is lost."""
        self._open.discard(socket)
        self.limits.leave(socket.address)
        self.pings.forget(socket)
        if not self._open and self._empty is not None:
            self._empty.set()

    def __len__(self) -> int:
        """How many connections there are, those that are being closed too."""
        return len(self._open)

    def spawn(self, work: Coroutine[Any, Any, None], context: Context) -> asyncio.Task[None]:
        """Runs a coroutine on its own, keeping a reference until it ends."""
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def idle(self) -> None:
        """Waits until there is no connection."""
        while self._open:
            self._empty = self._empty or asyncio.Event()
            self._empty.clear()
            await self._empty.wait()

    async def stop(self) -> None:
        """Asks all peers to come back later, drops those that do not answer soon, and waits until all messages are
        handled."""
        for socket in list(self._open):
            socket.close(CloseCode.RESTART, "restart")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self.idle()
        for socket in list(self._open):
            socket.transport.abort()
        await self.idle()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.pings.stop()


def descriptor_of(transport: asyncio.Transport) -> int:
    """The descriptor that may be written to beside the transport; -1 where that encrypts what it writes."""
    encrypts = transport.get_extra_info("sslcontext") is not None
    return -1 if encrypts else int(transport.get_extra_info("socket").fileno())
