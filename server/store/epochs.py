"""Epochs: what makes one integer enough as a cursor, even over a restored backup.

A restored backup lacks events that clients have seen, and would give their ids to other events. A new epoch lets ids go
on far above, and removes what was before: so each old cursor lies below the log and is told to refresh.
"""

import time
from typing import NamedTuple

from server.events.control import EpochBegan
from server.events.rooms import CONTROL
from server.store import log
from server.store.sql import run
from server.store.transaction import Transaction

EPOCH = 1 << 40  # ids of one epoch: ten years of 3,000 events a second; 8,191 epochs fit into a JavaScript number


class Epoch(NamedTuple):
    """What began: the end of the log as it was restored, how many events were removed, the id of the first new one."""

    restored_at: int
    removed: int
    began: int


def begin_epoch(tx: Transaction, *, above: int = 0) -> Epoch:
    """Removes all events and enters `EpochBegan` under the next multiple of EPOCH above the end of the log, and above
    `above`: the highest id that any client may have seen, where the log does not know it. Must be followed by the
    commit at once."""
    if tx.postgres:
        run(tx, "SELECT pg_advisory_xact_lock(?)", (log.LOG_LOCK,))
    floor, head = log.bounds(tx.db)
    began = (max(head, above) // EPOCH + 1) * EPOCH
    for table in ("event_room", "event"):
        run(tx, f"TRUNCATE {table}" if tx.postgres else f"DELETE FROM {table}")
    event = EpochBegan(restored_at=head)
    row = (began, event.type, CONTROL, event.payload(), time.time_ns() // 1_000_000)
    run(tx, "INSERT INTO event (id, type, rooms, payload, created_ms) VALUES (?, ?, ?, ?, ?)", row)
    run(tx, "INSERT INTO event_room (room, event_id) VALUES (?, ?)", (CONTROL, began))
    return Epoch(head, head - floor, began)
