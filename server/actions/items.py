"""Items on a board: made, changed, moved, deleted (contract items.md, "What triggers what").

Invariants: every change of an item is told with the whole item, then with each column whose count it changed; a locked
item is changed by the holder of its lock only; a deleted item is kept, can be read and no longer changed; a finalized
one neither.
"""

from collections.abc import Sequence
from typing import Any

from server.actions.boards import enter, find_thing, look_at, own_workspaces, refuse_field, unknown
from server.actions.columns import INBOX, tell_columns, tell_counts
from server.actions.files import Received
from server.actions.item_events import tell_item
from server.actions.item_fields import usable_fields
from server.actions.item_files import keep_original, release_originals
from server.actions.item_shapes import Shown, show_items
from server.actions.item_values import Given, write_values
from server.actions.value_checks import NOTHING_KNOWN, Answers
from server.auth.actors import Actor
from server.auth.permissions import ADMIN, membership
from server.encoding import now
from server.errors import CONFLICT, Refused
from server.events import rooms
from server.events.items import ItemRemoved
from server.store.item_values import read_values
from server.store.models import Collection, Column, Item, Membership, Value, Workflow
from server.store.transaction import Transaction

FINALIZED = "finalized"
PEOPLE = ("user_id", "locked_by_user_id")


def list_items(
    tx: Transaction,
    actor: Actor,
    *,
    collection_id: str | None,
    column_id: str | None,
    state: str | None,
    limit: int,
    offset: int,
) -> list[Shown]:
    """Items that are not deleted, oldest first: of a column, of a collection, or all that the actor may see."""
    where = Item.deleted == False  # noqa: E712, NOT would pass the index by
    if collection_id is not None:
        where &= Item.collection_id == look_at(actor, Collection, collection_id)[0].id
    if column_id is not None:
        where &= Item.column_id == look_at(actor, Column, column_id)[0].id
    if collection_id is None and column_id is None:
        where &= Item.workspace_id.in_(list(own_workspaces(actor)))
    if state is not None and "\0" in state:
        return []  # PostgreSQL takes no such text, and no item has it
    if state is not None:
        where &= Item.state == state
    query = Item.select().where(where).order_by(Item.created_at, Item.id).limit(limit).offset(offset)
    return show_items(tx, list(query))


def get_item(tx: Transaction, actor: Actor, *, item_id: str) -> Shown:
    """One item, a deleted one too."""
    return show_items(tx, [look_at(actor, Item, item_id)[0]])[0]


def create_item(
    tx: Transaction,
    actor: Actor,
    *,
    collection_id: str | None,
    column_id: str | None,
    name: str,
    values: Sequence[Given] = (),
    answers: Answers = NOTHING_KNOWN,
    file: Received | None = None,
) -> Shown:
    """Puts a new item into a column, or into the inbox of a collection's first workflow; its state is `uploaded`.
    Raises Refused, or Unanswered for its values."""
    column, collection = enter_column(tx, actor, collection_id, column_id)
    item = Item.create(
        workspace_id=column.workspace_id,
        collection_id=collection,
        column_id=column.id,
        name=name,
        **(keep_original(tx, file) if file is not None else {}),
    )
    if values:
        write_values(item, usable_fields(workflow_of(column.id)), values, answers)
    shown = tell_item(tx, actor, item)
    tell_columns(tx, actor, [column])
    return shown


def enter_column(tx: Transaction, actor: Actor, collection_id: str | None, column_id: str | None) -> tuple[Column, str]:
    """Locks the workspace and finds where a new item goes: the column and the id of its collection."""
    if column_id is not None:
        column, _ = enter(tx, actor, Column, column_id)
        collection = collection_of(column)
        if collection_id is not None and find_thing(Collection, collection_id).id != collection:
            refuse_field("column_id", "The column belongs to another collection.")
        return column, collection
    if collection_id is None:
        refuse_field("collection_id", "Either collection_id or column_id is required.")
    found, _ = enter(tx, actor, Collection, collection_id)
    return first_column(found), found.id


def collection_of(column: Column) -> str:
    """The id of the collection to which a column belongs."""
    collection_id: str = Workflow.get_by_id(column.workflow_id).collection_id
    return collection_id


def first_column(collection: Collection) -> Column:
    """The inbox of the collection's first workflow, else its leftmost column; raises Refused when there is none."""
    query = Workflow.select(Workflow.id).where(Workflow.collection_id == collection.id)
    first = query.order_by(Workflow.created_at, Workflow.id).first()
    columns = Column.select().where(Column.workflow_id == first.id) if first is not None else ()
    found: Column | None = min(columns, key=lambda each: (each.type != INBOX, each.index), default=None)
    if found is None:
        refuse_field("collection_id", "The collection has no workflow with a column.")
    return found


