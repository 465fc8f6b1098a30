"""Files of clients, whose bytes a storage keeps."""

from uuid import uuid4

from peewee import BigIntegerField, CharField, DateTimeField

from server.encoding import now
from server.store.models.base import Record


class StoredFile(Record):
    """A file. `key` names it in the storage and is shown to nobody. A raster image's `content_type` is what its first
    bytes say, any other what its sender said.

    `expires_ms` is null while something refers to the file. Before that, and after, it is the time at which
    housekeeping may remove what the storage has under the key, and then the row."""

    id = CharField(36, primary_key=True, default=lambda: str(uuid4()))
    key = CharField(32, unique=True)
    name = CharField(255, default="")
    content_type = CharField(255, default="")
    size = BigIntegerField(default=0)
    expires_ms = BigIntegerField(null=True)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "stored_file"
