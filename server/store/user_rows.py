"""Reading and writing the rows of users' tables, as canonical cells.

Invariants: rows that are trashed are never found, but keep their place in the order; every function is one
statement, whatever the number of rows (inserts: one for every MAX_VALUES values).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from server.store import order
from server.store.field_types import Cell
from server.store.sql import MAX_VALUES, current_time, dialect_of, marks, run
from server.store.table_schema import FieldColumn, TableSchema
from server.store.transaction import Transaction


class Row(NamedTuple):
    """A row; `cells` stand in the order of the schema's fields."""

    id: int
    order: float
    cells: tuple[Cell, ...]


def show_row(schema: TableSchema, row: Row, by_name: bool = False) -> dict[str, Any]:
    """The JSON object of a row, with the fields' keys or the names that users gave them."""
    shown: dict[str, Any] = {"id": row.id, "order": order.show(row.order)}
    for field, cell in zip(schema.fields, row.cells, strict=True):
        shown[field.name if by_name else field.key] = cell
    return shown


def select(tx: Transaction, schema: TableSchema, rest: str, values: Sequence[Any] = ()) -> list[Row]:
    """The rows that `rest`, from WHERE on, describes."""
    dialect = dialect_of(tx)
    fields = schema.fields
    return [
        Row(
            found[0],
            found[1],
            tuple(
                [
                    field.kind.from_column(value, field.options, dialect)
                    for field, value in zip(fields, found[2:], strict=True)
                ]
            ),
        )
        for found in run(tx, f"SELECT {schema.columns} FROM {schema.source} {rest}", values)
    ]


def find_rows(tx: Transaction, schema: TableSchema, ids: Sequence[int]) -> dict[int, Row]:
    """Rows by id; those that do not exist are left out."""
    found = select(tx, schema, f"WHERE id IN ({marks(len(ids))}) AND NOT trashed", ids)
    return {row.id: row for row in found}


def insert_rows(
    tx: Transaction, schema: TableSchema, orders: Sequence[float], rows: Iterable[tuple[Cell, ...]]
) -> list[Row]:
    """Adds rows at the given places, each of which is free."""
    made = [Row(0, place, cells) for place, cells in zip(orders, rows, strict=True)]
    size = max(MAX_VALUES // (len(schema.fields) + 3), 1)
    ids: dict[float, int] = {}
    for start in range(0, len(made), size):
        ids |= _insert(tx, schema, made[start : start + size])
    return [row._replace(id=ids[row.order]) for row in made]


def _insert(tx: Transaction, schema: TableSchema, rows: Sequence[Row]) -> dict[float, int]:
    """Ids by place: databases do not promise to return rows in the order in which they were given."""
    dialect, moment = dialect_of(tx), current_time(tx)
    values: list[Any] = []
    for row in rows:
        values += (row.order, False, moment)
        values += [
            field.kind.to_column(cell, field.options, dialect)
            for field, cell in zip(schema.fields, row.cells, strict=True)
        ]
    columns = ", ".join(['"order"', "trashed", "created_on", *(field.key for field in schema.fields)])
    group = f"({marks(len(schema.fields) + 3)})"
    statement = f'INSERT INTO {schema.source} ({columns}) VALUES {", ".join([group] * len(rows))} RETURNING id, "order"'
    return {place: row_id for row_id, place in run(tx, statement, values).fetchall()}


def update_rows(tx: Transaction, schema: TableSchema, places: Sequence[int], rows: Sequence[Row]) -> None:
    """Writes the cells at these places of the schema; `rows` hold all their new cells."""
    fields = [schema.fields[place] for place in places]
    if not fields or not rows:
        return
    dialect = dialect_of(tx)
    stored = [
        [
            field.kind.to_column(row.cells[place], field.options, dialect)
            for place, field in zip(places, fields, strict=True)
        ]
        for row in rows
    ]
    if len(rows) == 1:
        changes = ", ".join(f"{field.key} = ?" for field in fields)
        run(tx, f"UPDATE {schema.source} SET {changes} WHERE id = ?", [*stored[0], rows[0].id])
        return
    size = max(MAX_VALUES // (len(fields) + 1), 1)
    values = [[row.id, *cells] for row, cells in zip(rows, stored, strict=True)]
    for start in range(0, len(values), size):
        _update_many(tx, schema, fields, values[start : start + size])


def _update_many(
    tx: Transaction, schema: TableSchema, fields: Sequence[FieldColumn], rows: Sequence[Sequence[Any]]
) -> None:
    """One statement for rows that are given as an id and a value for each field."""
    changes = ", ".join(
        f"{field.key} = CAST(new.column{number} AS {field.kind.sql_type(field.options, dialect_of(tx))})"
        for number, field in enumerate(fields, 2)
    )
    group = f"({marks(len(fields) + 1)})"
    run(
        tx,
        f"UPDATE {schema.source} SET {changes} FROM (VALUES {', '.join([group] * len(rows))}) AS new"
        f" WHERE v{schema.version}.id = new.column1",
        [value for row in rows for value in row],
    )


def move_row(tx: Transaction, schema: TableSchema, row_id: int, place: float) -> None:
    run(tx, f'UPDATE {schema.source} SET "order" = ? WHERE id = ?', [place, row_id])


def trash_rows(tx: Transaction, schema: TableSchema, ids: Sequence[int]) -> None:
    run(tx, f"UPDATE {schema.source} SET trashed = ? WHERE id IN ({marks(len(ids))})", [True, *ids])


def last_order(tx: Transaction, schema: TableSchema) -> float:
    """The highest place of the table, 0 when it is empty."""
    return float(run(tx, f'SELECT coalesce(max("order"), 0) FROM {schema.source}').fetchone()[0])


def order_below(tx: Transaction, schema: TableSchema, place: float) -> float:
    """The highest place below another one, 0 when there is none."""
    statement = f'SELECT coalesce(max("order"), 0) FROM {schema.source} WHERE "order" < ?'
    return float(run(tx, statement, [place]).fetchone()[0])


def renumber(tx: Transaction, schema: TableSchema) -> None:
    """Gives all rows the places 1, 2, 3… in the order in which they are."""
    run(
        tx,
        f'UPDATE {schema.source} SET "order" = new.place'
        f' FROM (SELECT id, row_number() OVER (ORDER BY "order", id) AS place FROM {schema.table}) AS new'
        f" WHERE v{schema.version}.id = new.id",
    )
