"""Conditions and orders of row lists as SQL: searching, sorting.

Invariants: both databases answer alike. Texts sort by their bytes after A-Z became a-z; null comes first, and last
when sorting downwards. A search looks at what people see of a cell (the field type's `search_text`); PostgreSQL
computes that in SQL, SQLite calls the field type.
"""

import re
from collections.abc import Sequence
from typing import Any

from server.store.field_types import Options
from server.store.sql import run
from server.store.table_schema import FieldColumn, TableSchema
from server.store.transaction import Transaction

DATE_FORMATS = {"EU": "DD/MM/YYYY", "US": "MM/DD/YYYY", "ISO": "YYYY-MM-DD"}
TIME_FORMATS = {"24": " HH24:MI", "12": " HH12:MIAM"}
TEXTS = ("text", "long_text")
MAX_WORDS = 50  # of a search; with 600 fields as many values as a statement takes
_WILD = re.compile(r"([\\%_])")
Condition = tuple[str, list[Any]]


def sort_by(tx: Transaction, field: FieldColumn, descending: bool) -> str:
    """One term of ORDER BY."""
    column = field.key
    if field.kind.name in TEXTS:
        column = f'lower({column} COLLATE "C") COLLATE "C"' if tx.postgres else f"lower({column})"
    return f"{column} DESC NULLS LAST" if descending else f"{column} ASC NULLS FIRST"


def search_for(tx: Transaction, schema: TableSchema, text: str, mode: str) -> Condition:
    """The rows one of whose fields holds every word of the text (mode `compat`: the text as it is), in any case; a
    number also finds the row with this id."""
    wanted = [text] if mode == "compat" else list(dict.fromkeys(text.split()))[:MAX_WORDS]
    if not tx.postgres:
        connect_search(tx, schema)
    conditions: list[str] = []
    values: list[Any] = []
    for place, field in enumerate(schema.fields):
        seen = postgres_text(field) if tx.postgres else f"roomcast_seen({place}, {field.key})"
        conditions.append("(" + " AND ".join([contains(tx, seen)] * len(wanted)) + ")")
        values += [pattern(word) if tx.postgres else word.casefold() for word in wanted]
    if text.isascii() and text.isdecimal() and len(text) < 10:
        conditions.append("id = ?")
        values.append(int(text))
    return f"({' OR '.join(conditions)})", values


def pattern(word: str) -> str:
    """What ILIKE takes for "contains"."""
    return "%" + _WILD.sub(r"\\\1", word) + "%"


def contains(tx: Transaction, seen: str) -> str:
    return f"{seen} ILIKE ?" if tx.postgres else f"instr({seen}, ?) > 0"


def connect_search(tx: Transaction, schema: TableSchema) -> None:
    """Gives this connection the function that shows a column of the schema as text."""

    def seen(place: int, value: Any) -> str | None:
        if value is None:
            return None
        field = schema.fields[place]
        cell = field.kind.from_column(value, field.options, "sqlite")
        return field.kind.search_text(cell, field.options).casefold()

    tx.db.connection().create_function("roomcast_seen", 2, seen)


def postgres_text(field: FieldColumn) -> str:
    """The `search_text` of a column."""
    if field.kind.name == "boolean":
        return "''"
    if field.kind.name == "number":
        return f"round({field.key}, {int(field.options['number_decimal_places'] or 0)})::text"
    if field.kind.name == "date":
        return f"to_char({_local(field.key, field.options)}, '{_format(field.options)}')"
    return field.key


def _local(column: str, options: Options) -> str:
    zone = options["date_force_timezone"]  # the name of a time zone that was looked up, so without quotes
    return f"{column} AT TIME ZONE '{zone or 'UTC'}'" if options["date_include_time"] else column


def _format(options: Options) -> str:
    time = TIME_FORMATS[str(options["date_time_format"])] if options["date_include_time"] else ""
    return DATE_FORMATS[str(options["date_format"])] + time


def count_rows(tx: Transaction, schema: TableSchema, where: str, values: Sequence[Any]) -> int:
    return int(run(tx, f"SELECT count(*) FROM {schema.source} WHERE {where}", values).fetchone()[0])
