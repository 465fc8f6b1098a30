"""The ordered log: every event of the database in the order of the commits.

Invariants: ids are gap-free and rise in commit order, because `append` is the last statement before the commit and
holds a lock until it: an advisory lock on PostgreSQL (in the function `append_events`), the writer lock on SQLite. A
rolled-back transaction leaves nothing. The tables have no foreign keys. `event_room` leads from a room to its events.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from peewee import Database, PostgresqlDatabase

from server.events.event import Origin

LOG_LOCK = 0x726F6F6D  # pg_advisory_xact_lock(bigint); workspaces use the two-key space, so the two never meet
MAX_ROWS = 400  # rows of one INSERT: stays below SQLite's and PostgreSQL's limits of bound values


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the log holds it; `payload` is the JSON that was encoded when it was recorded."""

    id: int
    type: str
    rooms: tuple[str, ...]
    payload: bytes
    origin: Origin | None


@dataclass(frozen=True, slots=True)
class Recorded:
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
        first = head(db) + 1
        columns = "id, type, rooms, payload, origin_user, origin_socket, created_ms"
        insert(db, "event", columns, ((number, *row, created) for number, row in enumerate(rows, first)))
        places = ((room, number) for number, item in enumerate(recorded, first) for room in item.rooms)
        insert(db, "event_room", "room, event_id", places)
    return [
        LoggedEvent(number, item.type, item.rooms, item.payload, item.origin)
        for number, item in enumerate(recorded, first)
    ]


def as_row(item: Recorded) -> tuple[str, str, bytes, int | None, str | None]:
    """The columns type, rooms, payload, origin_user and origin_socket."""
    user, socket = item.origin or (None, None)
    return item.type, " ".join(item.rooms), item.payload, user, socket


def insert(db: Database, table: str, columns: str, rows: Iterable[tuple[object, ...]]) -> None:
    """One INSERT for every MAX_ROWS rows."""
    pending = list(rows)
    for start in range(0, len(pending), MAX_ROWS):
        chunk = pending[start : start + MAX_ROWS]
        marks = "(" + ", ".join([db.param] * len(chunk[0])) + ")"
        sql = f"INSERT INTO {table} ({columns}) VALUES {', '.join([marks] * len(chunk))}"
        db.execute_sql(sql, [value for row in chunk for value in row])


def read_after(db: Database, cursor: int, limit: int) -> list[LoggedEvent]:
    """Up to `limit` events above the cursor, in order."""
    sql = (
        "SELECT id, type, rooms, payload, origin_user, origin_socket FROM event"
        f" WHERE id > {db.param} ORDER BY id LIMIT {db.param}"
    )
    return [
        LoggedEvent(number, kind, tuple(rooms.split(" ")), bytes(payload), Origin(user, socket) if socket else None)
        for number, kind, rooms, payload, user, socket in db.execute_sql(sql, (cursor, limit))
    ]
