"""What can be told about an item: kinds of values, the fields of a workflow, and the values themselves."""

from peewee import BooleanField, CharField, DateTimeField, FloatField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record
from server.store.models.items import new_id


class FieldType(Record):
    """How values of a kind are written (`formatter`) and when they are right (`validator`), by prefix expressions.

    Those that all workspaces share are in the program, with no `workspace_id`; rows have one."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True, null=True)
    name = CharField(255)
    formatter = JSONField(null=True)
    validator = JSONField(null=True)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_field_type"


class Field(Record):
    """A field of a workflow; a shared one is there for the collection's other workflows too."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField(index=True)
    workflow_id = CharField(36, index=True)
    field_type_id = CharField(36, index=True)
    name = CharField(255)
    shared = BooleanField(default=False)
    required = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "item_field"


class Value(Record):
    """What a field of an item says: one value, or one in each row of line items (`column_index`).

    `extracted` is what was read in the document, `count` how often it stands there, `location` the four corners."""

    id = CharField(36, primary_key=True, default=new_id)
    workspace_id = IntegerField()
    item_id = CharField(36, index=True)
    field_id = CharField(36, index=True)
    column_index = IntegerField(null=True)
    value = TextField()
    extracted = TextField(null=True)
    count = IntegerField(default=1)
    page_number = IntegerField(null=True)
    location = JSONField(null=True)
    valid = BooleanField()
    algorithm = CharField(64, null=True)
    confidence = FloatField(null=True)

    class Meta:
        table_name = "item_value"
