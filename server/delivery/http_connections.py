"""HTTP connections before there is a request: heads that are too large, and heads that never end.

Invariants: a connection has `header_timeout` seconds from its beginning, or from the first byte of a further request,
until the head is complete; one timer serves all connections. aiohttp has no such limit: what it knows of a connection
that has not said anything whole is when it was idle too long. `tests/security/test_slow_heads.py` pins the hooks.
"""

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong
from aiohttp.web_protocol import RequestHandler
from aiohttp.web_server import Server

from server.delivery.deadlines import Deadlines
from server.metrics import Limit, met

TOO_MANY_HEADERS = "Too many"  # headers: the exception of the parser has no class of its own


class Connection(RequestHandler):
    """A connection that has to say something whole in time."""

    __slots__ = ()
    _manager: "HttpServer | None"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self._manager is not None
        self._manager.heads.start(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._manager is None:
            return
        heads = self._manager.heads
        if self._messages:
            heads.cancel(self)
            self.look_for_oversize()
        elif self._waiter is not None and self not in heads:
            heads.start(self)

    def look_for_oversize(self) -> None:
        """Counts a head that the parser has given up because of its size."""
        error = getattr(self._messages[-1][0], "exc", None)
        if isinstance(error, LineTooLong) or (isinstance(error, BadHttpMessage) and TOO_MANY_HEADERS in str(error)):
            met(Limit.HEADERS)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._manager is not None:
            self._manager.heads.cancel(self)
        super().connection_lost(exc)


class HttpServer(Server):
    """Makes the connections of a listening socket."""

    def __init__(self, server: Server, header_timeout: float) -> None:
        super().__init__(
            server.request_handler, request_factory=server.request_factory, loop=server._loop, **server._kwargs
        )
        self.heads: Deadlines[Connection] = Deadlines(header_timeout, self.too_slow)

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
        self, app: web.Application, *, header_timeout: float, max_header_size: int, max_headers: int, **kwargs: Any
    ) -> None:
        kwargs |= {"max_line_size": max_header_size, "max_field_size": max_header_size, "max_headers": max_headers}
        # the kernel's probes of dead peers begin after two hours, when every one of ours has long found out
        super().__init__(app, access_log=None, tcp_keepalive=False, **kwargs)
        self.header_timeout = header_timeout

    async def _make_server(self) -> Server:
        return HttpServer(await super()._make_server(), self.header_timeout)
