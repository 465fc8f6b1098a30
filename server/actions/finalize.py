"""The end of an item's work (contract items.md): it goes to the archive and is only read from then on."""

from collections.abc import Sequence
from typing import Any

from server.actions.boards import refuse_field
from server.actions.columns import ARCHIVE, tell_counts
from server.actions.item_events import tell_item
from server.actions.item_fields import usable_fields
from server.actions.item_shapes import Shown, stamp
from server.actions.item_values import Given, require_values, write_values
from server.actions.items import FINALIZED, change, enter_open_item, require_lock, workflow_of
from server.actions.value_checks import Answers
from server.auth.actors import Actor
from server.encoding import now
from server.errors import CONFLICT, Refused
from server.store.models import Column, Workflow
from server.store.models.items import new_id
from server.store.transaction import Transaction


def finalize_item(
    tx: Transaction,
    actor: Actor,
    *,
    item_id: str,
    values: Sequence[Given],
    accounting: Sequence[dict[str, Any]],
    classification: str | None,
    answers: Answers,
) -> Shown:
    """Writes the last values and the accounting, and moves the item to the archive of its workflow, or of the
    collection's workflow with that classification. Raises Refused, also where a required field has no valid value, or
    Unanswered."""
    item = enter_open_item(tx, actor, item_id)
    require_lock(actor, item)
    source, before = item.column_id, workflow_of(item.column_id)
    workflow = find_workflow(before, classification)
    archive = find_archive(workflow)
    write_values(item, usable_fields(workflow, before), values, answers)
    require_values(item, workflow)
    changes = {"state": FINALIZED, "column_id": archive, "locked_by_user_id": None, "accountings": book(accounting)}
    change(item, changes | ({"document_type": classification} if classification else {}))
    shown = tell_item(tx, actor, item)
    if archive != source:
        tell_counts(tx, actor, source, archive)
    return shown


def find_workflow(own: Workflow, classification: str | None) -> Workflow:
    """The item's own workflow, unless the classification is that of another one of its collection; raises Refused
    where none has it."""
    if classification in (None, own.classification):
        return own
    same = (Workflow.collection_id == own.collection_id) & (Workflow.classification == classification)
    found: Workflow | None = Workflow.select().where(same).order_by(Workflow.created_at, Workflow.id).first()
    if found is None:
        refuse_field("classification", "The collection has no workflow of this classification.")
    return found


def find_archive(workflow: Workflow) -> str:
    """The id of the first archive column; raises Refused where there is none."""
    where = (Column.workflow_id == workflow.id) & (Column.type == ARCHIVE)
    found = Column.select(Column.id).where(where).order_by(Column.index, Column.created_at).first()
    if found is None:
        raise Refused(CONFLICT, "The workflow has no archive column.")
    archive: str = found.id
    return archive


def book(accounting: Sequence[dict[str, Any]]) -> list[Shown]:
    """Entries as they are kept: each with an id and its time."""
    moment = stamp(now())
    return [{"id": new_id(), "created_at": moment, "updated_at": moment} | entry for entry in accounting]
