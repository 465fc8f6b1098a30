"""Collections of a workspace (contract items.md)."""

from collections import Counter
from typing import Any

from server.actions.boards import enter, find_workspace, look_at, readable, refuse_field
from server.actions.columns import remove_columns
from server.actions.item_fields import remove_fields
from server.actions.item_shapes import Shown, show_collection
from server.auth.actors import Actor
from server.auth.permissions import enter_workspace
from server.encoding import now
from server.store.models import Collection, Column, Workflow, Workspace
from server.store.transaction import Transaction


def by_workspace(found: dict[int, Workspace]) -> dict[int, list[Shown]]:
    """The collections of several workspaces, oldest first."""
    shown: dict[int, list[Shown]] = {number: [] for number in found}
    query = Collection.select().where(Collection.workspace_id.in_(list(found)))
    for each in query.order_by(Collection.created_at, Collection.id):
        shown[each.workspace_id].append(show_collection(each, found[each.workspace_id].uuid))
    return shown


def list_collections(tx: Transaction, actor: Actor, *, workspace_id: str | None) -> list[Shown]:
    """The collections of one workspace, or of all of the actor's."""
    return [each for some in by_workspace(readable(actor, workspace_id)).values() for each in some]


def get_collection(tx: Transaction, actor: Actor, *, collection_id: str) -> Shown:
    collection, workspace = look_at(actor, Collection, collection_id)
    return show_collection(collection, workspace.uuid)


def create_collection(
    tx: Transaction, actor: Actor, *, workspace_id: str, name: str, settings: dict[str, Any]
) -> Shown:
    """Makes an empty collection; it has no event."""
    workspace = enter_workspace(tx, actor, find_workspace(workspace_id).id)
    collection = Collection.create(workspace_id=workspace.id, name=name, settings=settings)
    return show_collection(collection, workspace.uuid)


def update_collection(tx: Transaction, actor: Actor, *, collection_id: str, changes: dict[str, Any]) -> Shown:
    """Changes `name` or `settings`; it has no event."""
    collection, workspace = enter(tx, actor, Collection, collection_id)
    for name, value in (changes | {"updated_at": now()}).items():
        setattr(collection, name, value)
    collection.save(only=[*changes, "updated_at"])
    return show_collection(collection, workspace.uuid)


def list_accounts(tx: Transaction, actor: Actor, *, collection_id: str, predefined: bool = False) -> list[Shown]:
    """The chart of accounts, or which of them are predefined for what."""
    collection, _ = look_at(actor, Collection, collection_id)
    accounts: list[Shown] = collection.predefined_accounts if predefined else collection.accounts
    return accounts


def put_accounts(tx: Transaction, actor: Actor, *, collection_id: str, accounts: list[Shown]) -> list[Shown]:
    """Replaces the chart of accounts, objects with a `number`; it has no event. Raises Refused for a number twice."""
    collection, _ = enter(tx, actor, Collection, collection_id)
    require_once(accounts, "number", "accounts")
    collection.accounts, collection.updated_at = accounts, now()
    collection.save(only=["accounts", "updated_at"])
    return accounts


def put_predefined_accounts(tx: Transaction, actor: Actor, *, collection_id: str, accounts: list[Shown]) -> list[Shown]:
    """Replaces which `account` of the chart is used for what, its `name`; it has no event. Raises Refused."""
    collection, _ = enter(tx, actor, Collection, collection_id)
    require_once(accounts, "name", "predefined_accounts")
    numbers = {each["number"] for each in collection.accounts}
    for place, each in enumerate(accounts):
        if each["account"] not in numbers:
            refuse_field("predefined_accounts", f"{place}: account: The collection has no such account.")
    collection.predefined_accounts, collection.updated_at = accounts, now()
    collection.save(only=["predefined_accounts", "updated_at"])
    return accounts


def require_once(rows: list[Shown], key: str, name: str) -> None:
    """Raises Refused unless each row has another value of the key."""
    counts = Counter(row[key] for row in rows)
    if twice := [value for value, count in counts.items() if count > 1]:
        refuse_field(name, f"{key}: {twice[0]} stands there more than once.")


def delete_collection(tx: Transaction, actor: Actor, *, collection_id: str) -> None:
    """Deletes a collection with its workflows; each of their items is removed first."""
    collection, _ = enter(tx, actor, Collection, collection_id)
    workflows = [each.id for each in Workflow.select(Workflow.id).where(Workflow.collection_id == collection.id)]
    columns = Column.select().where(Column.workflow_id.in_(workflows)).order_by(Column.workflow_id, Column.index)
    remove_columns(tx, actor, list(columns))
    remove_fields(tx, actor, workflows)
    Workflow.delete().where(Workflow.collection_id == collection.id).execute()
    collection.delete_instance()