def workflow_of(column_id: str) -> Workflow:
    """The workflow of a column."""
    workflow: Workflow = Workflow.get_by_id(Column.get_by_id(column_id).workflow_id)
    return workflow


def enter_item(tx: Transaction, actor: Actor, item_id: str) -> Item:
    """Locks the workspace of an item; raises Refused for a deleted one."""
    item, _ = enter(tx, actor, Item, item_id)
    if item.deleted:
        raise unknown(Item)
    return item


def enter_open_item(tx: Transaction, actor: Actor, item_id: str) -> Item:
    """The same for a change of the item itself; raises Refused for a finalized one."""
    item = enter_item(tx, actor, item_id)
    if item.state == FINALIZED:
        raise Refused(CONFLICT, "The item is finalized.")
    return item


def update_item(tx: Transaction, actor: Actor, *, item_id: str, changes: dict[str, Any]) -> Shown:
    """Changes an item; another `column_id` moves it. What changes nothing has no event. Raises Refused."""
    item = enter_open_item(tx, actor, item_id)
    require_lock(actor, item, unlocking=changes == {"locked_by_user_id": None})
    require_people(item, changes)
    if changes.get("state") == FINALIZED:
        refuse_field("state", "An item is finalized with POST /items/{id}/finalize.")
    wanted = changes | find_move(actor, item, changes.get("column_id"))
    source = item.column_id
    changed = {name: value for name, value in wanted.items() if getattr(item, name) != value}
    if not changed:
        return show_items(tx, [item])[0]
    change(item, changed)
    shown = tell_item(tx, actor, item)
    if item.column_id != source:
        tell_counts(tx, actor, source, item.column_id)
    return shown


def change(item: Item, changes: dict[str, Any]) -> None:
    """Stores changes of an item, and when they were made."""
    for name, value in (changes | {"updated_at": now()}).items():
        setattr(item, name, value)
    item.save(only=[*changes, "updated_at"])


def put_values(
    tx: Transaction, actor: Actor, *, item_id: str, values: Sequence[Given], answers: Answers
) -> list[Shown]:
    """Merges values into those of an item and returns them all. What changes nothing has no event. Raises Refused, or
    Unanswered."""
    item = enter_open_item(tx, actor, item_id)
    require_lock(actor, item)
    if not write_values(item, usable_fields(workflow_of(item.column_id)), values, answers):
        return read_values(tx, [item.id])[item.id]
    change(item, {})
    shown: list[Shown] = tell_item(tx, actor, item)["values"]
    return shown


def update_value(tx: Transaction, actor: Actor, *, value_id: str, changes: Given, answers: Answers) -> Shown:
    """Changes one value; the same in all else."""
    value, _ = enter(tx, actor, Value, value_id)
    place = {"field_id": value.field_id, "column_index": value.column_index}
    shown = put_values(tx, actor, item_id=value.item_id, values=[place | changes], answers=answers)
    return next(each for each in shown if each["id"] == value.id)


def require_lock(actor: Actor, item: Item, *, unlocking: bool = False) -> None:
    """Raises Refused for an item that somebody else has locked; an admin may unlock it."""
    if item.locked_by_user_id in (None, actor.id):
        return
    if not (unlocking and membership(actor, item.workspace_id).permissions == ADMIN):
        raise Refused(CONFLICT, "The item is locked by another user.")


def require_people(item: Item, changes: dict[str, Any]) -> None:
    """Raises Refused when an item would be given to, or locked for, somebody outside its workspace."""
    for name in PEOPLE:
        person = changes.get(name)
        if person is not None and Membership.find(workspace_id=item.workspace_id, user_id=person) is None:
            refuse_field(name, "The user is not a member of the workspace.")


def find_move(actor: Actor, item: Item, column_id: str | None) -> dict[str, str]:
    """What a move changes: the column, and the collection where it is another one; raises Refused."""
    if column_id is None:
        return {}
    column = find_thing(Column, column_id)
    if column.workspace_id != item.workspace_id:
        membership(actor, column.workspace_id)
        refuse_field("column_id", "The column belongs to another workspace.")
    return {"column_id": column.id, "collection_id": collection_of(column)}


def delete_item(tx: Transaction, actor: Actor, *, item_id: str) -> None:
    """Takes an item off its board; the item is kept with `deleted` set, its file is not."""
    item = enter_open_item(tx, actor, item_id)
    require_lock(actor, item)
    change(item, {"deleted": True})
    release_originals(tx, Item.id == item.id)
    tx.record(ItemRemoved(item.id), rooms.items(item.workspace_id), origin=actor.origin)
    tell_counts(tx, actor, item.column_id)
