"""The opening handshake of a WebSocket (RFC 6455, 4.2), and how its connection leaves aiohttp."""

import asyncio
import base64
import hashlib
import re

from aiohttp import hdrs, web

from server.logs import REQUEST_ID, REQUEST_ID_HEADER

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
VERSION = "13"
KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


class NoHandshake(web.HTTPBadRequest):
    """A request that is no handshake of a WebSocket, or none that can be answered (RFC 6455, 4.2.1)."""


def head_of(request: web.Request) -> bytes:
    """The head of the answer to an upgrade request, without extensions, and named as its lines in the log are; raises
    NoHandshake."""
    headers = request.headers
    key = headers.get(hdrs.SEC_WEBSOCKET_KEY, "")
    if not (
        headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"
        and "upgrade" in headers.get(hdrs.CONNECTION, "").lower()
        and headers.get(hdrs.SEC_WEBSOCKET_VERSION) == VERSION
        and KEY.fullmatch(key)
        and not request.body_exists  # of which it would not be clear where the first frame begins
    ):
        raise NoHandshake(text="no WebSocket handshake")
    proof = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
    name = f"{REQUEST_ID_HEADER}: {name}\r\n" if (name := REQUEST_ID.get()) else ""
    return b"%bSec-WebSocket-Accept: %b\r\n%b\r\n" % (ANSWER, proof, name.encode())


class Upgraded(web.StreamResponse):
    """What a handler gives aiohttp for an upgrade request: its WebSocket sends the head, together with its first
    frames, so there is nothing left to send."""

    prepared = True  # for middlewares, which would add headers

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> None:
        """It is."""

    async def write_eof(self, data: bytes = b"") -> None:
        """There is none."""


UPGRADED = Upgraded()


def detach(request: web.Request) -> tuple[asyncio.Transport, bytes]:
    """Takes the connection of an answered upgrade request away from aiohttp: its transport, which has no protocol then,
    and what the client has sent since. Raises ConnectionResetError where the client has gone."""
    protocol, transport = request.protocol, request.transport
    if transport is None:
        raise ConnectionResetError
    early = protocol._message_tail
    protocol.transport = None  # it would close it
    protocol._current_request = protocol._task_handler = None  # it would tell them that the client has gone
    protocol.connection_lost(None)
    return transport, early
