"""What all models share: the database is that of the calling worker thread, JSON columns, one name for each table.

Invariants: models hold rows, not behaviour. A query outside a worker thread of the store has no database and
raises, so nothing can be read or written outside a transaction. No foreign keys between log and data; ids are
plain integers, so that a missing parent is a question an action asks and answers.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cache
from typing import Any, Self

import orjson
from peewee import Database, Field, Metadata, Model, PostgresqlDatabase, TextField

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
    def find_all(cls, name: str, values: Collection[Any]) -> list[Self]:
        """The rows of which one column has any of these values, in the order of their primary keys."""
        if not values:
            return []
        meta, model = cls._meta, cls  # type: Any, Any
        sql = find_all_statement(model, meta.database.param, name, len(values))
        field = meta.fields[name]
        return [cls.of_row(row) for row in meta.database.execute_sql(sql, [*map(field.db_value, values)])]

    @classmethod
    def create(cls, **values: Any) -> Self:
        """Stores a new row, by a statement that is composed once too; returns it with the id that the database gave."""
        made, meta, model = cls(**values), cls._meta, cls  # type: Self, Any, Any
        numbered = meta.auto_increment and made._pk is None
        names = tuple(name for name in made.__data__ if not (numbered and name == meta.primary_key.name))
        postgres = isinstance(meta.database, PostgresqlDatabase)
        sql = insert_statement(model, meta.database.param, names, returning=numbered and postgres)
        cursor = meta.database.execute_sql(sql, made._values(names))
        if numbered:
            made._pk = cursor.fetchone()[0] if postgres else cursor.lastrowid
        made._dirty.clear()
        return made

    def save(self, force_insert: bool = False, only: Iterable[Field | str] | None = None) -> int:
        """Stores a row: all its columns, or of one that is there `only` these, by a statement that is composed once."""
        if only is None or force_insert:
            return int(super().save(force_insert, only))
        names = tuple(dict.fromkeys(field if isinstance(field, str) else field.name for field in only))
        meta, model = self._meta, type(self)  # type: Any, Any
        sql = update_statement(model, meta.database.param, names)
        cursor = meta.database.execute_sql(sql, self._values((*names, meta.primary_key.name)))
        self._dirty.difference_update(names)
        return int(cursor.rowcount)

    def _values(self, names: Sequence[str]) -> list[Any]:
        """What the database gets for these columns."""
        fields = self._meta.fields
        return [fields[name].db_value(self.__data__[name]) for name in names]

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


def find_all_statement(model: Any, param: str, name: str, count: int) -> str:
    """SELECT of all columns of a model by so many values of one column."""
    meta = model._meta
    marks = ", ".join([param] * count)
    where = f'"{meta.fields[name].column_name}" IN ({marks})'
    return f'SELECT {columns(model)} FROM "{meta.table_name}" WHERE {where} ORDER BY "{meta.primary_key.column_name}"'


@cache
def insert_statement(model: Any, param: str, names: tuple[str, ...], *, returning: bool) -> str:
    """INSERT of one row with these columns, `returning` its id."""
    given = ", ".join(f'"{model._meta.fields[name].column_name}"' for name in names)
    marks, back = ", ".join([param] * len(names)), " RETURNING id" if returning else ""
    return f'INSERT INTO "{model._meta.table_name}" ({given}) VALUES ({marks}){back}'


@cache
def update_statement(model: Any, param: str, names: tuple[str, ...]) -> str:
    """UPDATE of some columns of one row by its primary key."""
    meta = model._meta
    given = ", ".join(f'"{meta.fields[name].column_name}" = {param}' for name in names)
    return f'UPDATE "{meta.table_name}" SET {given} WHERE "{meta.primary_key.column_name}" = {param}'


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
