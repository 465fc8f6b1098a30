"""Messages about applications, tables, fields, rows and views (contract database.md, a)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from server.events import shapes
from server.events.event import CoreEvent

TABLES = "database.md (a) Applications and tables"
ROWS = "database.md (a) Fields, rows"


@dataclass(frozen=True, slots=True)
class ApplicationCreated(CoreEvent):
    type: ClassVar[str] = "application_created"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    application: shapes.Application


@dataclass(frozen=True, slots=True)
class ApplicationUpdated(CoreEvent):
    type: ClassVar[str] = "application_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    application_id: int
    application: shapes.Application


@dataclass(frozen=True, slots=True)
class ApplicationDeleted(CoreEvent):
    type: ClassVar[str] = "application_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    application_id: int


@dataclass(frozen=True, slots=True)
class ApplicationsReordered(CoreEvent):
    """`order` holds the sha256 hex of each decimal id."""

    type: ClassVar[str] = "applications_reordered"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    workspace_id: int
    order: list[str]


@dataclass(frozen=True, slots=True)
class TableCreated(CoreEvent):
    type: ClassVar[str] = "table_created"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    table: shapes.Table


@dataclass(frozen=True, slots=True)
class TableUpdated(CoreEvent):
    type: ClassVar[str] = "table_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    table_id: int
    table: shapes.Table
    force_table_refresh: bool


@dataclass(frozen=True, slots=True)
class TableDeleted(CoreEvent):
    type: ClassVar[str] = "table_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    database_id: int
    table_id: int


@dataclass(frozen=True, slots=True)
class TablesReordered(CoreEvent):
    """`database_id` and `order` are sha256 hex of decimal ids, all tables of the database."""

    type: ClassVar[str] = "tables_reordered"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = TABLES
    database_id: str
    order: list[str]


@dataclass(frozen=True, slots=True)
class TablesReOrdered(CoreEvent):
    """The documented name of the same message, sent right after it."""

    type: ClassVar[str] = "tables_re_ordered"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = "database.md (g)"
    database_id: str
    order: list[str]


@dataclass(frozen=True, slots=True)
class JobStarted(CoreEvent):
    type: ClassVar[str] = "job_started"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = TABLES
    job: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FieldCreated(CoreEvent):
    type: ClassVar[str] = "field_created"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    field: shapes.Field
    related_fields: list[shapes.Field]


@dataclass(frozen=True, slots=True)
class FieldUpdated(CoreEvent):
    type: ClassVar[str] = "field_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    field_id: int
    field: shapes.Field
    related_fields: list[shapes.Field]


@dataclass(frozen=True, slots=True)
class FieldDeleted(CoreEvent):
    type: ClassVar[str] = "field_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    table_id: int
    field_id: int
    related_fields: list[shapes.Field]


@dataclass(frozen=True, slots=True)
class RowsCreated(CoreEvent):
    type: ClassVar[str] = "rows_created"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    table_id: int
    rows: list[shapes.Row]
    metadata: dict[str, Any]
    before_row_id: int | None


@dataclass(frozen=True, slots=True)
class BeforeRowsUpdate(CoreEvent):
    type: ClassVar[str] = "before_rows_update"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = "database.md (g)"
    table_id: int
    rows: list[shapes.Row]


@dataclass(frozen=True, slots=True)
class RowsUpdated(CoreEvent):
    type: ClassVar[str] = "rows_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    table_id: int
    rows_before_update: list[shapes.Row]
    rows: list[shapes.Row]
    metadata: dict[str, Any]
    updated_field_ids: list[int]


@dataclass(frozen=True, slots=True)
class BeforeRowsDelete(CoreEvent):
    type: ClassVar[str] = "before_rows_delete"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = "database.md (g)"
    table_id: int
    rows: list[shapes.Row]


@dataclass(frozen=True, slots=True)
class RowsDeleted(CoreEvent):
    type: ClassVar[str] = "rows_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    table_id: int
    row_ids: list[int]
    rows: list[shapes.Row]


@dataclass(frozen=True, slots=True)
class RowHistoryUpdated(CoreEvent):
    """`row_id` is a string for a delete and an integer otherwise, as recorded."""

    type: ClassVar[str] = "row_history_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:row",)
    source: ClassVar[str] = ROWS
    row_history_entry: shapes.HistoryEntry
    table_id: int
    row_id: int | str


@dataclass(frozen=True, slots=True)
class RowOrdersRecalculated(CoreEvent):
    type: ClassVar[str] = "row_orders_recalculated"
    audience: ClassVar[tuple[str, ...]] = ("core:table",)
    source: ClassVar[str] = ROWS
    table_id: int
