"""Webhooks of the items API."""

from peewee import BigIntegerField, CharField, DateTimeField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record
from server.store.models.items import new_id


class Webhook(Record):
    """A receiver that reads the log of a workspace's items over HTTP: `room` is what it reads, on behalf of `user_id`,
    who made it; `position` is the log position up to which it was told, `events` the types that it wants.

    `failures` counts the attempts since the last delivery that succeeded, `failing_since_ms` is when the first of them
    was, `next_attempt_ms` says when to try again, both by the clock of the leases. `state` is ACTIVE or DISABLED;
    `reason` says why it is disabled, or what the last attempt met."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    user_id = IntegerField()
    room = CharField(128)
    url = TextField()
    events = JSONField()
    secret = CharField(64)
    position = BigIntegerField()
    state = CharField(16, default="active")
    reason = TextField(null=True)
    failures = IntegerField(default=0)
    failing_since_ms = BigIntegerField(null=True)
    next_attempt_ms = BigIntegerField(default=0)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "webhook"
