"""Hostile packets of Socket.IO. "Ends" is always: a close within a second after which clients come back, and nothing
left of the connection, while an official client in the same room hears the next change (`tests/support/siege.py`).
"""

import asyncio
import contextlib
from io import BytesIO
from typing import Any

import pytest

from server.namespaces.core import CoreNamespace
from server.parts import SOCKETIO
from server.rest.context import RUNNER
from tests.support.engineio import Polling, until, websocket
from tests.support.siege import LIMIT, Siege
from tests.support.socketio_by_hand import PATH, TRANSPORTS, Client, client

pytestmark = pytest.mark.asyncio(loop_scope="module")
PLACE = '{"_placeholder":true,"num":%s}'
RESERVED = ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")

MALFORMED = {
    "an event whose payload is an object": "42/core,{}",
    "an event without a payload": "42/core,",
    "an event without a name": "42/core,[]",
    "an event whose name is null": "42/core,[null]",
    "an event whose name is an object": "42/core,[{}]",
    "an event whose name is a list": '42/core,[["a"]]',
    "an event whose name is a number": "42/core,[1]",
    "an id of letters": '42/core,abc["x"]',
    "an id of 101 digits": f'42/core,{"1" * 101}["x"]',
    "an id of Arabic digits": '42/core,٤["x"]',
    "a type that does not exist": "49/core,",
    "no type": "4",
    "a namespace that is too long": f'42/{"n" * 1000},["x"]',
    "no attachment in a binary event": '450-/core,["page"]',
    "eleven attachments, of which no payload tells": "4511-",
    "attachments without end": '459999999999-/core,["page"]',
    "more attachments than are taken": f'4517-/core,["page",{",".join(PLACE % n for n in range(17))}]',
    "attachments of a plain event": '421-/core,["page"]',
    "a placeholder out of range": f'451-/core,["page",{PLACE % 1}]',
    "a placeholder below zero": f'451-/core,["page",{PLACE % -1}]',
    "a placeholder whose number is a text": '451-/core,["page",{"_placeholder":true,"num":"0"}]',
    "a placeholder whose number is true": f'451-/core,["page",{PLACE % "true"}]',
    "a placeholder without a number": '451-/core,["page",{"_placeholder":true}]',
    "a placeholder with a key too many": '451-/core,["page",{"_placeholder":true,"num":0,"x":1}]',
    "an attachment with two places": f'451-/core,["page",{PLACE % 0},{PLACE % 0}]',
    "an attachment without a place": '451-/core,["page"]',
    "an acknowledgement without an id": "43/core,[]",
    "an acknowledgement of no list": "43/core,1{}",
    "a connect error": '44/core,{"message":"x"}',
    "a disconnect with a payload": "41/core,{}",
    "a disconnect with an id": "41/core,1",
    "a second CONNECT": "40/core,",
    "a CONNECT with an id": "40/events,1{}",
    "an event before CONNECT": '42/events,["select-workspace",1]',
    "a binary event before CONNECT": f'451-/events,["select-workspace",{PLACE % 0}]',
    "an acknowledgement before CONNECT": "43/events,1[]",
    "an event for the main namespace, which there is not": '42["x"]',
} | {f"the reserved name {name}": f'42/core,["{name}",{{"HTTP_COOKIE":5}}]' for name in RESERVED}

NOT_JSON = {
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "1e999": "1e999",
    "an integer of a thousand digits": "1" * 1000,
    "a lone surrogate": '"\\ud800"',
    "a key that is a lone surrogate": '{"\\udc00":1}',
    "a key twice": '{"a":1,"a":1}',
    "a key twice, once with an escape": '{"a":1,"\\u0061":2}',
    "__proto__": '{"__proto__":{"isAdmin":true}}',
    "__proto__ with an escape": '{"\\u005f_proto__":{}}',
    "depth 65": "[" * 65 + "]" * 65,
    "depth 300": '{"a":' * 300 + "1" + "}" * 300,
    "depth 10,000": "[" * 10_000 + "]" * 10_000,
    "depth 10,000, unfinished": "[" * 10_000,
    "too many values": "[" + "0," * 20_000 + "0]",
}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_packet_ends_its_connection(siege: Siege, packet: str, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        await it.send(packet)
        await it.ended()


@pytest.mark.parametrize("event", ["page", "presence.focus"])
@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON.keys())
async def test_what_is_not_json_for_everybody_ends_its_connection(siege: Siege, value: str, event: str) -> None:
    # told to others, it would make their parsers drop their connections
    async with client(siege.server, "websocket") as it:
        await enter_with_presence(siege, it)
        await it.send(f'42/core,["{event}",{{"page":"table","table_id":{siege.table},"field":{value}}}]')
        await it.ended()


