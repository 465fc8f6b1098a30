"""Fields of workflows (contract items.md); changes of fields have no events.

Invariant: what items show of a field, its name, stays as long as one of them has a value of it. So no change of a
field has to be told to all who see its values.
"""

from typing import Any

from server.actions.boards import enter, look_at, own_workspaces, refuse_field
from server.actions.field_types import find_type
from server.actions.item_events import tell_items
from server.actions.item_shapes import Shown
from server.auth.actors import Actor
from server.auth.permissions import membership
from server.encoding import now
from server.errors import CONFLICT, Refused
from server.store.models import Field, FieldType, Item, Value, Workflow
from server.store.transaction import Transaction

AT_ONCE = 500  # items whose values are read with one query


def show(field: Field) -> Shown:
    return {
        "id": field.id,
        "field_type_id": field.field_type_id,
        "workflow_id": field.workflow_id,
        "shared": field.shared,
        "name": field.name,
        "required": field.required,
    }


def usable_fields(*workflows: Workflow) -> list[Field]:
    """The fields that an item of these workflows may have: their own in the order of the workflows, then those that
    the other workflows of their collections share."""
    places = {workflow.id: place for place, workflow in enumerate(workflows)}
    siblings = Workflow.select(Workflow.id).where(
        Workflow.collection_id.in_({each.collection_id for each in workflows})
    )
    shared = (Field.shared == True) & Field.workflow_id.in_(siblings)  # noqa: E712
    query = Field.select().where(Field.workflow_id.in_(list(places)) | shared).order_by(Field.created_at, Field.id)
    return sorted(query, key=lambda field: places.get(field.workflow_id, len(places)))


def list_fields(tx: Transaction, actor: Actor, *, workflow_id: str | None) -> list[Shown]:
    """The fields for items of one workflow, shared ones of its collection too, or all that the actor may see."""
    if workflow_id is not None:
        return [show(field) for field in usable_fields(look_at(actor, Workflow, workflow_id)[0])]
    query = Field.select().where(Field.workspace_id.in_(list(own_workspaces(actor))))
    return [show(field) for field in query.order_by(Field.workflow_id, Field.created_at, Field.id)]


def create_field(
    tx: Transaction,
    actor: Actor,
    *,
    workflow_id: str,
    field_type_id: str,
    name: str,
    shared: bool,
    required: bool,
) -> Shown:
    """Adds a field to a workflow; raises Refused for a name that the workflow has."""
    workflow, workspace = enter(tx, actor, Workflow, workflow_id)
    kind = find_type(field_type_id)
    require_own_type(actor, kind, workspace.id)
    require_free_name(workflow.id, name)
    field = Field.create(
        workspace_id=workspace.id,
        workflow_id=workflow.id,
        field_type_id=kind.id,
        name=name,
        shared=shared,
        required=required,
    )
    return show(field)


def require_own_type(actor: Actor, kind: FieldType, workspace_id: int) -> None:
    """Raises Refused for the type of another workspace."""
    if kind.workspace_id not in (None, workspace_id):
        membership(actor, kind.workspace_id)
        refuse_field("field_type_id", "The field type belongs to another workspace.")


def require_free_name(workflow_id: str, name: str) -> None:
    if Field.find(workflow_id=workflow_id, name=name) is not None:
        refuse_field("name", "The workflow has a field of this name.")


def update_field(tx: Transaction, actor: Actor, *, field_id: str, changes: dict[str, Any]) -> Shown:
    """Changes `required`, `shared` or, as long as no item has a value of the field, `name`."""
    field, _ = enter(tx, actor, Field, field_id)
    if changes.get("name", field.name) != field.name:
        require_unused(field)
        require_free_name(field.workflow_id, changes["name"])
    for name, value in changes.items():
        setattr(field, name, value)
    if changes:
        field.save(only=list(changes))
    return show(field)


def delete_field(tx: Transaction, actor: Actor, *, field_id: str) -> None:
    """Deletes a field of which no item has a value; those of deleted items go with it."""
    field, _ = enter(tx, actor, Field, field_id)
    require_unused(field)
    Value.delete().where(Value.field_id == field.id).execute()
    field.delete_instance()


def require_unused(field: Field) -> None:
    """Raises Refused for a field with a value in an item that is not deleted."""
    used = Value.select().join(Item, on=(Value.item_id == Item.id))
    if used.where(Value.field_id == field.id, Item.deleted == False).exists():  # noqa: E712
        raise Refused(CONFLICT, "Items have values of this field.")


def remove_fields(tx: Transaction, actor: Actor, workflow_ids: list[str]) -> None:
    """Removes the fields of workflows that end. Items that were moved elsewhere lose their values, which is told."""
    fields = Field.select(Field.id).where(Field.workflow_id.in_(workflow_ids))
    holders = Value.select(Value.item_id).where(Value.field_id.in_(fields))
    moved = list(Item.select().where(Item.id.in_(holders), Item.deleted == False).order_by(Item.created_at, Item.id))  # noqa: E712
    Value.delete().where(Value.field_id.in_(fields)).execute()
    Field.delete().where(Field.workflow_id.in_(workflow_ids)).execute()
    for item in moved:
        item.updated_at = now()
        item.save(only=["updated_at"])
    for start in range(0, len(moved), AT_ONCE):
        tell_items(tx, actor, moved[start : start + AT_ONCE])
