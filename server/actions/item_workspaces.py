"""Workspaces as the items API shows them, and what a socket of `/events` may select (contract items.md)."""

from collections.abc import Collection as Names

from server.actions import collections, workflows
from server.actions.boards import find_workspace, look_at_workspace, own_workspaces
from server.actions.item_shapes import Shown, show_workspace
from server.auth.actors import Actor
from server.auth.permissions import membership
from server.events import rooms
from server.events.subscription import Subscription
from server.store.models import Workspace
from server.store.transaction import Transaction

SELECTED = "workspace"  # the name of the one subscription of a socket


def list_workspaces(tx: Transaction, actor: Actor, *, include: Names[str]) -> list[Shown]:
    """The actor's workspaces; `include` names the nested arrays, `collections` and `workflows`."""
    return with_content(own_workspaces(actor), include)


def get_workspace(tx: Transaction, actor: Actor, *, workspace_id: str, include: Names[str]) -> Shown:
    """One workspace by integer id or UUID; raises Refused."""
    workspace = look_at_workspace(actor, workspace_id)
    return with_content({workspace.id: workspace}, include)[0]


def with_content(found: dict[int, Workspace], include: Names[str]) -> list[Shown]:
    """Workspaces with the nested arrays that were asked for: as many queries for many as for one."""
    shown = {number: show_workspace(workspace) for number, workspace in found.items()}
    if "collections" in include:
        for number, content in collections.by_workspace(found).items():
            shown[number]["collections"] = content
    if "workflows" in include:
        for number, content in workflows.by_workspace(found).items():
            shown[number]["workflows"] = content
    return list(shown.values())


def find_user(tx: Transaction, actor: Actor) -> int:
    """The id of the account behind credentials, which proves that they are still good."""
    return actor.id


def find_rooms(tx: Transaction, actor: Actor) -> dict[str, int]:
    """What a connection of an account hears that has selected nothing: no room."""
    return {}


def find_selection(tx: Transaction, actor: Actor, *, workspace_id: int | str) -> list[Subscription]:
    """What a socket hears that selects a workspace of which the actor is a member: one thing; raises Refused."""
    workspace = find_workspace(workspace_id)
    began = membership(actor, workspace.id).began
    return [Subscription(SELECTED, {"workspace": workspace_id}, rooms.items(workspace.id), workspace.id, began)]
