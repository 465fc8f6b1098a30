"""Fields: what is answered, what each socket hears, and what becomes of the cells."""

import asyncio
from typing import Any

from tests.support.app import Server
from tests.support.scenario import Stage, Step, heard_by
from tests.support.stages import table_stage

FIELDS = "/api/database/fields/table/{table}/"
OTHERS = ("there", "bob")
NAMED = "/api/database/rows/table/{table}/?user_field_names=true"


async def column(stage: Stage, name: str) -> list[Any]:
    """The cells of one field, in the order of the rows."""
    answer = await stage.people["ann"].ok("GET", stage.resolve(NAMED))
    return [row[name] for row in answer["results"]]


async def test_the_life_of_a_field(server: Server) -> None:
    stage = await table_stage(server)
    common = {
        "id": "{field}", "table_id": "{table}", "name": "Text", "order": 4, "type": "text", "primary": False,
        "read_only": False, "immutable_type": False, "immutable_properties": False, "description": None,
        "database_id": "{database}", "workspace_id": "{workspace}", "db_index": False, "field_constraints": [],
    }  # fmt: skip
    created = {"type": "field_created", "field": {**common, "text_default": "abc"}, "related_fields": []}
    updated = {"type": "field_updated", "field_id": "{field}", "field": {**common, "name": "Neu"}, "related_fields": []}
    deleted = {"type": "field_deleted", "table_id": "{table}", "field_id": "{field}", "related_fields": []}
    await stage.play(
        Step("create", "ann", f"POST {FIELDS}", {"name": "Text", "type": "text", "text_default": "abc"},
             socket="here", keep={"field": "id"}, told=heard_by(OTHERS, created),
             answer={"name": "Text", "text_default": "abc", "related_fields": []}),
        Step("get", "bob", "GET /api/database/fields/{field}/", answer=common),
        Step("rows got the default", "bob", f"GET {NAMED}", answer={"results": [{"Text": "abc"}] * 3}),
        Step("rename", "bob", "PATCH /api/database/fields/{field}/", {"name": "Neu"}, socket="bob",
             told={"here": [updated], "there": [updated]}),
        Step("describe", "ann", "PATCH /api/database/fields/{field}/", {"description": "why"}, socket="here",
             answer={"description": "why", "name": "Neu"}, told=heard_by(OTHERS, "field_updated")),
        Step("the description stays", "ann", "PATCH /api/database/fields/{field}/", {"text_default": ""},
             answer={"description": "why", "text_default": ""}, socket="here",
             told=heard_by(OTHERS, "field_updated")),
        Step("delete", "ann", "DELETE /api/database/fields/{field}/", answer={"related_fields": []}, socket="here",
             told=heard_by(OTHERS, deleted)),
        Step("delete twice", "ann", "DELETE /api/database/fields/{field}/", status=404,
             answer={"error": "ERROR_FIELD_DOES_NOT_EXIST"}),
        Step("its name is free again", "ann", f"POST {FIELDS}", {"name": "Neu", "type": "boolean"}, socket="here",
             answer={"order": 5, "boolean_default": False}, told=heard_by(OTHERS, "field_created")),
        Step("the list", "bob", f"GET {FIELDS}", answer=[
            {"name": "Name"}, {"name": "Num"}, {"name": "Done"}, {"name": "When"}, {"name": "Neu"}]),
    )  # fmt: skip


async def test_refusals_are_told_to_nobody(server: Server) -> None:
    stage = await table_stage(server)
    required = [{"error": "This field is required.", "code": "required"}]
    taken = {"error": "ERROR_FIELD_WITH_SAME_NAME_ALREADY_EXISTS"}
    outsider = {"error": "ERROR_USER_NOT_IN_GROUP", "detail": ""}

    def create(label: str, body: Any, answer: Any) -> Step:
        return Step(label, "ann", f"POST {FIELDS}", body, 400, answer)

    await stage.play(
        create("name taken", {"name": "Num", "type": "text"}, taken),
        create("name reserved", {"name": "id", "type": "text"}, {"error": "ERROR_RESERVED_BASEROW_FIELD_NAME"}),
        create("unknown type", {"name": "x", "type": "nope"}, {"detail": {"type": [
            {"error": '"nope" is not a valid choice.', "code": "invalid_choice"}]}}),
        create("type not offered", {"name": "x", "type": "formula"}, {"error": "ERROR_REQUEST_BODY_VALIDATION"}),
        create("no name", {"type": "text"}, {"detail": {"name": required}}),
        create("no type", {"name": "x"}, {"detail": {"type": required}}),
        create("bad option", {"name": "x", "type": "number", "number_decimal_places": 99},
               {"detail": {"number_decimal_places": [{"code": "invalid_choice"}]}}),
        create("no object", [1], {"error": "ERROR_REQUEST_BODY_VALIDATION"}),
        Step("unknown table", "ann", "POST /api/database/fields/table/999999/", {"name": "x", "type": "text"}, 404,
             {"error": "ERROR_TABLE_DOES_NOT_EXIST"}),
        Step("outsider creates", "eve", f"POST {FIELDS}", {"name": "x", "type": "text"}, 400, outsider),
        Step("outsider lists", "eve", f"GET {FIELDS}", status=400, answer=outsider),
        Step("outsider gets", "eve", "GET /api/database/fields/{num}/", status=400, answer=outsider),
        Step("outsider deletes", "eve", "DELETE /api/database/fields/{num}/", status=400, answer=outsider),
        Step("unknown field", "ann", "PATCH /api/database/fields/999999/", {"name": "x"}, 404,
             {"error": "ERROR_FIELD_DOES_NOT_EXIST", "detail": "The requested field does not exist."}),
        Step("name of another", "ann", "PATCH /api/database/fields/{num}/", {"name": "Done"}, 400, taken),
        Step("its own name is fine", "ann", "PATCH /api/database/fields/{num}/", {"name": "Num"}, socket="here",
             told=heard_by(OTHERS, "field_updated")),
        Step("the primary field", "ann", "DELETE /api/database/fields/{name}/", status=400,
             answer={"error": "ERROR_CANNOT_DELETE_PRIMARY_FIELD", "detail": ""}),
        Step("primary already", "ann", f"POST {FIELDS}change-primary-field/", {"new_primary_field_id": "{name}"}, 400,
             {"error": "ERROR_FIELD_IS_ALREADY_PRIMARY"}),
        Step("of another table", "ann", f"POST {FIELDS}change-primary-field/", {"new_primary_field_id": 999999}, 400,
             {"error": "ERROR_FIELD_NOT_IN_TABLE"}),
        Step("nothing changed", "ann", f"GET {FIELDS}", answer=[
            {"name": "Name"}, {"name": "Num"}, {"name": "Done"}, {"name": "When"}]),
    )  # fmt: skip


