"""Fields of a table (contract database.md). Every change of fields raises the version of the table."""

from collections.abc import Mapping
from typing import Any

from peewee import fn

from server.actions.table_access import OpenTable, open_field, open_table
from server.actions.table_content import MAX_FIELDS, check_name
from server.auth.actors import Actor
from server.errors import (
    ALREADY_PRIMARY,
    FIELD_NAME_TAKEN,
    FIELD_NOT_IN_TABLE,
    INVALID_BODY,
    PRIMARY_FIELD_STAYS,
    TOO_MANY_FIELDS,
    Refused,
)
from server.events import rooms, shapes
from server.events.databases import FieldCreated, FieldDeleted, FieldUpdated
from server.store.field_types import FIELD_TYPES, Options, OptionsError, OptionValue
from server.store.models import TableField, UserTable
from server.store.table_schema import column_of, live_fields
from server.store.transaction import Transaction
from server.store.user_tables import add_column, convert_column

TYPES = tuple(FIELD_TYPES)


def show_field(table: OpenTable, field: TableField, **more: Any) -> shapes.Field:
    """The common keys, then the options of the type."""
    return {
        "id": field.id,
        "table_id": table.id,
        "name": field.name,
        "order": field.order,
        "type": field.type,
        "primary": field.primary,
        "read_only": False,
        "immutable_type": False,
        "immutable_properties": False,
        "description": field.description,
        "database_id": table.database_id,
        "workspace_id": table.workspace_id,
        "db_index": False,
        "field_constraints": [],
        **more,
        **field.options,
    }


def list_fields(tx: Transaction, actor: Actor, *, table_id: int) -> list[shapes.Field]:
    """The fields of a table, the primary one first."""
    table = open_table(tx, actor, table_id, for_change=False)
    return [show_field(table, field) for field in live_fields(table_id)]


def get_field(tx: Transaction, actor: Actor, *, field_id: int) -> shapes.Field:
    return show_field(*open_field(tx, actor, field_id, for_change=False))


def create_field(
    tx: Transaction,
    actor: Actor,
    *,
    table_id: int,
    name: str,
    kind: str,
    description: str | None = None,
    options: Mapping[str, object] | None = None,
) -> shapes.Field:
    """Adds a field at the end; `options` may hold keys of other types, which are ignored."""
    table = open_table(tx, actor, table_id, for_change=True)
    chosen = parse_options(kind, options or {}, None)
    require_name(table, name)
    highest, count = fields_ever(table_id)
    if count >= MAX_FIELDS:
        raise Refused(TOO_MANY_FIELDS)
    field = TableField.create(
        table_id=table_id, name=name, type=kind, order=highest + 1, description=description, options=chosen
    )
    add_column(tx, table.schema, column_of(field))
    raise_version(table_id)
    event = FieldCreated(show_field(table, field), related_fields=[])
    tx.record(event, rooms.table(table_id), origin=actor.origin)
    return show_field(table, field, related_fields=[])


def parse_options(kind: str, given: Mapping[str, object], current: Options | None) -> dict[str, OptionValue]:
    """The options of a field; raises Refused in the words of body validation."""
    try:
        return FIELD_TYPES[kind].parse_options(given, current)
    except OptionsError as error:
        raise Refused(INVALID_BODY, error.detail()) from None


def require_name(table: OpenTable, name: str) -> None:
    """Raises Refused for a name that is reserved or taken."""
    check_name(name)
    if name in table.schema.by_name:
        raise Refused(FIELD_NAME_TAKEN)


def fields_ever(table_id: int) -> tuple[int, int]:
    """The highest order and the number of all fields a table ever had: their columns are still there."""
    query = TableField.select(fn.MAX(TableField.order), fn.COUNT(TableField.id))
    highest, count = query.where(TableField.table_id == table_id).tuples().get()
    return highest, count


def raise_version(table_id: int) -> None:
    UserTable.update(version=UserTable.version + 1).where(UserTable.id == table_id).execute()


def update_field(
    tx: Transaction,
    actor: Actor,
    *,
    field_id: int,
    name: str | None = None,
    kind: str | None = None,
    changes: Mapping[str, str | None] | None = None,
    options: Mapping[str, object] | None = None,
) -> shapes.Field:
    """Changes a field: its name, type, options, or its description (`changes`). A new type begins with its default
    options. The rows' cells are converted; what does not fit is lost."""
    table, field = open_field(tx, actor, field_id, for_change=True)
    before = column_of(field)
    same_type = kind in (None, field.type)
    chosen = parse_options(kind or field.type, options or {}, before.options if same_type else None)
    if name is not None and name != field.name:
        require_name(table, name)
    changed: dict[str, Any] = {"name": name or field.name, "type": kind or field.type, "options": chosen}
    TableField.update(**changed, **(changes or {})).where(TableField.id == field_id).execute()
    field = TableField.get_by_id(field_id)
    after = column_of(field)
    if (after.kind, after.options) != (before.kind, before.options):
        convert_column(tx, table.schema, after)
    raise_version(table.id)
    return tell_updated(tx, actor, table, field, [])


def tell_updated(
    tx: Transaction, actor: Actor, table: OpenTable, field: TableField, related: list[shapes.Field]
) -> shapes.Field:
    event = FieldUpdated(field.id, show_field(table, field), related)
    tx.record(event, rooms.table(table.id), origin=actor.origin)
    return show_field(table, field, related_fields=related)


def delete_field(tx: Transaction, actor: Actor, *, field_id: int) -> dict[str, list[shapes.Field]]:
    """Trashes a field; its column stays. The primary one cannot be deleted."""
    table, field = open_field(tx, actor, field_id, for_change=True)
    if field.primary:
        raise Refused(PRIMARY_FIELD_STAYS)
    TableField.update(trashed=True).where(TableField.id == field_id).execute()
    raise_version(table.id)
    event = FieldDeleted(table.id, field_id, related_fields=[])
    tx.record(event, rooms.table(table.id), origin=actor.origin)
    return {"related_fields": []}


def change_primary_field(tx: Transaction, actor: Actor, *, table_id: int, field_id: int) -> shapes.Field:
    """Makes another field the primary one; the former comes along as related field."""
    table = open_table(tx, actor, table_id, for_change=True)
    fields = {field.id: field for field in live_fields(table_id)}
    chosen = fields.get(field_id)
    if chosen is None:
        raise Refused(FIELD_NOT_IN_TABLE)
    if chosen.primary:
        raise Refused(ALREADY_PRIMARY)
    former = fields[table.schema.fields[table.schema.primary].id]
    for field, primary in ((former, False), (chosen, True)):
        field.primary = primary
        field.save(only=[TableField.primary])
    raise_version(table_id)
    return tell_updated(tx, actor, table, chosen, [show_field(table, former)])
