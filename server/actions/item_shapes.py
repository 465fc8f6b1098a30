"""How things of the items API look (contract items.md): times, counts and the keys of each resource."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import fn

from server.store.item_values import read_values
from server.store.models import Collection, Column, Comment, Item, Workflow, Workspace
from server.store.transaction import Transaction

Shown = dict[str, Any]


def stamp(moment: datetime) -> str:
    """`2026-11-21 02:20:46.484180`, UTC: times of items, columns, collections and workflows."""
    return moment.isoformat(" ", "microseconds")


def iso_stamp(moment: datetime) -> str:
    """`2026-11-21T02:20:46.484Z`: times of workspaces, and of workflows inside them."""
    return moment.isoformat("T", "milliseconds") + "Z"


def show_items(tx: Transaction, items: Sequence[Item]) -> list[Shown]:
    """Items with their values and counts, in the given order, with one query for all values."""
    values = read_values(tx, [item.id for item in items])
    return [show_item(item, values[item.id]) for item in items]


def show_item(item: Item, values: list[Shown]) -> Shown:
    return {
        "id": item.id,
        "created_at": stamp(item.created_at),
        "updated_at": stamp(item.updated_at),
        "name": item.name,
        "error": item.error,
        "state": item.state,
        "document_type": item.document_type,
        "user_id": item.user_id,
        "column_id": item.column_id,
        "collection_id": item.collection_id,
        "original_file_id": item.original_file_id,
        "locked_by_user_id": item.locked_by_user_id,
        "deleted": item.deleted,
        "values": values,
        "page_count": item.page_count,
        "comment_count": item.comment_count,
        "status_messages": item.status_messages,
    }


def show_comment(comment: Comment) -> Shown:
    """A comment; `user_id` is its author, who may be gone. It is never changed, and has both times as all things do."""
    return {
        "id": comment.id,
        "created_at": stamp(comment.created_at),
        "updated_at": stamp(comment.created_at),
        "text": comment.text,
        "item_id": comment.item_id,
        "user_id": comment.user_id,
    }


def count_items(column_ids: Sequence[str]) -> dict[str, int]:
    """Items of each column that are not deleted; empty columns are left out."""
    query = (
        Item.select(Item.column_id, fn.COUNT(Item.id))
        .where(Item.column_id.in_(column_ids), Item.deleted == False)  # noqa: E712, NOT would pass the index by
        .group_by(Item.column_id)
    )
    return dict(query.tuples())


def show_column(column: Column, count: int) -> Shown:
    """The flat column, as in `column-patched`."""
    return {
        "id": column.id,
        "created_at": stamp(column.created_at),
        "updated_at": stamp(column.updated_at),
        "name": column.name,
        "workflow_id": column.workflow_id,
        "type": column.type,
        "settings": column.settings,
        "index": column.index,
        "subscribed_items": count,
    }


def show_columns(columns: Sequence[Column]) -> list[Shown]:
    """Flat columns in the given order, with one count for all."""
    counts = count_items([column.id for column in columns])
    return [show_column(column, counts.get(column.id, 0)) for column in columns]


def with_neighbours(columns: Sequence[Shown]) -> list[Shown]:
    """The columns of one workflow from left to right as `GET /workspaces` shows them: what the member may do with
    their items, and the flat neighbours, null at the ends."""
    before, after = [None, *columns[:-1]], [*columns[1:], None]
    return [
        {**column, "edit_items": True, "delete_items": True, "previous": previous, "next": following}
        for previous, column, following in zip(before, columns, after, strict=True)
    ]


def show_workflow(workflow: Workflow, workspace_uuid: str, columns: list[Shown]) -> Shown:
    return {
        "id": workflow.id,
        "name": workflow.name,
        "created_at": stamp(workflow.created_at),
        "updated_at": stamp(workflow.updated_at),
        "workspace_id": workspace_uuid,
        "collection_id": workflow.collection_id,
        "classification": workflow.classification,
        "columns": columns,
    }


def show_collection(collection: Collection, workspace_uuid: str) -> Shown:
    return {
        "id": collection.id,
        "created_at": stamp(collection.created_at),
        "updated_at": stamp(collection.updated_at),
        "name": collection.name,
        "workspace_id": workspace_uuid,
        "settings": collection.settings,
        "accounts": collection.accounts,
        "cost_centers": collection.cost_centers,
        "projects": collection.projects,
        "currencies": collection.currencies,
        "voucher_series": collection.voucher_series,
    }


def show_workspace(workspace: Workspace) -> Shown:
    return {
        "id": workspace.uuid,
        "name": workspace.name,
        "created_at": iso_stamp(workspace.created_at),
        "updated_at": iso_stamp(workspace.updated_at),
    }
