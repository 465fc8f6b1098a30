"""Messages about applications, tables, fields, rows and views (contract database.md, a)."""

from typing import Any

from server.events import shapes
from server.events.event import CoreEvent, event

TABLES = "database.md (a) Applications and tables"
ROWS = "database.md (a) Fields, rows"


@event("application_created", "core:workspace", source=TABLES)
class ApplicationCreated(CoreEvent):
    application: shapes.Application


@event("application_updated", "core:workspace", source=TABLES)
class ApplicationUpdated(CoreEvent):
    application_id: int
    application: shapes.Application


@event("application_deleted", "core:workspace", source=TABLES)
class ApplicationDeleted(CoreEvent):
    application_id: int


@event("applications_reordered", "core:workspace", source=TABLES)
class ApplicationsReordered(CoreEvent):
    """`order` holds the sha256 hex of each decimal id."""

    workspace_id: int
    order: list[str]


@event("table_created", "core:workspace", source=TABLES)
class TableCreated(CoreEvent):
    table: shapes.Table


@event("table_updated", "core:workspace", source=TABLES)
class TableUpdated(CoreEvent):
    table_id: int
    table: shapes.Table
    force_table_refresh: bool


@event("table_deleted", "core:workspace", source=TABLES)
class TableDeleted(CoreEvent):
    database_id: int
    table_id: int


@event("tables_reordered", "core:workspace", source=TABLES)
class TablesReordered(CoreEvent):
    """`database_id` and `order` are sha256 hex of decimal ids, all tables of the database."""

    database_id: str
    order: list[str]


@event("tables_re_ordered", "core:workspace", source="database.md (g)")
class TablesReOrdered(CoreEvent):
    """The documented name of the same message, sent right after it."""

    database_id: str
    order: list[str]


@event("job_started", "core:user", source=TABLES)
class JobStarted(CoreEvent):
    job: dict[str, Any]


@event("field_created", "core:table", source=ROWS)
class FieldCreated(CoreEvent):
    field: shapes.Field
    related_fields: list[shapes.Field]


@event("field_updated", "core:table", source=ROWS)
class FieldUpdated(CoreEvent):
    field_id: int
    field: shapes.Field
    related_fields: list[shapes.Field]


@event("field_deleted", "core:table", source=ROWS)
class FieldDeleted(CoreEvent):
    table_id: int
    field_id: int
    related_fields: list[shapes.Field]


@event("rows_created", "core:table", source=ROWS)
class RowsCreated(CoreEvent):
    table_id: int
    rows: list[shapes.Row]
    metadata: dict[str, Any]
    before_row_id: int | None


@event("before_rows_update", "core:table", source="database.md (g)")
class BeforeRowsUpdate(CoreEvent):
    table_id: int
    rows: list[shapes.Row]


@event("rows_updated", "core:table", source=ROWS)
class RowsUpdated(CoreEvent):
    table_id: int
    rows_before_update: list[shapes.Row]
    rows: list[shapes.Row]
    metadata: dict[str, Any]
    updated_field_ids: list[int]


@event("before_rows_delete", "core:table", source="database.md (g)")
class BeforeRowsDelete(CoreEvent):
    table_id: int
    rows: list[shapes.Row]


@event("rows_deleted", "core:table", source=ROWS)
class RowsDeleted(CoreEvent):
    table_id: int
    row_ids: list[int]
    rows: list[shapes.Row]


@event("row_history_updated", "core:row", source=ROWS)
class RowHistoryUpdated(CoreEvent):
    """`row_id` is a string for a delete and an integer otherwise, as recorded."""

    row_history_entry: shapes.HistoryEntry
    table_id: int
    row_id: int | str


@event("row_orders_recalculated", "core:table", source=ROWS)
class RowOrdersRecalculated(CoreEvent):
    table_id: int
