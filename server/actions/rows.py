"""Rows of a table (contract database.md).

Invariants: messages show rows by `field_<id>`, answers as the request asked for; a batch is done whole or not at
all; keys of a body that name no field are ignored. What is told of one change, in this order: `before_rows_update`
and `rows_updated` (or the pair for deletions), then the history of each row that changed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.actions import row_history
from server.actions.row_history import no_rows
from server.actions.row_places import take_places
from server.actions.table_access import OpenTable, open_table
from server.auth.actors import Actor
from server.errors import INVALID_BODY, ROW_IDS_NOT_UNIQUE, Refused
from server.events import rooms, shapes
from server.events.databases import BeforeRowsDelete, BeforeRowsUpdate, RowsCreated, RowsDeleted, RowsUpdated
from server.store.field_types import Cell, CellError
from server.store.table_schema import TableSchema
from server.store.transaction import Transaction
from server.store.user_rows import Row, find_rows, insert_rows, show_row, trash_rows, update_rows
from server.store.user_rows import move_row as place_row

Values = Mapping[str, Any]  # a body: cells by `field_<id>`, or by the fields' names
Parsed = dict[int, Cell]  # given cells by the place of their field in the schema
Refusals = dict[str, list[dict[str, str]]]


def parse_cells(schema: TableSchema, values: Values, by_name: bool) -> tuple[Parsed, Refusals]:
    """The cells that a body gives, and what is wrong with it, both in the order of the fields."""
    places = schema.by_name if by_name else schema.by_key
    parsed: Parsed = {}
    refusals: Refusals = {}
    for key, place in places.items():
        if key in values:
            field = schema.fields[place]
            try:
                parsed[place] = field.kind.parse(values[key], field.options)
            except CellError as error:
                refusals[key] = [error.detail()]
    return parsed, refusals


def parse_row(schema: TableSchema, values: Values, by_name: bool) -> Parsed:
    """The cells of one body; raises Refused."""
    parsed, refusals = parse_cells(schema, values, by_name)
    if refusals:
        raise Refused(INVALID_BODY, refusals)
    return parsed


def parse_items(schema: TableSchema, items: Sequence[Values], by_name: bool) -> list[Parsed]:
    """The cells of each item of a batch; raises Refused naming everything that is wrong, by index."""
    found = [parse_cells(schema, values, by_name) for values in items]
    refusals = {str(index): refused for index, (_, refused) in enumerate(found) if refused}
    if refusals:
        raise Refused(INVALID_BODY, {"items": refusals})
    return [parsed for parsed, _ in found]


def require_rows(
    tx: Transaction, schema: TableSchema, ids: Sequence[int], spelled: Callable[[int], int | str] = int
) -> list[Row]:
    """Rows in the order of `ids`; raises Refused naming those that do not exist."""
    found = find_rows(tx, schema, ids)
    if missing := [spelled(number) for number in ids if number not in found]:
        raise no_rows(missing)
    return [found[number] for number in ids]


def show_rows(schema: TableSchema, rows: Sequence[Row], by_name: bool = False) -> list[shapes.Row]:
    return [show_row(schema, row, by_name) for row in rows]


def get_row(tx: Transaction, actor: Actor, *, table_id: int, row_id: int, by_name: bool = False) -> shapes.Row:
    """One row; raises Refused."""
    table = open_table(tx, actor, table_id, for_change=False)
    (row,) = require_rows(tx, table.schema, [row_id], str)
    return show_row(table.schema, row, by_name)


def create_row(
    tx: Transaction, actor: Actor, *, table_id: int, values: Values, by_name: bool = False, before_id: int | None = None
) -> shapes.Row:
    """Adds a row before another one, or at the end."""
    table = open_table(tx, actor, table_id, for_change=True)
    parsed = parse_row(table.schema, values, by_name)
    (row,) = add_rows(tx, actor, table, [parsed], before_id, "create_row")
    return show_row(table.schema, row, by_name)


def create_rows(
    tx: Transaction,
    actor: Actor,
    *,
    table_id: int,
    items: Sequence[Values],
    by_name: bool = False,
    before_id: int | None = None,
) -> tuple[list[shapes.Row], list[int]]:
    """Adds several rows at one place; returns them and the ids of the fields that were given."""
    table = open_table(tx, actor, table_id, for_change=True)
    parsed = parse_items(table.schema, items, by_name)
    rows = add_rows(tx, actor, table, parsed, before_id, "create_rows")
    return show_rows(table.schema, rows, by_name), given_fields(table.schema, parsed)


def add_rows(
    tx: Transaction,
    actor: Actor,
    table: OpenTable,
    items: Sequence[Parsed],
    before_id: int | None,
    action: str,
) -> list[Row]:
    """Stores new rows, tells the page of the table and keeps their history."""
    schema = table.schema
    before = require_rows(tx, schema, [before_id])[0] if before_id is not None else None
    orders = take_places(tx, schema, before, len(items))
    empty = [field.kind.empty(field.options) for field in schema.fields]
    cells = [tuple(parsed.get(place, cell) for place, cell in enumerate(empty)) for parsed in items]
    rows = insert_rows(tx, schema, orders, cells)
    event = RowsCreated(table.id, show_rows(schema, rows), {}, before_id)
    tx.record(event, rooms.table(table.id), origin=actor.origin)
    row_history.keep(tx, actor, table.id, action, list(row_history.creations(schema, rows, items)))
    return rows


def given_fields(schema: TableSchema, items: Sequence[Parsed]) -> list[int]:
    """Ids of the fields that at least one item names."""
    places = sorted({place for parsed in items for place in parsed})
    return [schema.fields[place].id for place in places]


def update_row(
    tx: Transaction, actor: Actor, *, table_id: int, row_id: int, values: Values, by_name: bool = False
) -> shapes.Row:
    """Changes cells of a row; told even when nothing changes, as recorded, but then it leaves no history."""
    table = open_table(tx, actor, table_id, for_change=True)
    parsed = parse_row(table.schema, values, by_name)
    (row,) = change_rows(tx, actor, table, [row_id], [parsed])
    return show_row(table.schema, row, by_name)


def update_rows_at_once(
    tx: Transaction, actor: Actor, *, table_id: int, items: Sequence[tuple[int, Values]], by_name: bool = False
) -> tuple[list[shapes.Row], list[int]]:
    """Changes cells of several rows; returns them and the ids of the fields that were given."""
    table = open_table(tx, actor, table_id, for_change=True)
    ids = [number for number, _ in items]
    require_unique(ids)
    parsed = parse_items(table.schema, [values for _, values in items], by_name)
    rows = change_rows(tx, actor, table, ids, parsed)
    return show_rows(table.schema, rows, by_name), given_fields(table.schema, parsed)


def require_unique(ids: Sequence[int]) -> None:
    if repeated := [number for number in dict.fromkeys(ids) if ids.count(number) > 1]:
        raise Refused(ROW_IDS_NOT_UNIQUE, f"The provided row ids {repeated} are not unique.")


def change_rows(
    tx: Transaction, actor: Actor, table: OpenTable, ids: Sequence[int], items: Sequence[Parsed]
) -> list[Row]:
    """Stores changed cells, tells the page of the table and keeps the history; returns the rows as they are now."""
    schema = table.schema
    before = require_rows(tx, schema, ids)
    after = [
        row._replace(cells=tuple(parsed.get(place, cell) for place, cell in enumerate(row.cells)))
        for row, parsed in zip(before, items, strict=True)
    ]
    entries = list(row_history.changes(schema, before, after))
    changed = {entry.row_id for entry in entries}
    places = sorted({schema.by_key[key] for entry in entries for key in entry.after})
    update_rows(tx, schema, places, [row for row in after if row.id in changed])
    tell_updated(tx, actor, schema, before, after, given_fields(schema, items))
    row_history.keep_and_tell(tx, actor, table.id, "update_rows", entries)
    return after


def tell_updated(
    tx: Transaction,
    actor: Actor,
    schema: TableSchema,
    before: Sequence[Row],
    after: Sequence[Row],
    field_ids: list[int],
) -> None:
    room, shown = rooms.table(schema.table_id), show_rows(schema, before)
    tx.record(BeforeRowsUpdate(schema.table_id, shown), room, origin=actor.origin)
    event = RowsUpdated(schema.table_id, shown, show_rows(schema, after), {}, field_ids)
    tx.record(event, room, origin=actor.origin)


def move_row(
    tx: Transaction,
    actor: Actor,
    *,
    table_id: int,
    row_id: int,
    before_id: int | None = None,
    by_name: bool = False,
) -> shapes.Row:
    """Puts a row before another one, or at the end; no history."""
    table = open_table(tx, actor, table_id, for_change=True)
    schema = table.schema
    (row,) = require_rows(tx, schema, [row_id])
    target = require_rows(tx, schema, [before_id])[0] if before_id is not None else None
    (place,) = take_places(tx, schema, target)
    place_row(tx, schema, row_id, place)
    moved = row._replace(order=place)
    tell_updated(tx, actor, schema, [row], [moved], [])
    return show_row(schema, moved, by_name)


def delete_row(tx: Transaction, actor: Actor, *, table_id: int, row_id: int) -> None:
    """Trashes a row."""
    table = open_table(tx, actor, table_id, for_change=True)
    rows = require_rows(tx, table.schema, [row_id], str)
    remove_rows(tx, actor, table, rows, "delete_row")


def delete_rows(tx: Transaction, actor: Actor, *, table_id: int, row_ids: Sequence[int]) -> None:
    """Trashes several rows."""
    table = open_table(tx, actor, table_id, for_change=True)
    require_unique(row_ids)
    remove_rows(tx, actor, table, require_rows(tx, table.schema, row_ids), "delete_rows")


def remove_rows(tx: Transaction, actor: Actor, table: OpenTable, rows: Sequence[Row], action: str) -> None:
    """Trashes rows, tells the page of the table and keeps the history, which shows no cells."""
    ids, shown, room = [row.id for row in rows], show_rows(table.schema, rows), rooms.table(table.id)
    trash_rows(tx, table.schema, ids)
    tx.record(BeforeRowsDelete(table.id, shown), room, origin=actor.origin)
    tx.record(RowsDeleted(table.id, ids, shown), room, origin=actor.origin)
    entries = [row_history.Entry(number, {}, {}, {}) for number in ids]
    row_history.keep_and_tell(tx, actor, table.id, action, entries, text_ids=action == "delete_row")
