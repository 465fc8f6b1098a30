"""Presence within one node: who is told of whom, and what a focus may be."""

import gc
import json
from typing import Any

import pytest

from server.delivery.presence import MAX_MEMBERS, Presence
from server.delivery.presence_focus import MAX_FOCUS
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_RAW_2026, CORE_SOCKETIO
from tests.unit.doubles import payloads, subscriber

ROOM, OTHER = "core:table:5", "core:table:6"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def present(presence: Presence, sid: str, user_id: int, room: str = ROOM) -> Subscriber:
    """Somebody on the page of a table; what it was told so far is forgotten."""
    who = subscriber(sid, user_id, wire=CORE_RAW_2026)
    who.rooms[room] = 0
    presence.enter(who, room)
    return who


def told(who: Subscriber) -> list[dict[str, Any]]:
    """The messages since the last look."""
    messages = [json.loads(payload) for payload in payloads(who)]
    who.link.frames.clear()
    return messages


def name(who: Subscriber, presence: Presence) -> str:
    """The presence_id of a member."""
    return next(m.presence_id for here in presence._here.values() for s, m in here.items() if s is who)


def focus(value: Any, **other: Any) -> dict[str, Any]:
    return {"type": "presence.focus", "page": "table", "table_id": 5, "focus": value} | other


def test_who_comes_is_told_of_the_others_and_they_of_it() -> None:
    presence = Presence()
    ann = present(presence, "ann", 1)
    assert told(ann) == [{"type": "presence.members", "space": "table-5", "entries": []}]
    bob = present(presence, "bob", 2)
    ann_is = {"user_id": 1, "presence_id": name(ann, presence)}
    assert told(bob) == [{"type": "presence.members", "space": "table-5", "entries": [ann_is]}]
    bob_is = {"user_id": 2, "presence_id": name(bob, presence)}
    assert told(ann) == [{"type": "presence.join", "space": "table-5"} | bob_is]
    presence.left(bob, ROOM)
    assert told(ann) == [{"type": "presence.leave", "space": "table-5"} | bob_is]
    assert told(bob) == [{"type": "presence.space_discard", "space": "table-5"}]


def test_a_presence_id_is_random_and_lasts_as_long_as_the_connection() -> None:
    presence = Presence()
    tab, other_tab = present(presence, "tab", 1), present(presence, "other", 1)
    first = name(tab, presence)
    assert len({first, name(other_tab, presence), tab.sid, other_tab.sid}) == 4
    presence.left(tab, ROOM)
    presence.enter(tab, ROOM)
    assert name(tab, presence) == first


def test_entering_twice_and_leaving_what_one_is_not_in_is_nothing() -> None:
    presence = Presence()
    ann, bob = present(presence, "ann", 1), present(presence, "bob", 2)
    told(ann), told(bob)
    presence.enter(bob, ROOM)
    presence.left(bob, OTHER)
    presence.left(bob, "core:user:2")
    presence.left(subscriber("stranger", 3), ROOM)
    assert told(ann) == told(bob) == []
    presence.left(bob, ROOM)
    presence.left(bob, ROOM)
    assert [message["type"] for message in told(ann)] == ["presence.leave"]


@pytest.mark.parametrize(
    "room", ["core:row:5:1", "core:workspace:5", "items:workspace:5", "core:table:x", "core:table:"]
)
def test_only_pages_of_tables_have_a_space(room: str) -> None:
    presence = Presence()
    assert told(present(presence, "ann", 1, room)) == []
    assert presence.members() == []


def test_who_is_anonymous_or_no_longer_in_the_room_is_not_present() -> None:
    presence = Presence()
    visitor, gone = subscriber("visitor", None, wire=CORE_RAW_2026), subscriber("gone", 1, wire=CORE_RAW_2026)
    visitor.rooms[ROOM] = 0
    presence.enter(visitor, ROOM)
    presence.enter(gone, ROOM)
    assert told(visitor) == told(gone) == [] == presence.members()


def test_a_full_space_takes_nobody_more() -> None:
    presence = Presence()
    crowd = [present(presence, f"s{number}", number) for number in range(MAX_MEMBERS)]
    told(crowd[0])
    late = present(presence, "late", 9)
    presence.focus(late, focus(1))
    assert told(late) == told(crowd[0]) == []
    presence.left(late, ROOM)
    assert told(late) == told(crowd[0]) == []
    presence.left(crowd[1], ROOM)
    presence.enter(late, ROOM)
    assert len(told(late)[0]["entries"]) == MAX_MEMBERS - 1


