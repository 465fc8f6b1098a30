"""Sessions of Socket.IO connections that recover."""

from peewee import BigIntegerField, CharField, IntegerField

from server.store.models.base import JSONField, Record


class SocketSession(Record):
    """A connection that its client can take up again: `pid` names it for the client, `sid` is its id in every
    connection, `generation` counts these, `began` is the log position at which it began, `state` what it heard when it
    was last kept."""

    pid = CharField(43, primary_key=True)
    sid = CharField(32)
    namespace = CharField(32)
    user_id = IntegerField()
    generation = IntegerField()
    began = BigIntegerField()
    state = JSONField()
    seen_ms = BigIntegerField(index=True)

    class Meta:
        table_name = "session"
        indexes = ((("user_id", "seen_ms"), False),)
