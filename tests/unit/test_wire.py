"""Frames and the messages of the bell."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.delivery.bell import pack, unpack
from server.delivery.wire import (
    CORE_RAW,
    CORE_RAW_2026,
    CORE_SOCKETIO,
    CORE_SOCKETIO_RECOVERY,
    ITEMS_RAW,
    ITEMS_RAW_OFFSETS,
    ITEMS_SOCKETIO,
    ITEMS_SOCKETIO_RECOVERY,
    RECORDS_RAW,
    RECORDS_RAW_OFFSETS,
    RecordsSocketIOWire,
    texts_of,
    websocket_frame,
)
from server.events.event import CATALOGUE, ControlEvent, Origin
from server.events.subscription import Subscription
from server.store.log import LoggedEvent
from tests.unit.doubles import unframe

EVENT = LoggedEvent(9, "rows_deleted", ("core:table:5",), b'{"type":"rows_deleted","table_id":5}', Origin(1, "s"))
PAGE = Subscription("table", {"table_id": "5"}, "core:table:5", 1, 0, 5)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_a_frame_holds_its_payload_at_every_width_of_the_length(size: int) -> None:
    frame = websocket_frame(b"x" * size)
    assert frame[0] == 0x81
    assert unframe(frame) == b"x" * size


@given(st.lists(st.text(max_size=200) | st.just("x" * 70_000), max_size=5))
def test_joined_frames_are_taken_apart_again(texts: list[str]) -> None:
    assert texts_of(b"".join(websocket_frame(text.encode()) for text in texts)) == texts


def test_every_wire_wraps_the_same_payload() -> None:
    assert unframe(CORE_RAW.event(EVENT)) == EVENT.payload
    assert unframe(RECORDS_RAW.event(EVENT)) == EVENT.payload
    (text,) = texts_of(CORE_SOCKETIO.event(EVENT))
    assert text.startswith("42/core,")
    assert json.loads(text.removeprefix("42/core,")) == ["rows_deleted", json.loads(EVENT.payload)]
    item = LoggedEvent(1, "item-removed", ("items:workspace:1",), b'"abc"', None)
    assert texts_of(ITEMS_SOCKETIO.event(item)) == ['42/events,["item-removed","abc"]']


def test_a_wire_that_recovers_marks_everything_with_a_position() -> None:
    assert json.loads(unframe(CORE_RAW_2026.event(EVENT))) == {"type": "rows_deleted", "table_id": 5, "_event_id": 9}
    assert json.loads(unframe(RECORDS_RAW_OFFSETS.event(EVENT)))["offset"] == 9
    item = LoggedEvent(7, "item-removed", ("items:workspace:1",), b'"abc"', None)
    assert texts_of(ITEMS_SOCKETIO_RECOVERY.event(item)) == ['42/events,["item-removed","abc","7"]']
    ephemeral = CORE_SOCKETIO_RECOVERY.message("pong", {}, 12)
    assert texts_of(ephemeral) == ['42/core,["pong",{"type":"pong"},"12"]']


def test_items_as_raw_json_carry_the_argument_of_the_event() -> None:
    item = LoggedEvent(7, "item-removed", ("items:workspace:1",), b'"abc"', None)
    assert unframe(ITEMS_RAW.event(item)) == b'{"type":"item-removed","data":"abc"}'
    assert unframe(ITEMS_RAW_OFFSETS.event(item)) == b'{"type":"item-removed","data":"abc","offset":7}'
    selected = Subscription("workspace", {"workspace": 1}, "items:workspace:1", 1, 0)
    assert unframe(ITEMS_RAW.message(*ITEMS_RAW.discarded(selected), 0)) == b'{"type":"workspace-deselected"}'


def test_records_over_socketio_name_their_endpoint() -> None:
    wire = RecordsSocketIOWire("shop/orders")
    change = LoggedEvent(7, "record", ("ce:endpoint:1",), b'{"type":"POST","record":{"data":"\xc3\xa4"}}', None)
    expected = '42/ce,["record",{"endpoint":"shop/orders","type":"POST","record":{"data":"ä"}}]'
    assert texts_of(wire.event(change)) == [expected]
    closed = wire.message("closed", {"code": 1000, "reason": "x"}, 0)
    assert texts_of(closed) == ['42/ce,["closed",{"endpoint":"shop/orders","code":1000,"reason":"x"}]']


def test_the_end_of_a_subscription_echoes_what_the_client_sent() -> None:
    kind, body = CORE_RAW.discarded(PAGE)
    assert (kind, body) == ("page_discard", {"page": "table", "parameters": {"table_id": "5"}})
    assert json.loads(unframe(CORE_RAW.message(kind, body, 0))) == {"type": kind} | body
    selected = Subscription("workspace", {"workspace": "id-as-sent"}, "items:workspace:1", 1, 0)
    packet = ITEMS_SOCKETIO.message(*ITEMS_SOCKETIO.discarded(selected), 0)
    assert texts_of(packet) == ['42/events,["workspace-deselected","id-as-sent"]']


events = st.builds(
    LoggedEvent,
    st.integers(1, 2**40),
    st.sampled_from(["rows_created", "item-updated"]),
    st.lists(st.sampled_from(["core:table:1", "core:user:2"]), min_size=1).map(tuple),
    st.binary(max_size=50),
    st.none() | st.builds(Origin, st.integers(1, 9), st.text(max_size=9)),
)


@given(st.lists(events, min_size=1, max_size=5))
def test_the_bell_carries_events_unchanged(sent: list[LoggedEvent]) -> None:
    assert unpack(pack(sent)) == sent


def test_the_bell_does_not_carry_what_is_too_large() -> None:
    large = LoggedEvent(1, "x", ("core:table:1",), b"x" * (300 << 10), None)
    assert unpack(pack([large])) == []


def test_every_event_says_who_may_get_it_and_where_it_is_documented() -> None:
    assert len(CATALOGUE) > 40
    for name, event in CATALOGUE.items():
        assert event.source, name
        assert event.audience, name
        assert event.__doc__ is not None
        assert (event.audience == ("control",)) == issubclass(event, ControlEvent), name
