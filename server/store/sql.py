"""Statements written by hand, for the tables that users make and for paths where building a query costs too much.

Invariants: a statement is written once with `?` for values; names in it are made of our own integers, never of
anything a client sent.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from server.encoding import now
from server.store.field_types import Dialect
from server.store.transaction import Transaction

MAX_VALUES = 30_000  # bound values of one statement: SQLite takes 32,766, PostgreSQL 65,535


def run(tx: Transaction, statement: str, values: Sequence[Any] = ()) -> Any:
    """Executes a statement and returns its cursor."""
    return tx.db.execute_sql(statement.replace("?", "%s") if tx.postgres else statement, values)


def marks(count: int) -> str:
    """`?, ?, ?`"""
    return ", ".join("?" * count)


def dialect_of(tx: Transaction) -> Dialect:
    return "postgres" if tx.postgres else "sqlite"


def current_time(tx: Transaction) -> datetime | str:
    """The current time as the driver takes it; SQLite keeps times as the text that models read."""
    return now() if tx.postgres else str(now())
