"""The clients' own protocol code, without a server: what goes wrong here would look like a fault of the server."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.faults.clients.core_raw import page_of
from tests.faults.clients.engineio import PACKET
from tests.faults.clients.streams import events, public_name


async def read(text: str) -> list[tuple[str, str, Any]]:
    """The events of a stream."""

    async def lines() -> AsyncIterator[bytes]:
        for line in text.splitlines(keepends=True):
            yield line.encode()

    return [event async for event in events(lines())]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('id: 7\nevent: rows_created\ndata: {"a": 1}\n\n', [("rows_created", "7", {"a": 1})]),
        ("id: 7\n\n", [("", "7", None)]),
        (": a comment\n\nid: 7\ndata: 1\n: another\n\n", [("message", "7", 1)]),
        ("id: 7\ndata: 1\n\ndata: 2\n\n", [("message", "7", 1), ("message", "", 2)]),
        ("id: 7\ndata: 1\n", []),  # cut off
    ],
)
async def test_an_event_stream_is_read_as_browsers_read_it(text: str, found: list[Any]) -> None:
    assert await read(text) == found


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('40/core,{"sid":"x"}', ("0", "/core", None, '{"sid":"x"}')),
        ('42/core,["rows_created",{"type":1},"12"]', ("2", "/core", None, '["rows_created",{"type":1},"12"]')),
        ('43/events,12[{"ok":true}]', ("3", "/events", "12", '[{"ok":true}]')),
        ("41/core,", ("1", "/core", None, "")),
    ],
)
def test_a_packet_is_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    found = PACKET.fullmatch(text)
    assert found is not None and found.group("kind", "namespace", "ack", "data") == parts


def test_rooms_have_names_for_pages_and_for_streams() -> None:
    assert page_of("core:table:5") == {"page": "table", "table_id": 5}
    assert page_of("core:row:5:7") == {"page": "row", "table_id": 5, "row_id": 7}
    names = ["core:table:5", "core:workspace:1", "core:row:5:7", "items:workspace:1"]
    assert [public_name(room) for room in names] == ["table:5", "workspace:1", "row:5:7", "items:1"]
