"""Field types of the items API: those that all share, and a workspace's own (contract items.md).

A changed expression counts for values that are written from then on; what is there keeps what was found about it.
"""

from typing import Any

from server.actions.boards import enter, find_thing, find_workspace, readable
from server.actions.item_shapes import Shown, stamp
from server.actions.shared_field_types import SHARED
from server.auth.actors import Actor
from server.auth.permissions import enter_workspace
from server.encoding import now
from server.errors import CONFLICT, NO_PERMISSION, Refused
from server.store.models import Field, FieldType, Workspace
from server.store.transaction import Transaction


def show(kind: FieldType, workspace: Workspace | None = None) -> Shown:
    return {
        "id": kind.id,
        "created_at": stamp(kind.created_at),
        "updated_at": stamp(kind.updated_at),
        "name": kind.name,
        "workspace_id": workspace.uuid if workspace is not None else None,
        "formatter": kind.formatter,
        "validator": kind.validator,
        "shared": workspace is None,
    }


def find_type(type_id: str) -> FieldType:
    """A field type, shared or not; raises Refused."""
    return SHARED.get(type_id.lower()) or find_thing(FieldType, type_id)


def types_of(fields: list[Field]) -> dict[str, FieldType]:
    """The types of fields by id."""
    ids = {field.field_type_id for field in fields}
    own = FieldType.select().where(FieldType.id.in_(ids - SHARED.keys())) if ids - SHARED.keys() else ()
    return SHARED | {kind.id: kind for kind in own}


def list_shared_types(tx: Transaction, actor: Actor) -> list[Shown]:
    """What every workspace may use."""
    return [show(kind) for kind in SHARED.values()]


def list_types(tx: Transaction, actor: Actor, *, workspace_id: str | None) -> list[Shown]:
    """The own field types of one workspace, or of all of the actor's, oldest first."""
    found = readable(actor, workspace_id)
    query = FieldType.select().where(FieldType.workspace_id.in_(list(found)))
    return [show(kind, found[kind.workspace_id]) for kind in query.order_by(FieldType.created_at, FieldType.id)]


def create_type(
    tx: Transaction, actor: Actor, *, workspace_id: str, name: str, formatter: Any, validator: Any
) -> Shown:
    """Makes a field type; its expressions were checked. It has no event."""
    workspace = enter_workspace(tx, actor, find_workspace(workspace_id).id)
    kind = FieldType.create(workspace_id=workspace.id, name=name, formatter=formatter, validator=validator)
    return show(kind, workspace)


def enter_type(tx: Transaction, actor: Actor, type_id: str) -> tuple[FieldType, Workspace]:
    """Locks the workspace of a field type for a change; raises Refused for a shared one."""
    if type_id.lower() in SHARED:
        raise Refused(NO_PERMISSION, "Shared field types cannot be changed.")
    return enter(tx, actor, FieldType, type_id)


def update_type(tx: Transaction, actor: Actor, *, type_id: str, changes: dict[str, Any]) -> Shown:
    """Changes `name`, `formatter` or `validator`; it has no event."""
    kind, workspace = enter_type(tx, actor, type_id)
    for name, value in (changes | {"updated_at": now()}).items():
        setattr(kind, name, value)
    kind.save(only=[*changes, "updated_at"])
    return show(kind, workspace)


def delete_type(tx: Transaction, actor: Actor, *, type_id: str) -> None:
    """Deletes a field type that no field has."""
    kind, _ = enter_type(tx, actor, type_id)
    if Field.find(field_type_id=kind.id) is not None:
        raise Refused(CONFLICT, "A field has this type.")
    kind.delete_instance()
