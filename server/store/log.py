"""The ordered log: every event of the database in the order of the commits.

Invariants: ids are gap-free and rise in commit order, because `append` is the last statement before the commit and
holds a lock until it: the advisory lock on PostgreSQL, the writer lock on SQLite. A rolled-back transaction leaves
nothing. The tables have no foreign keys. `event_room` leads from a room to its events.
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
    if isinstance(db, PostgresqlDatabase):
        # a statement of its own: the next one takes its snapshot after the lock was won
        db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (LOG_LOCK,))
    first = head(db) + 1
    events = [
        LoggedEvent(number, item.type, item.rooms, item.payload, item.origin)
        for number, item in enumerate(recorded, first)
    ]
    created = time.time_ns() // 1_000_000
    columns = "id, type, rooms, payload, origin_user, origin_socket, created_ms"
    insert(db, "event", columns, ((*as_row(event), created) for event in events))
    insert(db, "event_room", "room, event_id", ((room, event.id) for event in events for room in event.rooms))
    return events


def as_row(event: LoggedEvent) -> tuple[int, str, str, bytes, int | None, str | None]:
    user, socket = event.origin or (None, None)
    return event.id, event.type, " ".join(event.rooms), event.payload, user, socket


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
