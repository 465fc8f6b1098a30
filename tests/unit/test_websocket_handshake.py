"""The answer to an upgrade, which leaves with the first frames of its WebSocket."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from server.delivery.websocket_handshake import Upgraded

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def request(added: str) -> web.Request:
    """An upgrade request to an application that adds a header to every answer."""

    async def add(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Added"] = added

    app = web.Application()
    app.on_response_prepare.append(add)
    app.freeze()
    return make_mocked_request("GET", "/", headers=HANDSHAKE, app=app)


async def test_the_head_has_what_the_protocol_asks_for_and_what_the_application_adds() -> None:
    """Key and proof are those of RFC 6455, 1.3."""
    asked = request("ä 1")
    assert (await Upgraded(asked).head(asked)).decode().split("\r\n") == [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "X-Added: ä 1",
        "",
        "",
    ]


@pytest.mark.parametrize("added", ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x00b"])
async def test_no_header_can_add_another_line(added: str) -> None:
    asked = request(added)
    with pytest.raises(ValueError, match="breaks its line"):
        await Upgraded(asked).head(asked)
