"""Which documents are to be interpreted, and what items say of it (docs/protocols/items-files.md).

Items are the queue themselves: one with a file, in the state `uploaded` or `interpreting`, waits until somebody holds
its lease. So nothing has to be kept in step: whoever finalizes, deletes or rejects an item has taken it out of the
queue, and whoever locks it makes it wait. Invariants: a change is made in a transaction that claims the lease again,
so no late process writes beside its successor; each state is told once; a value that is there already stays.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from server.actions.field_types import types_of
from server.actions.files import FoundFile, find_file
from server.actions.item_events import tell_item
from server.actions.item_fields import usable_fields
from server.actions.item_values import Given, write_values
from server.actions.items import change, workflow_of
from server.actions.value_checks import Answers
from server.auth.actors import SERVER
from server.store import leases
from server.store.leases import CLOCK
from server.store.models import Field, Item, Value
from server.store.sql import run
from server.store.transaction import Transaction

UPLOADED, INTERPRETING, INTERPRETED, FAILED = "uploaded", "interpreting", "interpreted", "error"
MOST_BEGUN = 3  # a document with which so many processes have ended is not given to another one
BROKEN_OFF = "The interpretation was broken off several times."
LEASE = "interpretation:"  # and the id of the item
# The conditions of the index `item_waiting`, word by word, and in its order.
WAITING = """SELECT i.created_at, i.id, i.workspace_id FROM item i
    WHERE i.original_file_type = ? AND i.state IN ('uploaded', 'interpreting')
        AND i.original_file_id IS NOT NULL AND i.locked_by_user_id IS NULL AND NOT i.deleted
        AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.name = ? || i.id AND l.expires_ms > {clock})
    ORDER BY i.created_at, i.id LIMIT ?"""


class Hold(NamedTuple):
    """Who takes documents, and for how many seconds."""

    holder: str
    seconds: float


class Waiting(NamedTuple):
    """An item whose document nobody interprets."""

    item_id: str
    workspace_id: int


class Job(NamedTuple):
    """A document to be interpreted, and the fields that it may fill, each as `WantedField` has it."""

    item_id: str
    workspace_id: int
    file: FoundFile
    fields: list[dict[str, Any]]


def find_waiting(tx: Transaction, *, types: Iterable[str], most: int) -> list[Waiting]:
    """Items with documents of these content types that nobody interprets, those that came first before others."""
    sql = WAITING.format(clock=CLOCK[tx.postgres])
    rows = [tuple(row) for each in types for row in run(tx, sql, (each, LEASE, most)).fetchall()]
    return [Waiting(item_id, workspace_id) for _, item_id, workspace_id in sorted(rows)[:most]]


def begin_interpretation(tx: Transaction, waiting: Waiting, hold: Hold) -> Job | None:
    """Takes a document and tells that it is being interpreted, unless that was told; None where there is nothing to be
    done with it."""
    item = enter_held(tx, waiting.item_id, waiting.workspace_id, hold)
    if item is None:
        return None
    if item.interpretations >= MOST_BEGUN:
        end(tx, item, hold, {"state": FAILED, "error": BROKEN_OFF})
        return None
    item.interpretations += 1
    item.save(only=["interpretations"])
    if item.state != INTERPRETING:
        change(item, {"state": INTERPRETING, "error": None})
        tell_item(tx, SERVER, item)
    file = find_file(tx, item.original_file_id)
    assert file is not None, "an item lets go of its file when it is deleted"
    return Job(item.id, item.workspace_id, file, wanted(usable_fields(workflow_of(item.column_id))))


def wanted(fields: list[Field]) -> list[dict[str, Any]]:
    """What an interpreter is told of fields."""
    types = types_of(fields)
    return [
        {
            "id": field.id,
            "name": field.name,
            "type": types[field.field_type_id].name,
            "required": field.required,
            "formatter": types[field.field_type_id].formatter,
            "validator": types[field.field_type_id].validator,
        }
        for field in fields
    ]


def finish_interpretation(
    tx: Transaction,
    job: Job,
    hold: Hold,
    *,
    values: Sequence[Given],
    page_count: int,
    document_type: str | None,
    status_messages: Sequence[str],
    answers: Answers,
) -> bool:
    """Writes what a document says and tells it; False where nobody waits for it any more. Raises Unanswered, or Refused
    for too many values."""
    item = enter_held(tx, job.item_id, job.workspace_id, hold)
    if item is None or item.state != INTERPRETING:
        return give_back(tx, job, hold)
    fields = usable_fields(workflow_of(item.column_id))
    write_values(item, fields, missing(item, fields, values), answers)
    changes = {"state": INTERPRETED, "page_count": page_count, "status_messages": list(status_messages)}
    end(tx, item, hold, changes | {"document_type": item.document_type or document_type})
    return True


def missing(item: Item, fields: Iterable[Field], values: Sequence[Given]) -> list[Given]:
    """Those values that the item can have, and does not have yet."""
    there = Value.select(Value.field_id, Value.column_index).where(Value.item_id == item.id)
    taken, usable = set(there.tuples()), {field.id for field in fields}
    return [each for each in values if each["field_id"] in usable and place(each) not in taken]


def place(value: Given) -> tuple[str, int | None]:
    return value["field_id"], value["column_index"]


def fail_interpretation(tx: Transaction, job: Job, hold: Hold, *, reason: str) -> bool:
    """Tells that a document cannot be interpreted, and why; False where nobody waits for it any more."""
    item = enter_held(tx, job.item_id, job.workspace_id, hold)
    if item is None or item.state != INTERPRETING:
        return give_back(tx, job, hold)
    end(tx, item, hold, {"state": FAILED, "error": reason})
    return True


def give_back(tx: Transaction, job: Job, hold: Hold, *, pause: float = 0.0) -> bool:
    """Lets others have a document after some seconds, as if it had not been begun; always False."""
    tx.lock_workspaces(job.workspace_id)
    name = LEASE + job.item_id
    if leases.claim(tx, name, holder=hold.holder, seconds=pause):
        begun = (Item.id == job.item_id) & (Item.interpretations > 0)
        Item.update(interpretations=Item.interpretations - 1).where(begun).execute()
        if not pause:
            leases.release(tx, name, holder=hold.holder)
    return False


def enter_held(tx: Transaction, item_id: str, workspace_id: int, hold: Hold) -> Item | None:
    """Locks the workspace of an item and holds the item's lease; None where another process has it, or where the item
    does not wait."""
    tx.lock_workspaces(workspace_id)
    item: Item | None = Item.find(id=item_id, deleted=False)
    if item is None or not waits(item):
        return None
    held = leases.claim(tx, LEASE + item_id, holder=hold.holder, seconds=hold.seconds)
    return item if held else None


def waits(item: Item) -> bool:
    """What the query for waiting items asks, of an item that is not deleted."""
    with_file = item.original_file_id is not None
    return with_file and item.locked_by_user_id is None and item.state in (UPLOADED, INTERPRETING)


def end(tx: Transaction, item: Item, hold: Hold, changes: dict[str, Any]) -> None:
    """The end of an interpretation, which is told."""
    change(item, {"error": None} | changes | {"interpretations": 0})
    tell_item(tx, SERVER, item)
    leases.release(tx, LEASE + item.id, holder=hold.holder)
