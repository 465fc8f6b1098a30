"""What a user's table looks like: its fields in order, and the cache of that, one for each open database.

Invariants: a schema belongs to one version of a table, and the version rises in the transaction that changes a
field. Only what was read before a change may enter the cache: the version of a change that is rolled back is given
out again. Statements name the table as `v<version>`, so that a statement which PostgreSQL prepared for the columns
as they were is never used for the columns as they are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from peewee import Database

from server.store.field_types import FIELD_TYPES, FieldType, Options
from server.store.models import TableField
from server.store.transaction import Transaction

MAX_CACHED = 5000  # tables; a schema takes a few KiB
_caches: WeakKeyDictionary[Database, dict[int, "TableSchema"]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """A field as rows need it; `key` names its column and its cell in JSON."""

    id: int
    key: str
    name: str
    kind: FieldType
    options: Options
    primary: bool


@dataclass(frozen=True)
class TableSchema:
    """The fields of a table: the primary one first, then by order."""

    table_id: int
    version: int
    fields: tuple[FieldColumn, ...]

    @property
    def table(self) -> str:
        return f"table_{self.table_id}"

    @cached_property
    def source(self) -> str:
        """The table as statements name it."""
        return f"{self.table} AS v{self.version}"

    @cached_property
    def columns(self) -> str:
        """The columns that make a row."""
        return ", ".join(["id", '"order"', *(field.key for field in self.fields)])

    @cached_property
    def by_key(self) -> dict[str, int]:
        """Places of the fields by `field_<id>`."""
        return {field.key: place for place, field in enumerate(self.fields)}

    @cached_property
    def by_name(self) -> dict[str, int]:
        """Places of the fields by the names that users gave them."""
        return {field.name: place for place, field in enumerate(self.fields)}

    @property
    def primary(self) -> int:
        """The place of the primary field."""
        return next(place for place, field in enumerate(self.fields) if field.primary)


def column_of(field: TableField) -> FieldColumn:
    """A stored field as rows need it."""
    return FieldColumn(field.id, f"field_{field.id}", field.name, FIELD_TYPES[field.type], field.options, field.primary)


def schema_of(table_id: int, version: int, fields: Iterable[TableField]) -> TableSchema:
    return TableSchema(table_id, version, tuple(map(column_of, fields)))


def live_fields(table_id: int) -> list[TableField]:
    """The fields of a table in the order in which the API lists them."""
    query = TableField.select().where(TableField.table_id == table_id, ~TableField.trashed)
    return list(query.order_by(TableField.primary.desc(), TableField.order, TableField.id))


def load_schema(table_id: int, version: int) -> TableSchema:
    """The schema as this transaction sees it, whatever it has changed itself."""
    return schema_of(table_id, version, live_fields(table_id))


def cached_schema(tx: Transaction, table_id: int, version: int) -> TableSchema:
    """The schema of a version that was committed before this transaction changed anything."""
    cache = _caches.setdefault(tx.db, {})
    schema = cache.get(table_id)
    if schema is None or schema.version != version:
        if len(cache) >= MAX_CACHED:
            cache.clear()
        schema = cache[table_id] = load_schema(table_id, version)
    return schema
