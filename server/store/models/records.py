"""Projects, endpoints and records of the records API."""

from peewee import AutoField, BigAutoField, BooleanField, CharField, DateTimeField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record


class Project(Record):
    id = AutoField()
    workspace_id = IntegerField(index=True)
    name = CharField(254)
    key = CharField(32, unique=True)
    master_key = CharField(64, unique=True)
    origins = JSONField(default=list)
    deny_no_origin = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "record_project"


class Endpoint(Record):
    """An endpoint; its name is unique on the server."""

    id = AutoField()
    project_id = IntegerField(index=True)
    name = CharField(254, unique=True)
    description = TextField(default="")
    authentication = BooleanField(default=False)
    secure = BooleanField(default=False)
    access = JSONField(default=dict)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "record_endpoint"


class StoredRecord(Record):
    """A record. `id` gives the order, oldest first; `unique_id` is what clients see.

    `data` is the JSON text and the times are the text that clients get, so that reading a record decodes nothing.
    A record of an uploaded file has a `file_id`."""

    id = BigAutoField()
    endpoint_id = IntegerField()
    unique_id = CharField(32, unique=True)
    data = TextField()
    file_id = CharField(36, null=True)
    created_at = CharField(24)
    updated_at = CharField(24)

    class Meta:
        table_name = "record"
        indexes = ((("endpoint_id", "id"), False),)
