"""The ordered log: every event of the database in the order of the commits.

Invariants: ids are gap-free and rise in commit order, because `append` is the last statement before the commit and
holds a lock until it: an advisory lock on PostgreSQL (in the function `append_events`), the writer lock on SQLite. A
rolled-back transaction leaves nothing. The tables have no foreign keys. `event_room` leads from a room to its events.
Pruning takes events from the beginning and never the last one, so what lies within `bounds` is all there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

from peewee import Database, PostgresqlDatabase

from server.events.event import Origin

LOG_LOCK = 0x726F6F6D  # pg_advisory_xact_lock(bigint); workspaces use the two-key space, so the two never meet
MAX_ROWS = 400  # rows of one INSERT: stays below SQLite's and PostgreSQL's limits of bound values
MAX_ROOMS = 200  # rooms of one SELECT: SQLite joins at most 500
COLUMNS = "id, type, rooms, payload, origin_user, origin_socket"


class Bounds(NamedTuple):
    """What the log holds: the events above `floor`, up to and with `head`."""

    floor: int
    head: int

    def continues(self, cursor: int) -> bool:
        """True where everything after the cursor is still there. 0 means that nobody knows where it was."""
        return cursor > 0 and self.floor <= cursor <= self.head


class LoggedEvent(NamedTuple):
    """An event as the log holds it; `payload` is the JSON that was encoded when it was recorded."""

    id: int
    type: str
    rooms: tuple[str, ...]
    payload: bytes
    origin: Origin | None


class Recorded(NamedTuple):
    """An event of the running transaction, not yet in the log."""

    type: str
    rooms: tuple[str, ...]
    payload: bytes
    origin: Origin | None


def head(db: Database) -> int:
    """The id of the last event, 0 when there is none."""
    return int(db.execute_sql("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])


def append(db: Database, recorded: Sequence[Recorded]) -> list[LoggedEvent]:
    """Gives the events of a transaction their ids and stores them. Must be followed by the commit at once."""
    created = time.time_ns() // 1_000_000
    rows = [as_row(item) for item in recorded]
    if isinstance(db, PostgresqlDatabase):
        values = [list(column) for column in zip(*rows, strict=True)]
        sql = "SELECT append_events(%s::text[], %s::text[], %s::bytea[], %s::int[], %s::text[], %s, %s)"
        first = int(db.execute_sql(sql, (*values, created, LOG_LOCK)).fetchone()[0])
    else:
        columns = "type, rooms, payload, origin_user, origin_socket, created_ms"
        last = insert(db, "event", columns, [(*row, created) for row in rows])
        first = last + 1 - len(rows)
        places = [(room, number) for number, item in enumerate(recorded, first) for room in item.rooms]
        insert(db, "event_room", "room, event_id", places)
    return [LoggedEvent(number, *item) for number, item in enumerate(recorded, first)]


def as_row(item: Recorded) -> tuple[str, str, bytes, int | None, str | None]:
    """The columns type, rooms, payload, origin_user and origin_socket."""
    user, socket = item.origin or (None, None)
    return item.type, " ".join(item.rooms), item.payload, user, socket


def insert(db: Database, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> int:
    """Stores rows on SQLite, with one INSERT for every MAX_ROWS; returns the number of the last one, which is one above
    the highest that was there for each row, where the table has numbers and none is given."""
    last = 0
    for start in range(0, len(rows), MAX_ROWS):
        chunk = rows[start : start + MAX_ROWS]
        sql = insert_statement(table, columns, len(chunk))
        last = db.execute_sql(sql, [*chain.from_iterable(chunk)]).lastrowid
    return last


@cache
def insert_statement(table: str, columns: str, count: int) -> str:
    marks = "(" + ", ".join("?" * len(columns.split(","))) + ")"
    return f"INSERT INTO {table} ({columns}) VALUES {', '.join([marks] * count)}"


def bounds(db: Database) -> Bounds:
    """What can be read."""
    sql = "SELECT (SELECT min(id) FROM event), (SELECT max(id) FROM event)"
    first, last = db.execute_sql(sql).fetchone()
    return Bounds(int(first) - 1, int(last)) if first is not None else Bounds(0, 0)


def read_after(db: Database, cursor: int, limit: int) -> list[LoggedEvent]:
    """Up to `limit` events above the cursor, in order."""
    sql = f"SELECT {COLUMNS} FROM event WHERE id > {db.param} ORDER BY id LIMIT {db.param}"
    return [as_event(row) for row in db.execute_sql(sql, (cursor, limit))]


def read_rooms(db: Database, after: Mapping[str, int], limit: int) -> list[LoggedEvent]:
    """Up to `limit` events in any of the rooms, each above the position given for that room, in order."""
    return read_ids(db, ids_in_rooms(db, after, limit))


def read_ids(db: Database, ids: Sequence[int]) -> list[LoggedEvent]:
    """The events with these ids, which rise."""
    return [as_event(row) for row in select_ids(db, COLUMNS, ids)]


def sizes(db: Database, ids: Sequence[int]) -> list[int]:
    """How many bytes the payloads of these events have; reads none of them."""
    return [int(size) for _, size in select_ids(db, "id, length(payload)", ids)]


def select_ids(db: Database, columns: str, ids: Sequence[int]) -> Iterator[Any]:
    """Columns of the events with these ids, which rise."""
    for start in range(0, len(ids), MAX_ROWS):
        chunk = ids[start : start + MAX_ROWS]
        marks = ", ".join([db.param] * len(chunk))
        yield from db.execute_sql(f"SELECT {columns} FROM event WHERE id IN ({marks}) ORDER BY id", chunk)


def ids_in_rooms(db: Database, after: Mapping[str, int], limit: int) -> list[int]:
    """The ids of what `read_rooms` reads; looks at no more than `limit` entries of each room."""
    ids: set[int] = set()
    places = list(after.items())
    one = f"SELECT event_id FROM event_room WHERE room = {db.param} AND event_id > {db.param} ORDER BY event_id"
    for start in range(0, len(places), MAX_ROOMS):
        chunk = places[start : start + MAX_ROOMS]
        parts = [f"SELECT event_id FROM ({one} LIMIT {int(limit)}) AS room_{n}" for n in range(len(chunk))]
        values = [value for place in chunk for value in place]
        ids.update(int(row[0]) for row in db.execute_sql(" UNION ALL ".join(parts), values))
    return sorted(ids)[:limit]


def as_event(row: tuple[int, str, str, bytes, int | None, str | None]) -> LoggedEvent:
    """A row of COLUMNS."""
    number, kind, rooms, payload, user, socket = row
    origin = Origin(user, socket) if user is not None and socket else None
    return LoggedEvent(number, kind, tuple(rooms.split(" ")), bytes(payload), origin)
