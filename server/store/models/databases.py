"""Databases, their tables, fields and views, the history of rows, and jobs. The rows themselves live in real
tables, see `store/user_tables.py`."""

from peewee import BooleanField, CharField, DateTimeField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record


class Application(Record):
    """A database of a workspace; `type` is always `database`."""

    workspace_id = IntegerField(index=True)
    name = CharField(160)
    type = CharField(32, default="database")
    order = IntegerField()
    trashed = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "application"


class UserTable(Record):
    """A table of users' rows. `workspace_id` never changes; `version` rises with every change of its fields."""

    database_id = IntegerField(index=True)
    workspace_id = IntegerField(index=True)
    name = CharField(255)
    order = IntegerField()
    version = IntegerField(default=1)
    trashed = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "user_table"


class TableField(Record):
    """A field of a user table: column `field_<id>`; `options` are those of its type."""

    table_id = IntegerField(index=True)
    name = CharField(255)
    type = CharField(32)
    order = IntegerField()
    primary = BooleanField(default=False)
    description = TextField(null=True)
    options = JSONField(default=dict)
    trashed = BooleanField(default=False)

    class Meta:
        table_name = "table_field"


class TableView(Record):
    """A view of a user table; every table is born with one grid."""

    table_id = IntegerField(index=True)
    name = CharField(255)
    type = CharField(32, default="grid")
    order = IntegerField()
    owned_by_id = IntegerField()
    slug = CharField(64, unique=True)
    options = JSONField(default=dict)

    class Meta:
        table_name = "table_view"


class RowHistory(Record):
    """What one action did to one row."""

    table_id = IntegerField()
    row_id = IntegerField()
    action_type = CharField(32)
    user_id = IntegerField(null=True)
    user_name = CharField(150)
    before = JSONField(default=dict)
    after = JSONField(default=dict)
    fields_metadata = JSONField(default=dict)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "row_history"
        indexes = ((("table_id", "row_id", "id"), False),)


class Job(Record):
    """Work that a client polls; `data` holds the keys of its type."""

    user_id = IntegerField(index=True)
    type = CharField(32)
    state = CharField(16, default="pending")
    progress_percentage = IntegerField(default=0)
    human_readable_error = TextField(default="")
    data = JSONField(default=dict)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "job"
