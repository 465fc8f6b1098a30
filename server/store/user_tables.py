"""The real table behind a user's table: making it, adding a column, turning a column into another type.

Invariants: `table_<id>` has `id` (never given out twice), `order`, `trashed`, `created_on` and a column `field_<id>`
for every field it ever had, trashed ones too. On PostgreSQL a change of columns waits only shortly for readers; the
whole action is run again when it could not get through.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from server.store.sql import dialect_of, run
from server.store.table_schema import FieldColumn, TableSchema
from server.store.transaction import Transaction

ID = {"sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT", "postgres": "SERIAL PRIMARY KEY"}
CHUNK = 1000  # rows converted with one statement


@contextmanager
def altering(tx: Transaction) -> Iterator[None]:
    """Waits at most a second for readers of the table; behind the waiting change new readers would queue up."""
    if tx.postgres:
        run(tx, "SET LOCAL lock_timeout = '1s'")
    yield
    if tx.postgres:
        run(tx, "SET LOCAL lock_timeout TO DEFAULT")


def column_type(tx: Transaction, field: FieldColumn) -> str:
    return field.kind.sql_type(field.options, dialect_of(tx))


def create_table(tx: Transaction, schema: TableSchema) -> None:
    """Makes the table of a schema, with the index that lists and counts need."""
    columns = [
        f"id {ID[dialect_of(tx)]}",
        '"order" DOUBLE PRECISION NOT NULL',
        "trashed BOOLEAN NOT NULL",
        "created_on TIMESTAMP NOT NULL",
        *(f"{field.key} {column_type(tx, field)}" for field in schema.fields),
    ]
    run(tx, f"CREATE TABLE {schema.table} ({', '.join(columns)})")
    # `trashed` is in it so that a page, its offset and the count of rows are found in the index alone
    run(tx, f'CREATE INDEX {schema.table}_order ON {schema.table} ("order", id, trashed)')


def add_column(tx: Transaction, schema: TableSchema, field: FieldColumn) -> None:
    """Adds the column of a new field to the table as it is; the rows that are there get its empty cell."""
    with altering(tx):
        run(tx, f"ALTER TABLE {schema.table} ADD COLUMN {field.key} {column_type(tx, field)}")
    empty = field.kind.to_column(field.kind.empty(field.options), field.options, dialect_of(tx))
    if empty is not None:
        run(tx, f"UPDATE {schema.source} SET {field.key} = ?", [empty])


def convert_column(tx: Transaction, schema: TableSchema, after: FieldColumn) -> None:
    """Brings every row, trashed ones too, from what a field is in the schema to what it shall be; what does not fit
    is lost."""
    before = schema.fields[schema.by_key[after.key]]
    same_column = column_type(tx, before) == column_type(tx, after)
    target = after.key if same_column else f"{after.key}_new"
    if not same_column:
        with altering(tx):
            run(tx, f"ALTER TABLE {schema.table} ADD COLUMN {target} {column_type(tx, after)}")
    for chunk in _chunks(tx, schema, before.key):
        _write(tx, schema, target, after, list(_converted(tx, chunk, before, after, same_column)))
    if not same_column:
        with altering(tx):
            run(tx, f"ALTER TABLE {schema.table} DROP COLUMN {before.key}")
            run(tx, f"ALTER TABLE {schema.table} RENAME COLUMN {target} TO {after.key}")


def _chunks(tx: Transaction, schema: TableSchema, key: str) -> Iterator[list[tuple[int, Any]]]:
    statement = f"SELECT id, {key} FROM {schema.source} WHERE id > ? ORDER BY id LIMIT ?"
    last = 0
    while chunk := run(tx, statement, [last, CHUNK]).fetchall():
        yield chunk
        last = chunk[-1][0]


def _converted(
    tx: Transaction, rows: Sequence[tuple[int, Any]], before: FieldColumn, after: FieldColumn, same_column: bool
) -> Iterator[tuple[int, Any]]:
    """Ids and new column values of the rows whose column has to be written."""
    dialect = dialect_of(tx)
    for row_id, stored in rows:
        old = before.kind.from_column(stored, before.options, dialect)
        new = after.kind.convert(old, before.kind, before.options, after.options)
        value = after.kind.to_column(new, after.options, dialect)
        if value != (stored if same_column else None):
            yield row_id, value


def _write(
    tx: Transaction, schema: TableSchema, target: str, field: FieldColumn, rows: Sequence[tuple[int, Any]]
) -> None:
    if rows:
        run(
            tx,
            f"UPDATE {schema.source} SET {target} = CAST(new.column2 AS {column_type(tx, field)})"
            f" FROM (VALUES {', '.join(['(?, ?)'] * len(rows))}) AS new WHERE v{schema.version}.id = new.column1",
            [value for row in rows for value in row],
        )