def test_nothing_is_kept_of_who_is_gone() -> None:
    presence = Presence()
    ann = present(presence, "ann", 1)
    presence.left(ann, ROOM)
    del ann
    gc.collect()
    assert not presence._here
    assert not len(presence._connections)


def test_a_focus_reaches_the_others_of_its_table_only() -> None:
    presence = Presence()
    ann, bob, elsewhere = present(presence, "ann", 1), present(presence, "bob", 2), present(presence, "c", 3, OTHER)
    for who in (ann, bob, elsewhere):
        told(who)
    cell = {"type": "cell", "row_id": 1}
    presence.focus(ann, focus(cell))
    presence.focus(ann, focus(None, table_id="5"))
    presence.focus(elsewhere, focus(cell))
    assert told(ann) == told(elsewhere) == []
    by = {"type": "presence.focus", "space": "table-5", "user_id": 1, "presence_id": name(ann, presence)}
    about = {"page": "table", "table_id": 5}
    assert told(bob) == [by | about | {"focus": cell}, by | about | {"focus": None}]


def nest(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "message",
    [
        {},
        focus("x" * MAX_FOCUS),
        focus("\ud800"),
        focus(nest(600)),
        focus(nest(100_000)),
        focus(1, page=None),
        focus(1, page="x" * 100),
        focus(1, page="\ud800"),
        *[focus(1, table_id=wrong) for wrong in (None, True, 5.0, "5x", "٥", "", -5, 2**70, "9" * 100, [5], {})],
    ],
)
def test_a_focus_that_is_wrong_or_too_large_is_ignored(message: dict[str, Any]) -> None:
    presence = Presence()
    ann, bob = present(presence, "ann", 1), present(presence, "bob", 2)
    told(bob)
    presence.focus(ann, message)
    assert told(bob) == []


@pytest.mark.parametrize("value", ["x" * (MAX_FOCUS - 100), nest(400), 2**100, 0, False, "é"])
def test_a_focus_is_any_small_json(value: Any) -> None:
    presence = Presence()
    ann, bob = present(presence, "ann", 1), present(presence, "bob", 2)
    told(bob)
    presence.focus(ann, focus(value))
    assert [message["focus"] for message in told(bob)] == [value]


def test_ten_a_second_may_be_said_and_as_many_at_once() -> None:
    clock = Clock()
    presence = Presence(clock=clock)
    ann, bob = present(presence, "ann", 1), present(presence, "bob", 2)
    told(ann), told(bob)
    for number in range(30):
        presence.focus(ann, focus(number))
    assert [message["focus"] for message in told(bob)] == list(range(10))
    clock.now += 0.25
    for number in range(30):
        presence.focus(ann, focus(number))
    assert [message["focus"] for message in told(bob)] == [0, 1]
    presence.focus(bob, focus("bob has a bucket of his own"))
    assert len(told(ann)) == 1
    clock.now += 3600
    for number in range(30):
        presence.focus(ann, focus(number))
    assert len(told(bob)) == 10


def test_a_message_is_encoded_once_for_each_wire() -> None:
    presence = Presence()
    crowd = [present(presence, f"s{number}", number) for number in range(4)]
    sio = [subscriber(f"x{number}", number, wire=CORE_SOCKETIO) for number in range(2)]
    for who in sio:
        who.rooms[ROOM] = 0
        presence.enter(who, ROOM)
    for who in crowd + sio:
        who.link.frames.clear()
    presence.left(crowd[0], ROOM)
    assert len({id(who.link.frames[0]) for who in crowd[1:]}) == 1
    assert sio[0].link.frames[0] is sio[1].link.frames[0]


def test_a_broken_connection_costs_nobody_else_anything(caplog: pytest.LogCaptureFixture) -> None:
    presence = Presence()
    broken, ann = present(presence, "broken", 1), present(presence, "ann", 2)
    told(ann)
    broken.link.frames = None
    bob = present(presence, "bob", 3)
    presence.left(bob, ROOM)
    presence.left(broken, ROOM)
    assert [message["type"] for message in told(ann)] == ["presence.join", "presence.leave", "presence.leave"]
    assert "could not be told" in caplog.text
