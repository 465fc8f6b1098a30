"""Workflows of a collection and the columns that a new one gets (contract items.md)."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from server.actions.boards import enter, find_workspace, look_at, readable, refuse_field
from server.actions.columns import ARCHIVE, INBOX, WORK, columns_of, remove_columns
from server.actions.item_fields import remove_fields
from server.actions.item_shapes import Shown, iso_stamp, show_columns, show_workflow, with_neighbours
from server.auth.actors import Actor
from server.encoding import now
from server.store.models import Collection, Column, Workflow, Workspace
from server.store.transaction import Transaction

CLASSIFICATIONS = ("SUPPLIER_INVOICE", "CUSTOMER_INVOICE", "CREDIT_INVOICE", "RECEIPT", "OTHER", "REMINDER")
FIRST_COLUMNS = (("Inbox", INBOX), ("Work", WORK), ("Archive", ARCHIVE))


def columns_by_workflow(workflows: Iterable[Workflow]) -> dict[str, list[Shown]]:
    """The flat columns of several workflows, from left to right."""
    found: dict[str, list[Shown]] = defaultdict(list)
    for column in show_columns(columns_of([workflow.id for workflow in workflows])):
        found[column["workflow_id"]].append(column)
    return found


def show(workflow: Workflow, workspace: Workspace) -> Shown:
    return show_workflow(workflow, workspace.uuid, show_columns(columns_of([workflow.id])))


def show_all(workflows: list[Workflow], found: dict[int, Workspace]) -> list[Shown]:
    """Workflows of some workspaces, with as many queries for many as for one."""
    columns = columns_by_workflow(workflows)
    return [show_workflow(each, found[each.workspace_id].uuid, columns[each.id]) for each in workflows]


def by_workspace(found: dict[int, Workspace]) -> dict[int, list[Shown]]:
    """The workflows of several workspaces as they appear inside them: times in ISO format, columns with neighbours."""
    query = Workflow.select().where(Workflow.workspace_id.in_(list(found)))
    workflows = list(query.order_by(Workflow.created_at, Workflow.id))
    columns = columns_by_workflow(workflows)
    shown: dict[int, list[Shown]] = {number: [] for number in found}
    for each in workflows:
        inside = show_workflow(each, found[each.workspace_id].uuid, with_neighbours(columns[each.id]))
        times = {"created_at": iso_stamp(each.created_at), "updated_at": iso_stamp(each.updated_at)}
        shown[each.workspace_id].append(inside | times)
    return shown


def list_workflows(
    tx: Transaction, actor: Actor, *, workspace_id: str | None, collection_id: str | None
) -> list[Shown]:
    """The workflows of a collection, of a workspace, or of all workspaces of the actor, oldest first."""
    if collection_id is not None:
        collection, workspace = look_at(actor, Collection, collection_id)
        where, found = Workflow.collection_id == collection.id, {workspace.id: workspace}
    else:
        found = readable(actor, workspace_id)
        where = Workflow.workspace_id.in_(list(found))
    return show_all(list(Workflow.select().where(where).order_by(Workflow.created_at, Workflow.id)), found)


def get_workflow(tx: Transaction, actor: Actor, *, workflow_id: str) -> Shown:
    return show(*look_at(actor, Workflow, workflow_id))


def create_workflow(
    tx: Transaction, actor: Actor, *, collection_id: str, workspace_id: str | None, classification: str, name: str
) -> Shown:
    """Makes a workflow with an inbox, a work and an archive column. It has no event: a client learns of the workflow
    and its first columns where it reads the workspace. Raises Refused when the workspace is not the collection's."""
    collection, workspace = enter(tx, actor, Collection, collection_id)
    if workspace_id is not None and find_workspace(workspace_id).id != workspace.id:
        refuse_field("workspace_id", "The collection belongs to another workspace.")
    workflow = Workflow.create(
        workspace_id=workspace.id, collection_id=collection.id, classification=classification, name=name
    )
    for place, (column_name, kind) in enumerate(FIRST_COLUMNS):
        Column.create(workspace_id=workspace.id, workflow_id=workflow.id, name=column_name, type=kind, index=place)
    return show(workflow, workspace)


def update_workflow(tx: Transaction, actor: Actor, *, workflow_id: str, changes: dict[str, Any]) -> Shown:
    """Changes `name` or `classification`; it has no event."""
    workflow, workspace = enter(tx, actor, Workflow, workflow_id)
    for name, value in (changes | {"updated_at": now()}).items():
        setattr(workflow, name, value)
    workflow.save(only=[*changes, "updated_at"])
    return show(workflow, workspace)


def delete_workflow(tx: Transaction, actor: Actor, *, workflow_id: str) -> None:
    """Deletes a workflow with its columns and fields; each of its items is removed first."""
    workflow, _ = enter(tx, actor, Workflow, workflow_id)
    remove_columns(tx, actor, columns_of([workflow.id]))
    remove_fields(tx, actor, [workflow.id])
    workflow.delete_instance()
