"""What is next for a webhook: a reader of the log whose cursor is kept in the database.

Invariants: nothing is written when an event happens; what a webhook is to be told is what the log has in its room above
its position. Who tells it holds its lease, and moves the position in a transaction that claims that lease again, so no
late process moves it. Whether its maker may still hear the workspace is asked in the snapshot in which the events are
read: what happened after the end of a membership is told to nobody.
"""

from typing import Any, NamedTuple

import orjson

from server.encoding import encode
from server.store import leases, log
from server.store.history import read_history
from server.store.leases import CLOCK
from server.store.models import Webhook
from server.store.sql import run
from server.store.transaction import Transaction

ACTIVE, DISABLED = "active", "disabled"
LEASE = "webhook:"  # and the id
CHUNK = 50  # events read at once
BUSY = 0.5  # seconds after which a webhook that another process has is asked for again
REFRESH = "refresh"
NOT_ENTITLED = "Whoever made the webhook is no longer a member of the workspace."
ENTITLED = """SELECT m.began, w.uuid FROM membership m
    JOIN workspace w ON w.id = m.workspace_id JOIN account a ON a.id = m.user_id
    WHERE m.workspace_id = {workspace} AND m.user_id = {user} AND NOT w.trashed AND a.is_active"""
SURVEY = """SELECT h.id, h.room, h.events, h.next_attempt_ms <= {clock}
        AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.name = ? || h.id AND l.expires_ms > {clock})
        AND (h.position < ? OR h.position > ? OR NOT EXISTS ({entitled})
            OR EXISTS (SELECT 1 FROM event_room r WHERE r.room = h.room AND r.event_id > h.position))
    FROM webhook h WHERE h.state = ?"""


class Reader(NamedTuple):
    """An active webhook; `due` where it should be looked at, and nobody does."""

    id: str
    room: str
    events: frozenset[str]
    due: bool


class Hold(NamedTuple):
    """Who takes webhooks, and for how many seconds."""

    holder: str
    seconds: float


class Delivery(NamedTuple):
    """One request to be made: the event's name, its idempotency key, its body; then the webhook is at `position`."""

    event: str
    key: str
    body: bytes
    position: int


class Batch(NamedTuple):
    """What comes next for a webhook: after the last delivery it is at `position`; `complete` says that this is all."""

    deliveries: list[Delivery]
    position: int
    complete: bool


def survey(tx: Transaction) -> list[Reader]:
    """All active webhooks."""
    floor, head = log.bounds(tx.db)
    entitled = ENTITLED.format(workspace="h.workspace_id", user="h.user_id")
    found = run(tx, SURVEY.format(clock=CLOCK[tx.postgres], entitled=entitled), (LEASE, floor, head, ACTIVE))
    return [Reader(number, room, frozenset(orjson.loads(events)), bool(due)) for number, room, events, due in found]


def take(tx: Transaction, webhook_id: str, hold: Hold) -> Webhook | float | None:
    """Takes a webhook; or says in how many seconds to ask again, None where there is nothing to ask for."""
    sql = f"SELECT next_attempt_ms - {CLOCK[tx.postgres]} FROM webhook WHERE id = ? AND state = ?"
    row = run(tx, sql, (webhook_id, ACTIVE)).fetchone()
    if row is None:
        return None
    if row[0] > 0:
        return float(row[0] / 1000)
    if not leases.claim(tx, LEASE + webhook_id, holder=hold.holder, seconds=hold.seconds):
        return BUSY
    webhook = Webhook.find(id=webhook_id, state=ACTIVE)
    if webhook is None:  # it ended meanwhile
        leases.release(tx, LEASE + webhook_id, holder=hold.holder)
    return webhook


def read_on(tx: Transaction, webhook: Webhook) -> Batch | None:
    """What comes next; None where its maker may not hear it any more."""
    sql = ENTITLED.format(workspace="?", user="?")
    entitled = run(tx, sql, (webhook.workspace_id, webhook.user_id)).fetchone()
    if entitled is None:
        return None
    began, workspace = entitled
    history = read_history(tx.db, {webhook.room: began}, webhook.position, chunk=CHUNK)
    if history is None:
        return begin_anew(workspace, tx.position())
    wanted = [event for event in history.events if event.type in webhook.events]
    deliveries = [Delivery(event.type, str(event.id), event.payload, event.id) for event in wanted]
    return Batch(deliveries, history.position, history.complete)


def begin_anew(workspace: str, head: int) -> Batch:
    """What a webhook is told whose past is gone: to read anew what there is; what happens above `head` follows."""
    body = encode({"workspace_id": workspace, "position": head})
    return Batch([Delivery(REFRESH, f"{REFRESH}-{head}", body, head)], head, True)


def advance(tx: Transaction, webhook_id: str, hold: Hold, *, position: int, delivered: bool, last: bool) -> bool:
    """Notes how far a webhook was told, and gives it back after the last delivery; False where it is no longer ours."""
    changes: dict[str, Any] = {"position": position}
    if delivered:
        changes |= {"failures": 0, "failing_since_ms": None, "next_attempt_ms": 0, "reason": None}
    return change(tx, webhook_id, hold, changes, last=last)


def fail(tx: Transaction, webhook: Webhook, hold: Hold, *, reason: str, pause: float, patience: float) -> None:
    """Notes a failed attempt and gives the webhook back. The next one is in `pause` seconds; after `patience` seconds
    of nothing but failures there is none."""
    now = int(run(tx, f"SELECT {CLOCK[tx.postgres]}").fetchone()[0])
    since = webhook.failing_since_ms or now
    changes: dict[str, Any] = {"failures": webhook.failures + 1, "failing_since_ms": since, "reason": reason}
    if now - since >= patience * 1000:
        changes |= {"state": DISABLED}
    else:
        changes |= {"next_attempt_ms": now + int(pause * 1000)}
    change(tx, webhook.id, hold, changes, last=True)


def end(tx: Transaction, webhook_id: str, hold: Hold) -> None:
    """Ends a webhook whose maker is no longer entitled."""
    change(tx, webhook_id, hold, {"state": DISABLED, "reason": NOT_ENTITLED}, last=True)


def change(tx: Transaction, webhook_id: str, hold: Hold, changes: dict[str, Any], *, last: bool) -> bool:
    """Changes an active webhook for the holder of its lease, who keeps it unless this is the last change; False where
    there is no such webhook, or where it has another holder."""
    name = LEASE + webhook_id
    if not leases.claim(tx, name, holder=hold.holder, seconds=hold.seconds):
        return False
    changed = Webhook.update(changes).where(Webhook.id == webhook_id, Webhook.state == ACTIVE).execute()
    if last or not changed:
        leases.release(tx, name, holder=hold.holder)
    return bool(changed)