async def enter_with_presence(siege: Siege, it: Client) -> None:
    """Connects as a member who is present on the table's page."""
    await it.enter(siege.eve, recovery=True)
    assert (await it.ask(f'42/core,7["page",{{"page":"table","table_id":{siege.table}}}]'))["ok"]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_string_of_10_mb_ends_its_connection(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        packet = '42/core,["page","' + "x" * 10_000_000 + '"]'
        if isinstance(it.link, Polling):
            with contextlib.suppress(ConnectionError):  # it is not read to its end
                assert (await it.link.request("POST", BytesIO(packet.encode())))[0] == 413
        else:
            await it.send(packet)
        await it.ended()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_text_where_an_attachment_is_due_ends_the_connection(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        await it.send(f'451-/core,["page",{PLACE % 0}]')
        await it.send('42/core,["page",{}]')
        await it.ended()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_attachment_where_none_is_due_ends_the_connection(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        await it.send(b"\x00\x01")
        await it.ended()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_attachments_of_more_bytes_than_a_message_may_have_end_the_connection(
    siege: Siege, transport: str
) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        await it.send(f'453-/core,["page",{",".join(PLACE % n for n in range(3))}]')
        await it.send(bytes(LIMIT // 2))
        await it.send(bytes(LIMIT // 2 + 1))
        await it.ended()


async def test_attachments_that_never_come_are_forgotten_with_their_connection(siege: Siege) -> None:
    async with client(siege.server, "websocket") as it:
        await it.enter(siege.eve)
        await it.send(f'452-/core,["page",{PLACE % 0},{PLACE % 1}]')
        await it.send(bytes(1000))
        await until(lambda: siege.kept()["partial"])


# ---- what is answered


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_unknown_namespace_is_refused_and_costs_nothing(siege: Siege, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        for name in ("/nowhere", "/admin"):
            await it.send(f"40{name},")
            assert await it.receive() == f'44{name},{{"message":"Invalid namespace"}}'
        assert (await it.ask('42/core,7["page",{}]'))["ok"] is False


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", ["nope", "on_page", "trigger_event", "__init__", "x" * 1000, "page\\u0000", ""])
async def test_an_unknown_event_is_answered_with_an_error(siege: Siege, name: str, transport: str) -> None:
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        answer = await it.ask(f'42/core,7["{name}",{{"page":"table"}}]')
        assert (answer["ok"], answer["error"]) == (False, "ERROR_UNKNOWN_EVENT")


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_handler_that_fails_is_answered_with_an_error(
    siege: Siege, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(CoreNamespace, "on_page", fail)
    async with client(siege.server, transport) as it:
        await it.enter(siege.eve)
        answer = await it.ask('42/core,7["page"]')
        assert answer == {
            "ok": False,
            "error": "ERROR_INTERNAL",
            "message": "The server failed to answer this event.",
        }
        assert (await it.ask('42/core,7["remove_page",{}]'))["ok"] is False


EVENTS = {
    "/core": ("page", "remove_page", "presence.focus"),
    "/events": ("select-workspace", "deselect-workspace"),
    "/ce": ("subscribe", "unsubscribe"),
}
WITH_BYTES = (
    PLACE % 0,
    f'{{"page":"table","table_id":{PLACE % 0}}}',
    f'{{"page":"table","table_id":1,"since":{PLACE % 0}}}',
    f'{{"remove_page":{PLACE % 0}}}',
    f'{{"endpoint":{PLACE % 0},"key":1}}',
    f'{{"endpoint":"x","key":{PLACE % 0}}}',
    f'{{"field_id":{PLACE % 0}}}',
    f'1,{{"since":{PLACE % 0}}}',
)


@pytest.mark.parametrize("arguments", WITH_BYTES)
@pytest.mark.parametrize(("namespace", "event"), [(place, name) for place, names in EVENTS.items() for name in names])
async def test_an_event_with_an_attachment_that_it_does_not_know_is_answered(
    siege: Siege, namespace: str, event: str, arguments: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(siege.server, "websocket") as it:
        await it.enter(siege.eve, namespace)
        await it.send(f'451-{namespace},["{event}",{arguments}]')
        await it.send(b"\xff\xfe")
        await it.send(f'42{namespace},7["nope"]')
        while not (await it.receive()).startswith(f"43{namespace},7"):
            pass
    assert not [record for record in caplog.records if record.levelname == "ERROR"], "no handler fails of it"


@pytest.mark.parametrize("number", ["0", "2", "999999999999999"])
async def test_acknowledgements_that_nobody_waits_for_change_nothing(siege: Siege, number: str) -> None:
    async with client(siege.server, "websocket") as it:
        sid = (await it.enter(siege.eve))["sid"]
        await it.send(f'43/core,{number}["x"]')
        await it.send(f"461-/core,{number}[{PLACE % 0}]")
        await it.send(b"x")
        socketio = siege.server.app[SOCKETIO]
        answers: list[str] = []
        await socketio.emit("question", to=sid, namespace="/core", callback=answers.append)
        assert await it.receive() == '42/core,1["question"]'
        await it.send('43/core,0["forged"]')
        await it.send('43/core,1["answer"]')
        await until(lambda: answers == ["answer"])


# ---- no ghosts


@pytest.mark.parametrize("last", ["", "41/core,", "40/core,", "abc", "1"])
async def test_a_client_that_goes_while_it_is_let_in_is_no_ghost(
    siege: Siege, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, may, begun = siege.server.app[RUNNER], asyncio.Event(), asyncio.Event()
    look_at = runner.look_at

    async def slow(*args: Any, **kwargs: Any) -> Any:
        begun.set()
        await may.wait()
        return await look_at(*args, **kwargs)

    async with websocket(siege.server.url, PATH) as socket:
        monkeypatch.setattr(runner, "check", slow)
        await socket.send_str(f'40/core,{{"token":"{siege.eve.token}"}}')
        await begun.wait()
        if last:
            await socket.send_str(last)
        connection = socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.abort()
        monkeypatch.undo()
        may.set()