async def test_another_field_becomes_the_primary_one(server: Server) -> None:
    stage = await table_stage(server)
    former = {"id": "{name}", "primary": False}
    message = {"type": "field_updated", "field_id": "{num}", "field": {"primary": True}, "related_fields": [former]}
    await stage.play(
        Step("change", "ann", f"POST {FIELDS}change-primary-field/", {"new_primary_field_id": "{num}"}, socket="here",
             answer={"id": "{num}", "primary": True, "related_fields": [former]}, told=heard_by(OTHERS, message)),
        Step("it comes first", "ann", f"GET {FIELDS}", answer=[
            {"id": "{num}"}, {"id": "{name}", "primary": False}, {"id": "{done}"}, {"id": "{when}"}]),
        Step("the former may go", "ann", "DELETE /api/database/fields/{name}/", socket="here",
             told=heard_by(OTHERS, "field_deleted")),
    )  # fmt: skip


async def test_cells_follow_their_field_into_another_type(server: Server) -> None:
    stage = await table_stage(server)
    ann, names = stage.people["ann"], stage.names
    field = f"/api/database/fields/{names['name']}/"
    rows = f"/api/database/rows/table/{names['table']}/"
    for row, text in ((1, "12.5"), (2, "x"), (3, "true")):
        await ann.ok("PATCH", f"{rows}{row}/", {f"field_{names['name']}": text})
    await ann.ok("DELETE", f"{rows}3/")
    for change, cells in (
        ({"type": "number", "number_decimal_places": 2}, ["12.50", None]),
        ({"number_decimal_places": 0}, ["13", None]),
        ({"type": "long_text"}, ["13", None]),
        ({"type": "boolean"}, [False, False]),
        ({"type": "text"}, ["false", "false"]),
        ({"type": "date", "date_include_time": True}, [None, None]),
        ({"date_include_time": False}, [None, None]),
    ):
        changed = await ann.ok("PATCH", field, change)
        assert {key: changed[key] for key in change} == change
        assert await column(stage, "Name") == cells, change
    made = await ann.ok("POST", rows, {f"field_{names['name']}": "2026-05-06"})
    assert made[f"field_{names['name']}"] == "2026-05-06"


async def test_a_default_fills_the_rows_that_are_there(server: Server) -> None:
    stage = await table_stage(server)
    fields = stage.resolve(FIELDS)
    for body, cell in (
        ({"name": "number", "type": "number", "number_decimal_places": 1, "number_default": 1.5}, "1.5"),
        ({"name": "ticked", "type": "boolean", "boolean_default": True}, True),
        ({"name": "unticked", "type": "boolean"}, False),
        ({"name": "text", "type": "text"}, None),
        ({"name": "date", "type": "date"}, None),
    ):
        await stage.people["ann"].ok("POST", fields, body)
        assert await column(stage, str(body["name"])) == [cell] * 3


async def test_rows_written_while_a_field_changes_its_type_are_converted_too(server: Server) -> None:
    """A column is exchanged under running writers, again and again: no request fails and no cell is lost.

    PostgreSQL refuses a prepared statement whose result has another type than when it was prepared."""
    stage = await table_stage(server)
    ann, bob, names = stage.people["ann"], stage.people["bob"], stage.names
    rows, key = f"/api/database/rows/table/{names['table']}/", f"field_{names['num']}"

    async def write() -> None:
        for number in range(15):
            answer = await bob.request("POST", rows, {key: str(number)})
            assert answer.status == 200, answer
            assert answer.body[key] == str(number), answer

    async def change() -> None:
        for kind in ("text", "number") * 4:
            await ann.ok("PATCH", f"/api/database/fields/{names['num']}/", {"type": kind})

    await ann.ok("PATCH", f"/api/database/fields/{names['num']}/", {"number_decimal_places": 0})
    await asyncio.gather(write(), write(), change())
    found = [cell for cell in await column(stage, "Num") if cell is not None]
    assert sorted(map(float, found)) == sorted(float(number) for number in [*range(15)] * 2)
