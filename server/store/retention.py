"""Forgetting what is too old: events, sessions, refused tokens, logins of projects' own users.

Invariants: events leave from the beginning of the log only, each with its entries in `event_room`, and the newest one
never: ids go on from it. Each call removes one batch, so that its transaction stays short; 0 says that nothing is left.
"""

import time
from collections.abc import Sequence

from server.encoding import encode
from server.store.sql import run
from server.store.transaction import Transaction

BATCH = 500  # rows of one transaction: some 5 ms on SQLite
BATCH_BYTES = 1 << 20  # of payloads: SQLite frees each page of a large one by itself, some 3 ms a MiB


def prune(tx: Transaction, *, keep_events: int, keep_seconds: float, batch: int = BATCH) -> int:
    """Removes up to `batch` of the oldest events while there are more than `keep_events`, or while they are older than
    `keep_seconds`; returns how many."""
    head = tx.position()
    surplus, expired = head - keep_events, now_ms() - int(keep_seconds * 1000)
    doomed: list[tuple[int, str]] = []
    size = 0
    oldest = "SELECT id, rooms, created_ms, length(payload) FROM event WHERE id < ? ORDER BY id LIMIT ?"
    for number, rooms, created, length in run(tx, oldest, (head, batch)).fetchall():
        if (number > surplus and created >= expired) or size > BATCH_BYTES:
            break
        doomed.append((number, rooms))
        size += length
    if doomed:
        carry_webhooks(tx, floor=doomed[-1][0])
        remove_events(tx, doomed)
    return len(doomed)


def carry_webhooks(tx: Transaction, *, floor: int) -> None:
    """Moves webhooks that have nothing to read up to `floor` on to the next event that is for them, or to the end, so
    that only those who really miss something find their past gone."""
    following = (
        "SELECT min(r.event_id) - 1 FROM event_room r WHERE r.room = webhook.room AND r.event_id > webhook.position"
    )
    moved = f"coalesce(({following}), (SELECT max(id) FROM event))"
    run(tx, f"UPDATE webhook SET position = {moved} WHERE position < ? AND state = 'active'", (floor,))


def remove_events(tx: Transaction, events: Sequence[tuple[int, str]]) -> None:
    """Removes the events at the beginning of the log, given by id and rooms, and their entries."""
    entries = [(room, number) for number, rooms in events for room in rooms.split(" ")]
    first, last = events[0][0], events[-1][0]
    # two ways, because neither planner finds the index by the other's
    if tx.postgres:
        columns = [list(column) for column in zip(*entries, strict=True)]
        gone = "unnest(?::text[], ?::bigint[]) AS gone (room, event_id)"
        where = "event_room.room = gone.room AND event_room.event_id = gone.event_id"
        run(tx, f"DELETE FROM event_room USING {gone} WHERE {where}", columns)
    else:
        names = encode(list({room for room, _ in entries})).decode()
        where = "room IN (SELECT value FROM json_each(?)) AND event_id <= ?"
        run(tx, f"DELETE FROM event_room WHERE {where}", (names, last))
    run(tx, "DELETE FROM event WHERE id BETWEEN ? AND ?", (first, last))


def forget_sessions(tx: Transaction, *, keep_seconds: float, batch: int = BATCH) -> int:
    """Removes up to `batch` sessions last seen longer ago; returns how many."""
    limit = now_ms() - int(keep_seconds * 1000)
    # asked twice, because on PostgreSQL a session may be seen again between the choice and the removal
    oldest = "SELECT pid FROM session WHERE seen_ms < ? LIMIT ?"
    removed = run(tx, f"DELETE FROM session WHERE pid IN ({oldest}) AND seen_ms < ?", (limit, batch, limit))
    return int(removed.rowcount)


def forget_refused_tokens(tx: Transaction, *, batch: int = BATCH) -> int:
    """Removes up to `batch` refused tokens that have expired by themselves; returns how many."""
    oldest = "SELECT id FROM refused_token WHERE expires_at < ? LIMIT ?"
    return int(run(tx, f"DELETE FROM refused_token WHERE id IN ({oldest})", (int(time.time()), batch)).rowcount)


def forget_record_sessions(tx: Transaction, *, batch: int = BATCH) -> int:
    """Removes up to `batch` logins whose tokens have expired; returns how many."""
    oldest = "SELECT jti FROM record_session WHERE expires_at < ? LIMIT ?"
    return int(run(tx, f"DELETE FROM record_session WHERE jti IN ({oldest})", (int(time.time()), batch)).rowcount)


def now_ms() -> int:
    """The clock by which events and sessions are dated."""
    return time.time_ns() // 1_000_000
