"""The opening handshake of a WebSocket (RFC 6455, 4.2), and how its connection leaves aiohttp."""

import asyncio
import base64
import hashlib

from aiohttp import hdrs, web

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
VERSION = "13"


def is_upgrade(request: web.Request) -> bool:
    """True for the request of a WebSocket handshake that can be answered (RFC 6455, 4.2.1)."""
    headers = request.headers
    try:
        key = base64.b64decode(headers.get(hdrs.SEC_WEBSOCKET_KEY, ""), validate=True)
    except ValueError:
        return False
    return (
        headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"
        and "upgrade" in headers.get(hdrs.CONNECTION, "").lower()
        and headers.get(hdrs.SEC_WEBSOCKET_VERSION) == VERSION
        and len(key) == 16
    )


class Upgraded(web.StreamResponse):
    """The answer to an upgrade, without extensions. Its WebSocket sends the head, together with its first frames;
    aiohttp, which gets this object from the handler, has nothing left to send. Raises HTTPBadRequest."""

    prepared = True  # for middlewares, which would add headers

    def __init__(self, request: web.Request) -> None:
        if not is_upgrade(request):
            raise web.HTTPBadRequest(text="no WebSocket handshake")
        proof = hashlib.sha1(request.headers[hdrs.SEC_WEBSOCKET_KEY].encode() + GUID).digest()
        accept = base64.b64encode(proof).decode()
        named = {hdrs.UPGRADE: "websocket", hdrs.CONNECTION: "Upgrade", hdrs.SEC_WEBSOCKET_ACCEPT: accept}
        super().__init__(status=101, headers=named)

    async def head(self, request: web.Request) -> bytes:
        """What is to be sent, with what the application adds to every answer; raises ValueError for a header that would
        break its line."""
        await request.app.on_response_prepare.send(request, self)
        lines = [f"HTTP/1.1 101 {self.reason}", *(f"{name}: {value}" for name, value in self.headers.items())]
        if not all(map(str.isprintable, lines)):
            raise ValueError("a header breaks its line")
        return "\r\n".join([*lines, "", ""]).encode()

    async def prepare(self, request: web.BaseRequest) -> None:
        """It is."""

    async def write_eof(self, data: bytes = b"") -> None:
        """There is none."""


class Early:
    """What aiohttp has read of a connection beyond the handshake."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """Whoever reads on finds that out."""


def detach(request: web.Request) -> tuple[asyncio.Transport, bytes]:
    """Takes the connection of an answered upgrade request away from aiohttp: its transport, which has no protocol then,
    and what the client has sent since. Raises ConnectionResetError where the client has gone."""
    protocol, transport = request.protocol, request.transport
    if transport is None:
        raise ConnectionResetError
    early = Early()
    protocol.set_parser(early)  # type: ignore[arg-type]
    protocol.transport = None  # it would close it
    protocol.connection_lost(None)
    return transport, early.data
