"""HTTP connections before there is a request: heads that are too large, and heads that never end.

Invariants: a connection has `header_timeout` seconds from its beginning, or from the first byte of a further request,
until the head is complete; one timer serves all connections. aiohttp has no such limit: what it knows of a connection
that has not said anything whole is when it was idle too long. `tests/security/test_slow_heads.py` pins the hooks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, Self, cast

from aiohttp import hdrs, web
from aiohttp.http import RawRequestMessage, StreamWriter
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from server.delivery.deadlines import Deadlines
from server.metrics import Limit, met

TOO_MANY_HEADERS = "Too many"  # headers: the exception of the parser has no class of its own


class Door(NamedTuple):
    """Where WebSockets are opened: the handler of a path, in the application's middlewares. What aiohttp does for each
    request before it calls it is done once."""

    handler: Callable[[Any], Awaitable[web.StreamResponse]]
    match: web.UrlMappingMatchInfo

    @classmethod
    def of(cls, app: web.Application, path: str) -> Self:
        """The door at a path of an application that will not change any more."""
        found = [resource for resource in app.router.resources() if resource.canonical == path]
        route = next(route for route in found[0] if route.method in (hdrs.METH_GET, hdrs.METH_ANY))
        match = web.UrlMappingMatchInfo({}, route)
        match.add_app(app)
        match.freeze()
        handler = route.handler
        for middleware in reversed(app.middlewares):
            handler = partial(middleware, handler=handler)
        return cls(handler, match)


class Connection(RequestHandler):
    """A connection that has to say something whole in time. aiohttp's task, which waits for one request after the
    other, begins with the first that is no upgrade."""

    __slots__ = ()
    _manager: "HttpServer | None"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert self._manager is not None
        self.transport = cast(asyncio.Transport, transport)
        self._manager.connection_made(self, self.transport)
        self._manager.heads.start(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._manager is None:
            return
        heads = self._manager.heads
        if self._messages:
            heads.cancel(self)
            self.look_for_oversize()
            if self._task_handler is None:
                self.begin()
        elif self._waiter is not None and self not in heads:
            heads.start(self)

    def begin(self) -> None:
        """The first request has come."""
        assert self._manager is not None
        assert self._parser is not None
        message, payload = self._messages[0]
        if isinstance(message, RawRequestMessage) and (door := self._manager.door_of(message, payload)) is not None:
            self._messages.popleft()
            self._parser.message_consumed()
            self._task_handler = self._loop.create_task(self.enter(door, message))
        else:
            self.go_on()

    def go_on(self) -> None:
        """Lets aiohttp answer what comes, request by request."""
        assert self.transport is not None
        super().connection_made(self.transport)

    async def enter(self, door: Door, message: RawRequestMessage) -> None:
        """Answers an upgrade request; where it is refused, the connection goes on."""
        task = asyncio.current_task()
        assert self._request_factory is not None and task is not None
        writer = StreamWriter(self, self._loop)
        request: Any = self._request_factory(message, EMPTY_PAYLOAD, self, writer, task)
        request._match_info = door.match
        try:
            response, reset = await self._handle_request(request, 0.0, door.handler)
        except BaseException:
            self.force_close()
            raise
        if self.transport is None:
            return
        if response.keep_alive and not (reset or self._close or self.transport.is_closing()):
            self.go_on()
        else:
            self.transport.close()

    def close(self) -> None:
        super().close()
        if self._task_handler is None:  # it has not said anything
            self.force_close()

    def look_for_oversize(self) -> None:
        """Counts a head that the parser has given up because of its size."""
        if isinstance(last := self._messages[-1][0], RawRequestMessage):
            return
        error = last.exc
        if isinstance(error, LineTooLong) or (isinstance(error, BadHttpMessage) and TOO_MANY_HEADERS in str(error)):
            met(Limit.HEADERS)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None:
            self._manager.heads.cancel(self)
        super().connection_lost(exc)


class HttpServer(Server):
    """Makes the connections of a listening socket."""

    def __init__(self, server: Server, doors: Mapping[str, Door], header_timeout: float) -> None:
        super().__init__(
            server.request_handler, request_factory=server.request_factory, loop=server._loop, **server._kwargs
        )
        self.doors = doors
        self.heads: Deadlines[Connection] = Deadlines(header_timeout, self.too_slow)

    def door_of(self, message: RawRequestMessage, payload: StreamReader) -> Door | None:
        """Where a request wants a WebSocket opened; None for any other, and for one with a body or an expectation."""
        if not message.upgrade or message.method != hdrs.METH_GET:
            return None
        plain = payload is EMPTY_PAYLOAD and hdrs.EXPECT not in message.headers
        return self.doors.get(message.path.partition("?")[0]) if plain else None

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    def too_slow(self, connection: Connection, _: float) -> None:
        met(Limit.HEADER_TIME)
        connection.force_close()

    async def shutdown(self, timeout: float | None = None) -> None:
        await super().shutdown(timeout)
        self.heads.stop()


class HttpRunner(web.AppRunner):
    """aiohttp's runner, with connections of ours."""

    def __init__(
        self,
        app: web.Application,
        *,
        doors: Iterable[str] = (),
        header_timeout: float,
        max_header_size: int,
        max_headers: int,
        **kwargs: Any,
    ) -> None:
        kwargs |= {"max_line_size": max_header_size, "max_field_size": max_header_size, "max_headers": max_headers}
        # the kernel's probes of dead peers begin after two hours, when every one of ours has long found out
        super().__init__(app, access_log=None, tcp_keepalive=False, **kwargs)
        self.doors = doors
        self.header_timeout = header_timeout

    async def _make_server(self) -> Server:
        server = await super()._make_server()
        return HttpServer(server, {path: Door.of(self.app, path) for path in self.doors}, self.header_timeout)
