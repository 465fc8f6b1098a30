"""Projects, endpoints and records of the records API."""

from peewee import (
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    DateTimeField,
    IntegerField,
    TextField,
)

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
    """An endpoint; its name is unique on the server. `opened` is the log position at which it last let in whom it had
    kept out; what was told before, to a few perhaps, is replayed to nobody."""

    id = AutoField()
    project_id = IntegerField(index=True)
    name = CharField(254, unique=True)
    description = TextField(default="")
    authentication = BooleanField(default=False)
    secure = BooleanField(default=False)
    access = JSONField(default=dict)
    opened = BigIntegerField(default=0)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "record_endpoint"


class StoredRecord(Record):
    """A record. `id` gives the order, oldest first; `unique_id` is what clients see.

    `data` is the JSON text and the times are the text that clients get, so that reading a record decodes nothing.
    A record of an uploaded file has a `file_id`. `owner_id` is the user who made it on a secure endpoint, a record of
    an authentication endpoint; there each record is its own owner. Ids are never given twice, so an owner who is gone
    stays nobody else."""

    id = BigAutoField()
    endpoint_id = IntegerField()
    unique_id = CharField(32, unique=True)
    data = TextField()
    file_id = CharField(36, null=True)
    created_at = CharField(24)
    updated_at = CharField(24)
    owner_id = BigIntegerField(null=True)

    class Meta:
        table_name = "record"
        indexes = ((("endpoint_id", "id"), False), (("endpoint_id", "owner_id", "id"), False))


class RecordUser(Record):
    """What a record of an authentication endpoint never shows: the hash of its password."""

    record_id = BigIntegerField(primary_key=True)
    endpoint_id = IntegerField(index=True)
    password = CharField(255)

    class Meta:
        table_name = "record_user"


class RecordLogin(Record):
    """A name, in lower case, with which a user logs in: the username, or the email."""

    endpoint_id = IntegerField()
    name = CharField(254)
    user_id = BigIntegerField(index=True)

    class Meta:
        table_name = "record_login"
        indexes = ((("endpoint_id", "name"), True),)


class RecordSession(Record):
    """A login of such a user: the token of this `jti` counts on the project's endpoints until `expires_at` (seconds),
    or until this row is gone."""

    jti = CharField(64, primary_key=True)
    user_id = BigIntegerField(index=True)
    project_id = IntegerField()
    expires_at = BigIntegerField(index=True)

    class Meta:
        table_name = "record_session"
