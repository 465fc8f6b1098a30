"""Credentials with which programs use the items API."""

from peewee import CharField, DateTimeField, IntegerField

from server.encoding import now
from server.store.models.base import Record
from server.store.models.items import new_id


class Client(Record):
    """A client of one workspace; `user_id` is the account as which it acts, `secret` the hash of its secret."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    user_id = IntegerField(unique=True)
    name = CharField(150)
    secret = CharField(64)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "client"
