"""The truth: the log as it lies in the database after the run, read without any code of the server's delivery.

It also answers who was entitled to what: a membership is the span of the log between the control events that grant
and end it.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from server.events.control import AccessEnded, AccessGranted
from server.store.database import open_database
from tests.faults.history import fingerprint

FOREVER = 1 << 62


class Span(NamedTuple):
    """The positions above `after`, up to and with `until`."""

    after: int
    until: int

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and self.after < position <= self.until


@dataclass(frozen=True)
class Committed:
    """An event of the log; `rooms` as the index table has them, `origin` the acting user and the socket left out."""

    id: int
    type: str
    rooms: frozenset[str]
    body: Any
    origin: tuple[int, str] | None = None
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", fingerprint(self.body))


class Log:
    """Committed events in the order of their ids."""

    def __init__(self, events: Iterable[Committed]) -> None:
        self.events: Sequence[Committed] = sorted(events, key=lambda event: event.id)
        self.by_id = {event.id: event for event in self.events}
        self.by_key: dict[str, list[int]] = defaultdict(list)
        self.by_room: dict[str, list[Committed]] = defaultdict(list)
        for event in self.events:
            self.by_key[event.key].append(event.id)
            for room in event.rooms:
                self.by_room[room].append(event)
        self.pruned = bool(self.events) and self.events[0].id > 1

    @property
    def head(self) -> int:
        return self.events[-1].id if self.events else 0

    def holes(self) -> list[int]:
        """Positions after which an id is missing; a new epoch, a jump to a multiple of 2^40, is none."""
        pairs = zip(self.events, self.events[1:], strict=False)
        return [one.id for one, two in pairs if two.id != one.id + 1 and two.id % (1 << 40)]

    def memberships(self, user: int | None, workspace: int) -> list[Span]:
        """Where the user was a member. A log whose beginning was pruned begins with a membership."""
        began: int | None = 0 if self.pruned else None
        spans = []
        for event in self.events:
            if event.type not in (AccessGranted.type, AccessEnded.type) or event.body["workspace_id"] != workspace:
                continue
            if event.body["user_id"] not in (user, None):
                continue
            if event.type == AccessGranted.type:
                began = event.id
            elif began is not None:
                spans.append(Span(began, event.id))
                began = None
        return spans if began is None else [*spans, Span(began, FOREVER)]


def read_log(database_url: str) -> Log:
    """The whole log of a database; AssertionError where the room index and the events disagree."""
    db = open_database(database_url)
    try:
        rows = db.execute_sql("SELECT id, type, rooms, payload, origin_user, origin_socket FROM event").fetchall()
        places = db.execute_sql("SELECT event_id, room FROM event_room").fetchall()
    finally:
        db.close()
    rooms: dict[int, set[str]] = defaultdict(set)
    for number, room in places:
        rooms[number].add(room)
    events = []
    for number, kind, audience, payload, user, socket in rows:
        assert rooms[number] == set(audience.split(" ")), (number, rooms[number], audience)
        origin = (user, socket) if user is not None and socket else None
        events.append(Committed(number, kind, frozenset(rooms[number]), orjson.loads(bytes(payload)), origin))
    return Log(events)


def read_head(database_url: str) -> int:
    """The end of the log."""
    db = open_database(database_url)
    try:
        return int(db.execute_sql("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])
    finally:
        db.close()


def read_last(database_url: str, room: str) -> int:
    """The last event of a room."""
    db = open_database(database_url)
    try:
        sql = f"SELECT coalesce(max(event_id), 0) FROM event_room WHERE room = {db.param}"
        return int(db.execute_sql(sql, (room,)).fetchone()[0])
    finally:
        db.close()
