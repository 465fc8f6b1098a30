"""Columns of a workflow (contract items.md).

Invariant: within a workflow `index` orders the columns from the left; a change of it counts the columns anew from 0,
and every column whose index changed is told. A deletion leaves a gap, so that it tells of no other column.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from server.actions.boards import enter, look_at, own_workspaces
from server.actions.item_files import release_originals
from server.actions.item_shapes import Shown, show_columns
from server.actions.item_values import remove_values
from server.auth.actors import Actor
from server.encoding import now
from server.events import rooms
from server.events.items import ColumnPatched, ItemRemoved
from server.store.models import Column, Comment, Item, Workflow
from server.store.transaction import Transaction

INBOX, WORK, REVIEW, ARCHIVE = "inbox", "work", "review", "archive"
KINDS = (INBOX, WORK, REVIEW, ARCHIVE)


def columns_of(workflow_ids: Sequence[str]) -> list[Column]:
    """The columns of workflows, each from left to right."""
    query = Column.select().where(Column.workflow_id.in_(workflow_ids))
    return list(query.order_by(Column.workflow_id, Column.index, Column.created_at, Column.id))


def list_columns(tx: Transaction, actor: Actor, *, workflow_id: str | None) -> list[Shown]:
    """The columns of one workflow, or of all that the actor may see."""
    if workflow_id is not None:
        workflow, _ = look_at(actor, Workflow, workflow_id)
        return show_columns(columns_of([workflow.id]))
    query = Column.select().where(Column.workspace_id.in_(list(own_workspaces(actor))))
    return show_columns(list(query.order_by(Column.workflow_id, Column.index, Column.created_at, Column.id)))


def create_column(
    tx: Transaction,
    actor: Actor,
    *,
    workflow_id: str,
    name: str,
    kind: str,
    index: int | None,
    settings: dict[str, Any],
) -> Shown:
    """Puts a column at a place, counted from 0, or at the right end."""
    workflow, workspace = enter(tx, actor, Workflow, workflow_id)
    others = columns_of([workflow.id])
    last = others[-1].index + 1 if others else 0
    column = Column.create(
        workspace_id=workspace.id, workflow_id=workflow.id, name=name, type=kind, index=last, settings=settings
    )
    return tell_columns(tx, actor, [column, *(place(column, others, index) if index is not None else ())])[0]


def place(column: Column, others: list[Column], index: int) -> list[Column]:
    """Puts a column at a place among the others of its workflow and returns those others that had to give way."""
    ordered = [*others[:index], column, *others[index:]]
    moved = [(each, number) for number, each in enumerate(ordered) if each.index != number]
    for each, number in moved:
        each.index, each.updated_at = number, now()
        each.save(only=["index", "updated_at"])
    return [each for each, _ in moved if each is not column]


def update_column(tx: Transaction, actor: Actor, *, column_id: str, changes: dict[str, Any]) -> Shown:
    """Changes `name`, `type`, `settings` or `index`; what changes nothing has no event."""
    column, _ = enter(tx, actor, Column, column_id)
    before: int = column.index
    index: int = changes.get("index", before)
    changed = [name for name in changes if name != "index" and getattr(column, name) != changes[name]]
    for name in changed:
        setattr(column, name, changes[name])
    moved: list[Column] = []
    if index != before:
        others = [each for each in columns_of([column.workflow_id]) if each.id != column.id]
        moved = place(column, others, index)
    if not (changed or moved or column.index != before):
        return show_columns([column])[0]
    column.updated_at = now()
    column.save(only=[*changed, "updated_at"])
    return tell_columns(tx, actor, [column, *moved])[0]


def tell_columns(tx: Transaction, actor: Actor, columns: Sequence[Column]) -> list[Shown]:
    """Records `column-patched` for each column, in this order, and returns what was told."""
    shown = show_columns(columns)
    for column, each in zip(columns, shown, strict=True):
        tx.record(ColumnPatched(each), rooms.items(column.workspace_id), origin=actor.origin)
    return shown


def tell_counts(tx: Transaction, actor: Actor, *column_ids: str) -> None:
    """Records `column-patched` for columns whose items came or went, in this order."""
    found = {column.id: column for column in Column.select().where(Column.id.in_(column_ids))}
    tell_columns(tx, actor, [found[column_id] for column_id in column_ids])


def delete_column(tx: Transaction, actor: Actor, *, column_id: str) -> None:
    """Deletes a column; each of its items is removed first. The column's disappearance itself has no event."""
    column, _ = enter(tx, actor, Column, column_id)
    remove_columns(tx, actor, [column])


def remove_columns(tx: Transaction, actor: Actor, columns: Iterable[Column]) -> None:
    """Removes the items of columns with their values, column by column and oldest first, with
    their files, then the columns, with whatever was said about an item that was ever left in them."""
    for column in columns:
        inside = (Item.column_id == column.id) & (Item.deleted == False)  # noqa: E712, for the index
        removed = [each.id for each in Item.select(Item.id).where(inside).order_by(Item.created_at, Item.id)]
        for item_id in removed:
            tx.record(ItemRemoved(item_id), rooms.items(column.workspace_id), origin=actor.origin)
        remove_values(column.id)
        Item.update(deleted=True, updated_at=now()).where(inside).execute()
        left = Item.column_id == column.id
        release_originals(tx, left)
        Comment.delete().where(Comment.item_id.in_(Item.select(Item.id).where(left))).execute()
        Item.update(comment_count=0).where(left).execute()
        column.delete_instance()
