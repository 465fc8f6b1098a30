"""The head of the answer to an upgrade, which leaves with the first frames of its WebSocket."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from server.delivery.websocket_handshake import NoHandshake, head_of
from server.logs import REQUEST_ID

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
HEAD = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
]


def request(**changes: str) -> web.Request:
    return make_mocked_request("GET", "/", headers=HANDSHAKE | changes)


def test_the_head_has_what_the_protocol_asks_for() -> None:
    """Key and proof are those of RFC 6455, 1.3."""
    assert head_of(request()).decode().split("\r\n") == [*HEAD, "", ""]


def test_the_head_names_the_request() -> None:
    token = REQUEST_ID.set("request-0001")
    try:
        assert head_of(request()).decode().split("\r\n") == [*HEAD, "X-Request-Id: request-0001", "", ""]
    finally:
        REQUEST_ID.reset(token)


def test_names_are_read_as_proxies_write_them() -> None:
    assert head_of(request(Upgrade=" WebSocket ", Connection="keep-alive, upgrade"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "h2c"),
        ("Connection", "close"),
        ("Sec-WebSocket-Version", "12"),
        ("Sec-WebSocket-Key", ""),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="[4:]),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==\n"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSE="),  # 17 bytes
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZé=="),
    ],
)
def test_what_is_no_handshake_is_refused(name: str, value: str) -> None:
    with pytest.raises(NoHandshake):
        head_of(request(**{name: value}))
