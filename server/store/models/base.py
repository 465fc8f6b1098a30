"""What all models share: the database is that of the calling worker thread, JSON columns, one name for each table.

Invariants: models hold rows, not behaviour. A query outside a worker thread of the store has no database and
raises, so nothing can be read or written outside a transaction. No foreign keys between log and data; ids are
plain integers, so that a missing parent is a question an action asks and answers.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Self

import orjson
from peewee import Database, Metadata, Model, TextField

_thread = threading.local()


def bind_thread(database: Database | None) -> None:
    """Makes `database` the one that models use in this thread."""
    _thread.database = database


class ThreadBoundMetadata(Metadata):  # type: ignore[misc]
    """Peewee's metadata with the database of the thread, so that several stores can live in one process."""

    @property
    def database(self) -> Database | None:
        return getattr(_thread, "database", None)

    @database.setter
    def database(self, database: Database | None) -> None:
        pass  # peewee assigns None when a class is made; bind_thread is the only way to bind


class Record(Model):  # type: ignore[misc]
    """Base of all models."""

    class Meta:
        model_metadata_class = ThreadBoundMetadata
        legacy_table_names = False

    @classmethod
    def find(cls, **values: Any) -> Self | None:
        """The row whose columns have these values, None when there is none.

        The SQL is composed once per model and set of columns: peewee's composing costs several times the query."""
        fields, database = cls._meta.fields, cls._meta.database
        model: Any = cls
        sql = find_statement(model, database.param, tuple(values))
        row = database.execute_sql(sql, [fields[name].db_value(value) for name, value in values.items()]).fetchone()
        return cls.of_row(row) if row is not None else None

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """The row whose columns, in the order of `columns`, have these values."""
        loaded = zip(cls._meta.sorted_fields, row, strict=True)
        found = cls(__no_default__=True, **{field.name: field.python_value(value) for field, value in loaded})
        found._dirty.clear()
        return found


@cache
def find_statement(model: Any, param: str, names: tuple[str, ...]) -> str:
    """SELECT of all columns of a model by some of them."""
    where = " AND ".join(f'"{model._meta.fields[name].column_name}" = {param}' for name in names)
    return f'SELECT {columns(model)} FROM "{model._meta.table_name}" WHERE {where} LIMIT 1'


def columns(model: Any) -> str:
    """All columns of a model, each with its table."""
    return ", ".join(f'"{model._meta.table_name}"."{field.column_name}"' for field in model._meta.sorted_fields)


class JSONField(TextField):  # type: ignore[misc]
    """A JSON value kept as text on both databases: never queried into, always read whole."""

    def __init__(self, default: Callable[[], Any] | None = None, **kwargs: Any) -> None:
        super().__init__(default=default, **kwargs)

    def db_value(self, value: Any) -> str | None:
        return None if value is None else orjson.dumps(value).decode()

    def python_value(self, value: str | None) -> Any:
        return None if value is None else orjson.loads(value)
