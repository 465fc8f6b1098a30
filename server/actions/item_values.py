"""Writing the values of an item (contract items.md).

A value is what one field says, once for the item or once in each row of line items: `column_index`. Writing merges:
what is given takes the place of the value of the same field and row, null removes that, all others stay.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from server.actions.boards import refuse_field
from server.actions.field_types import types_of
from server.actions.value_checks import Answer, Answers, Question, find_answers
from server.store.models import Field, Item, Value, Workflow

MAX_VALUES = 1000  # of one item
MAX_TEXT = 1 << 18  # characters of all of them: every change of the item tells them, and a list has those of 200
Given = dict[str, Any]  # field_id or field_name, value, and what else the client knows of it
Place = tuple[str, int | None]  # the field and the row
NAMES = ("field_id", "field_name", "column_index")


def write_values(item: Item, fields: Sequence[Field], given: Sequence[Given], answers: Answers) -> bool:
    """Merges values into those of an item and says whether that changed anything.

    `fields` are those that the item may have, the first of a name counts. Raises Refused for values of other fields
    and for too many, Unanswered for what formatters and validators have not yet said."""
    stored = {(value.field_id, value.column_index): value for value in Value.select().where(Value.item_id == item.id)}
    wanted = find_places(given, [*fields, *fields_outside(fields, stored.values())])
    checked = check_all(wanted, answers)
    gone = [stored.pop(place) for place in wanted if place in stored and wanted[place][1].get("value", "") is None]
    written = [
        value
        for place, (field, each) in wanted.items()
        if (value := merged(item, field, each, stored.get(place), checked.get(place))) is not None
    ]
    require_room(stored | {(value.field_id, value.column_index): value for value in written})
    replace(gone, written)
    return bool(gone or written)


def require_room(values: dict[Place, Value]) -> None:
    """Raises Refused for more than one item may have."""
    if len(values) > MAX_VALUES:
        refuse_field("values", f"An item has at most {MAX_VALUES} values.")
    if sum(len(value.value) + len(value.extracted or "") for value in values.values()) > MAX_TEXT:
        refuse_field("values", f"The values of an item have at most {MAX_TEXT} characters in all.")


def fields_outside(fields: Iterable[Field], stored: Iterable[Value]) -> list[Field]:
    """The fields that an item brought from the workflow in which it was before."""
    missing = {value.field_id for value in stored} - {field.id for field in fields}
    return list(Field.select().where(Field.id.in_(missing))) if missing else []


def find_places(given: Sequence[Given], fields: Sequence[Field]) -> dict[Place, tuple[Field, Given]]:
    """What is wanted for each field and row, of what is given twice the last; raises Refused."""
    by_id = {field.id: field for field in fields}
    by_name = {field.name: field for field in reversed(fields)}
    wanted = {}
    for number, each in enumerate(given):
        field = by_id.get(each["field_id"].lower()) if "field_id" in each else by_name.get(each.get("field_name", ""))
        if field is None:
            refuse_field("values", f"{number}: The item has no such field: give a field_id or a field_name.")
        wanted[field.id, each.get("column_index")] = (field, each)
    return wanted


def check_all(wanted: dict[Place, tuple[Field, Given]], answers: Answers) -> dict[Place, Answer]:
    """What formatters and validators say of the texts that are given; raises Unanswered."""
    texts = {place: (field, each["value"]) for place, (field, each) in wanted.items() if each.get("value") is not None}
    types = types_of([field for field, _ in texts.values()])
    questions = [
        Question(types[field.field_type_id].formatter, types[field.field_type_id].validator, text)
        for field, text in texts.values()
    ]
    return dict(zip(texts, find_answers(questions, answers), strict=True))


def merged(item: Item, field: Field, each: Given, known: Value | None, answer: Answer | None) -> Value | None:
    """The value with what is given of it, None where that changes nothing."""
    changes = {name: content for name, content in each.items() if name not in (*NAMES, "value")}
    if answer is not None:
        changes |= {"value": answer.value, "valid": answer.valid}
    if known is None:
        place = {"workspace_id": item.workspace_id, "item_id": item.id, "field_id": field.id}
        new = Value(**place, column_index=each.get("column_index"), **changes)
        return new if answer is not None else None
    if all(getattr(known, name) == content for name, content in changes.items()):
        return None
    for name, content in changes.items():
        setattr(known, name, content)
    return known


def replace(gone: Sequence[Value], written: Sequence[Value]) -> None:
    """Takes out what is gone or changed and puts in what is written: two statements, however many values."""
    if gone or written:
        Value.delete().where(Value.id.in_([value.id for value in (*gone, *written)])).execute()
    if written:
        names = [field.name for field in Value._meta.sorted_fields]
        Value.insert_many([{name: getattr(value, name) for name in names} for value in written]).execute()


def require_values(item: Item, workflow: Workflow) -> None:
    """Raises Refused unless each required field of a workflow has a value in the item, and a valid one."""
    required = Field.select().where(Field.workflow_id == workflow.id, Field.required == True)  # noqa: E712
    valid = Value.select(Value.field_id).where(Value.item_id == item.id, Value.valid == True, Value.value != "")  # noqa: E712
    missing = [field.name for field in required.where(Field.id.not_in(valid)).order_by(Field.created_at)]
    if missing:
        refuse_field("values", f"No valid value of the required {', '.join(missing)}.")


def remove_values(column_id: str) -> None:
    """Removes the values of all items of a column that ends."""
    items = Item.select(Item.id).where(Item.column_id == column_id)
    Value.delete().where(Value.item_id.in_(items)).execute()
