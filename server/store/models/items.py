"""Boards of the items API: collections, workflows, columns and the items in them. Ids are UUID strings."""

import uuid

from peewee import BooleanField, CharField, DateTimeField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record


def new_id() -> str:
    return str(uuid.uuid4())


class Collection(Record):
    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    name = CharField(255)
    settings = JSONField(default=dict)
    accounts = JSONField(default=list)
    predefined_accounts = JSONField(default=list)
    cost_centers = JSONField(default=list)
    projects = JSONField(default=list)
    currencies = JSONField(default=list)
    voucher_series = JSONField(default=list)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_collection"


class Workflow(Record):
    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    collection_id = CharField(36, index=True)
    name = CharField(255)
    classification = CharField(32)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_workflow"


class Column(Record):
    """A column of a workflow; `index` is its place from the left, 0 first."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    workflow_id = CharField(36, index=True)
    name = CharField(255)
    type = CharField(32)
    settings = JSONField(default=dict)
    index = IntegerField()
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_column"


class Item(Record):
    """An item on a board; a deleted one is kept with `deleted` set.

    One that was uploaded has a file, whose content type it knows, since by that its interpreter is chosen;
    `interpretations` counts how often an interpretation was begun and has not ended."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField()
    collection_id = CharField(36)
    column_id = CharField(36)
    name = CharField(255)
    error = TextField(null=True)
    state = CharField(64, default="uploaded")
    document_type = CharField(64, null=True)
    user_id = IntegerField(null=True)
    locked_by_user_id = IntegerField(null=True)
    original_file_id = CharField(36, null=True)
    original_file_type = CharField(255, null=True)
    interpretations = IntegerField(default=0)
    deleted = BooleanField(default=False)
    page_count = IntegerField(default=0)
    comment_count = IntegerField(default=0)
    status_messages = JSONField(default=list)
    accountings = JSONField(default=list)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "item"
        indexes = (
            (("workspace_id", "deleted", "created_at", "id"), False),
            (("column_id", "deleted", "created_at", "id"), False),  # also counts the items of a column
            (("collection_id", "deleted", "created_at", "id"), False),
        )


class Comment(Record):
    """What somebody says about an item; it is never changed."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField()
    item_id = CharField(36)
    user_id = IntegerField()
    text = TextField()
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_comment"
        indexes = ((("item_id", "created_at", "id"), False),)
