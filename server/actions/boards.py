"""Finding the things of a board by the ids that clients send, and entering them for a change (contract items.md).

Invariants: whatever a client sends as an id either names one thing or is refused as unknown; a thing never changes
its workspace, so the workspace may be read before its lock is taken, and everything else is read after it.
"""

import re
from typing import Any, NoReturn, TypeVar

from server.auth.actors import Actor
from server.auth.permissions import enter_workspace, membership
from server.errors import INVALID_BODY, NO_SUCH_THING, Refused
from server.store.models import (
    Collection,
    Column,
    Comment,
    Field,
    FieldType,
    Item,
    Membership,
    Value,
    Webhook,
    Workflow,
    Workspace,
)
from server.store.transaction import Transaction

Thing = TypeVar("Thing", Collection, Workflow, Column, Item, Comment, FieldType, Field, Value, Webhook)
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
NUMBER = re.compile(r"[0-9]{1,10}")
MAX_INTEGER = 2**31 - 1


def refuse_field(name: str, text: str) -> NoReturn:
    """Refuses one field of a body, for what only the store can tell."""
    raise Refused(INVALID_BODY, {name: text})


def unknown(model: type[Any]) -> Refused:
    name = CAPITAL.sub(" ", model.__name__).lower()
    return Refused(NO_SUCH_THING, f"The {name} does not exist.")


def find_thing(model: type[Thing], thing_id: str) -> Thing:
    """The thing with this id, deleted items too; raises Refused(NO_SUCH_THING)."""
    wanted = thing_id.lower()
    found: Thing | None = model.find(id=wanted) if UUID.fullmatch(wanted) else None
    if found is None:
        raise unknown(model)
    return found


def find_workspace(workspace_id: int | str) -> Workspace:
    """The workspace by its integer id, also as text, or its UUID; raises Refused(NO_SUCH_THING)."""
    wanted = str(workspace_id).lower()
    found = None
    if UUID.fullmatch(wanted):
        found = Workspace.find(uuid=wanted, trashed=False)
    elif NUMBER.fullmatch(wanted) and int(wanted) <= MAX_INTEGER:
        found = Workspace.find(id=int(wanted), trashed=False)
    if found is None:
        raise unknown(Workspace)
    return found


def look_at_workspace(actor: Actor, workspace_id: int | str) -> Workspace:
    """A workspace for reading by one of its members; raises Refused."""
    workspace = find_workspace(workspace_id)
    membership(actor, workspace.id)
    return workspace


def look_at(actor: Actor, model: type[Thing], thing_id: str) -> tuple[Thing, Workspace]:
    """A thing for reading by a member of its workspace; raises Refused."""
    thing = find_thing(model, thing_id)
    return thing, look_at_workspace(actor, thing.workspace_id)


def enter(tx: Transaction, actor: Actor, model: type[Thing], thing_id: str) -> tuple[Thing, Workspace]:
    """Locks the workspace of a thing for a change by a member; the thing is as it is under the lock. Raises Refused."""
    known = find_thing(model, thing_id)
    workspace = enter_workspace(tx, actor, known.workspace_id)
    return find_thing(model, thing_id), workspace


def own_workspaces(actor: Actor) -> dict[int, Workspace]:
    """The workspaces of the actor, oldest first."""
    mine = Membership.select(Membership.workspace_id).where(Membership.user_id == actor.id)
    query = Workspace.select().where(Workspace.id.in_(mine), ~Workspace.trashed).order_by(Workspace.id)
    return {workspace.id: workspace for workspace in query}


def readable(actor: Actor, workspace_id: str | None) -> dict[int, Workspace]:
    """The workspaces in which a list looks: the named one, else all of the actor's; raises Refused."""
    if workspace_id is None:
        return own_workspaces(actor)
    workspace = look_at_workspace(actor, workspace_id)
    return {workspace.id: workspace}
