"""JSON that readers do not agree on, or cannot read, is refused wherever it comes in; nobody in the room notices."""

import io
import json
from pathlib import Path

import pytest

from server.encoding import MAX_TEXT, MAX_VALUES, NotJson, decode, decode_exactly
from tests.support.app import RawSocket, running_server
from tests.support.core_2026 import make_grid
from tests.support.limits import watch_limits
from tests.support.node import NodeClient, Toolchain

BAD = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "1e999": "1e999",
    "a lone surrogate": '"\\ud800"',
    "a key that is a lone surrogate": '{"\\udc00":1}',
    "a key twice": '{"a":1,"a":1}',
    "a key twice, spelled in two ways": '{"a":1,"b":":","\\u0061":2}',
    "__proto__": '{"__proto__":{"admin":true}}',
    "__proto__ in disguise": '[{"\\u005f_proto__":{}}]',
    "no string": '"',
    "two values": "1 2",
}
DEEP = {
    "depth 65": "[" * 65 + "]" * 65,
    "depth 1,000": '{"a":' * 1000 + "1" + "}" * 1000,
    "depth 10,000": "[" * 10_000 + "]" * 10_000,
}
BODIES = {  # a resource of each dialect that takes a body, and how its refusal begins
    "/api/workspaces/": '{"detail": "JSON parse error - ',
    "/collections": '{"message": "JSON parse error - ',
    "/api/1/ce/any": '{"error": {"code": 400, "message": "JSON parse error - ',
}
LONG = '"' + "x" * (10 << 20) + '"'
GOOD = ['{"a":[1.5,-1,true,null,"\\":{}[]"],"b":{"a":"\\\\"},"c":"a:b","d":{}}', "[[],[{}]]", '"__proto__"', "1e30"]


@pytest.mark.parametrize("bad", [*BAD.values(), *DEEP.values(), LONG], ids=[*BAD, *DEEP, "10 MB"])
def test_no_decoder_takes_it(bad: str) -> None:
    for decoder in (decode, decode_exactly):
        with pytest.raises(NotJson):
            decoder(f'{{"x":[{bad}]}}'.encode())


@pytest.mark.parametrize("good", GOOD)
def test_what_is_json_is_taken(good: str) -> None:
    assert decode_exactly(good.encode()) == json.loads(good)
    assert decode(good) == decode(good.encode()) == json.loads(good)


def test_a_message_has_so_many_values_and_no_more() -> None:
    assert len(decode(json.dumps([0] * MAX_VALUES))) == MAX_VALUES
    more = json.dumps([0] * (MAX_VALUES + 1))
    with pytest.raises(NotJson):
        decode(more)
    assert len(decode_exactly(more.encode())) == MAX_VALUES + 1


def test_a_text_may_be_long_but_not_endless_and_numbers_beside_it_do_not_count() -> None:
    body = json.dumps({"text": "\\" * (MAX_TEXT // 2 - 1), "numbers": [1] * MAX_TEXT}).encode()
    assert decode_exactly(body) == json.loads(body)


async def test_bad_json_is_refused_on_rest_and_sockets_and_a_javascript_client_in_the_room_stays(
    tmp_path: Path, node: Toolchain
) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a") as server, NodeClient(node) as page:
        grid = await make_grid(server)
        options = {"auth": {"token": grid.bob.token}, "transports": ["websocket"]}
        await page.send({"cmd": "connect", "url": server.url, "namespace": "/core", "options": options})
        await page.receive("connect")
        await page.send({"cmd": "emit", "event": "page", "args": [{"page": "table", "table_id": grid.table}]})
        await page.receive(lambda message: message.get("name") == "page_add")
        bad = {**BAD, **DEEP, "10 MB": LONG}
        for name, text in bad.items():
            for path, beginning in BODIES.items():
                answer = await grid.ann.request(
                    "POST",
                    path,
                    headers={"Content-Type": "application/json"},
                    data=io.BytesIO(f'{{"x":[{text}]}}'.encode()),
                )
                assert answer.status == 400, (name, path, answer)
                assert json.dumps(answer.body).startswith(beginning), (name, path, answer)
        for path in (f"/ws/core/?jwt_token={grid.ann.token}", f"/ws/events/?jwt_token={grid.ann.token}"):
            for name, text in bad.items():
                await refused_on(await server.websocket(path), name, f'{{"type":"presence.focus","x":[{text}]}}')
        await grid.add_row()
        heard = await page.receive("event")
        assert heard["args"][0]["type"] == "rows_created"
        assert page.waiting == []
    assert limits_met() == {"json_depth": (len(DEEP) + 1) * 3 + len(DEEP) * 2, "frame_size": 2}


async def refused_on(socket: RawSocket, name: str, frame: str) -> None:
    """Sends a frame that is malformed, or too large to be read at all."""
    await socket.expect("authentication")
    await socket.send(frame)
    if len(frame) > MAX_TEXT:
        await socket.until(lambda: socket.closed)
        assert socket.closed is not None
        assert socket.closed[0] == 1009, name
    else:
        assert await socket.next() == {"type": "error", "error": "ERROR_MALFORMED_FRAME"}, name
    await socket.close()
