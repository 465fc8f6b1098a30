"""Reading many rows: pages, neighbours, names (contract database.md, c)."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.actions.rows import require_rows
from server.actions.table_access import open_table
from server.auth.actors import Actor
from server.errors import ORDER_BY_FIELD_NOT_FOUND, Refused
from server.events import shapes
from server.store.row_search import count_rows, search_for, sort_by
from server.store.table_schema import TableSchema
from server.store.transaction import Transaction
from server.store.user_rows import Row, find_rows, select, show_row


@dataclass(frozen=True)
class RowQuery:
    """What a client asks for. `page` counts from 1; `order_by`, `include` and `exclude` are comma-separated fields,
    by id, or by name when `by_name` is set."""

    page: int = 1
    size: int = 100
    search: str = ""
    search_mode: str = "full-text"
    order_by: str = ""
    include: str = ""
    exclude: str = ""
    by_name: bool = False


def list_rows(tx: Transaction, actor: Actor, *, table_id: int, asked: RowQuery) -> tuple[int, list[shapes.Row]]:
    """How many rows there are, and one page of them; raises Refused."""
    table = open_table(tx, actor, table_id, for_change=False)
    schema = table.schema
    wanted = chosen_fields(schema, asked)
    where, values = condition(tx, schema, asked.search, asked.search_mode)
    terms = [*order_terms(tx, schema, asked, wanted), '"order"', "id"]
    rest = f"WHERE {where} ORDER BY {', '.join(terms)} LIMIT ? OFFSET ?"
    rows = select(tx, schema, rest, [*values, asked.size, (asked.page - 1) * asked.size])
    return count_rows(tx, schema, where, values), [show_chosen(schema, row, asked.by_name, wanted) for row in rows]


def condition(tx: Transaction, schema: TableSchema, search: str, mode: str) -> tuple[str, list[Any]]:
    """The rows that are there and match the search."""
    text = search.replace("\0", "").strip()
    if not text:
        return "NOT trashed", []
    where, values = search_for(tx, schema, text, mode)
    return f"NOT trashed AND {where}", values


def split_names(text: str) -> list[str]:
    """`Name,"with, comma"` as two names."""
    try:
        rows = list(csv.reader([text], skipinitialspace=True, escapechar="\\"))
    except csv.Error:  # line breaks between the names
        rows = [text.split(",")]
    return [name for name in rows[0] if name] if rows else []


def place_of(schema: TableSchema, name: str, by_name: bool) -> int | None:
    """The place of a field that a parameter names: by its name, or as `field_7` or `7`."""
    if by_name:
        return schema.by_name.get(name)
    return schema.by_key.get(name if name.startswith("field_") else f"field_{name}")


def chosen_fields(schema: TableSchema, query: RowQuery) -> list[int]:
    """Places of the fields to show; when `include` names none that exists, all."""
    named = {place_of(schema, name, query.by_name) for name in split_names(query.include)} - {None}
    left_out = {place_of(schema, name, query.by_name) for name in split_names(query.exclude)}
    return [place for place in range(len(schema.fields)) if (not named or place in named) and place not in left_out]


def order_terms(tx: Transaction, schema: TableSchema, query: RowQuery, wanted: Sequence[int]) -> list[str]:
    """The terms of `order_by`; a field that is not shown cannot be sorted by, as recorded."""
    terms = []
    for name in split_names(query.order_by):
        bare = name.removeprefix("-") if name.startswith("-") else name.removeprefix("+")
        place = place_of(schema, bare, query.by_name)
        if place is None or place not in wanted:
            raise Refused(ORDER_BY_FIELD_NOT_FOUND, f"The field {bare} was not found in the table.")
        terms.append(sort_by(tx, schema.fields[place], descending=name.startswith("-")))
    return terms


def show_chosen(schema: TableSchema, row: Row, by_name: bool, wanted: Sequence[int]) -> shapes.Row:
    shown = show_row(schema, row, by_name)
    if len(wanted) < len(schema.fields):
        names = {schema.fields[place].name if by_name else schema.fields[place].key for place in wanted}
        return {key: value for key, value in shown.items() if key in ("id", "order") or key in names}
    return shown


def find_adjacent_row(
    tx: Transaction,
    actor: Actor,
    *,
    table_id: int,
    row_id: int,
    previous: bool = False,
    search: str = "",
    search_mode: str = "full-text",
    by_name: bool = False,
) -> shapes.Row | None:
    """The row after (or before) a row; None at the end."""
    schema = open_table(tx, actor, table_id, for_change=False).schema
    (row,) = require_rows(tx, schema, [row_id], str)
    where, values = condition(tx, schema, search, search_mode)
    sign, direction = ("<", "DESC") if previous else (">", "ASC")
    rest = f'WHERE ("order", id) {sign} (?, ?) AND {where} ORDER BY "order" {direction}, id {direction} LIMIT 1'
    found = select(tx, schema, rest, [row.order, row.id, *values])
    return show_row(schema, found[0], by_name) if found else None


def list_row_names(tx: Transaction, actor: Actor, *, wanted: Mapping[int, Sequence[int]]) -> dict[str, dict[str, str]]:
    """What people call rows: the text of their primary field, by table and row; unknown rows are left out."""
    names: dict[str, dict[str, str]] = {}
    for table_id, ids in wanted.items():
        schema = open_table(tx, actor, table_id, for_change=False).schema
        rows = find_rows(tx, schema, ids)
        names[str(table_id)] = {str(number): name_of(schema, rows[number]) for number in ids if number in rows}
    return names


def name_of(schema: TableSchema, row: Row) -> str:
    """The text of a row's primary field, or a name made of its id."""
    field = schema.fields[schema.primary]
    return field.kind.as_text(row.cells[schema.primary], field.options) or f"unnamed row {row.id}"
