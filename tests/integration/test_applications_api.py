"""Applications: what is answered, and what each socket hears."""

import hashlib

from tests.support.app import Server
from tests.support.scenario import Step, heard_by
from tests.support.stages import database_stage

OF_WORKSPACE = "/api/applications/workspace/{workspace}/"
REQUIRED = [{"error": "This field is required.", "code": "required"}]


def hashed(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


async def test_the_life_of_a_database(server: Server) -> None:
    stage = await database_stage(server)
    created = {"type": "application_created", "application": {"id": "{first}", "name": "One", "order": 2}}
    await stage.play(
        Step("create", "ann", f"POST {OF_WORKSPACE}", {"name": "One", "type": "database"}, socket="here",
             answer={"name": "One", "order": 2, "tables": [], "workspace": {"id": "{workspace}"}},
             keep={"first": "id"}, told={"there": [created], "bob": [created]}),
        Step("create with a table: the database is told first", "ann", f"POST {OF_WORKSPACE}",
             {"name": "Two", "type": "database", "init_with_data": True}, socket="here", keep={"second": "id"},
             answer={"order": 3, "tables": [{"name": "Table", "order": 1, "data_sync": None}]},
             told=heard_by(("there", "bob"), "application_created", "table_created")),
        Step("get", "bob", "GET /api/applications/{first}/", answer={"name": "One"}),
        Step("list", "bob", f"GET {OF_WORKSPACE}",
             answer=[{"id": "{database}"}, {"id": "{first}"}, {"id": "{second}"}]),
        Step("list of everything", "ann", "GET /api/applications/",
             answer=[{"id": "{database}"}, {"id": "{first}"}, {"id": "{second}"}]),
        Step("list of everything, outsider", "eve", "GET /api/applications/", answer=[]),
        Step("rename by a member", "bob", "PATCH /api/applications/{first}/", {"name": "Uno"}, socket="bob",
             answer={"name": "Uno"}, told={"here": ["application_updated"], "there": ["application_updated"]}),
        Step("nothing given is told too", "ann", "PATCH /api/applications/{first}/", {"unknown": 1}, socket="here",
             answer={"name": "Uno"}, told={"there": ["application_updated"], "bob": ["application_updated"]}),
        Step("delete", "ann", "DELETE /api/applications/{first}/", status=204,
             told={name: [{"type": "application_deleted", "application_id": "{first}"}] for name in stage.sockets}),
        Step("get deleted", "ann", "GET /api/applications/{first}/", status=404,
             answer={"error": "ERROR_APPLICATION_DOES_NOT_EXIST"}),
        Step("delete twice", "ann", "DELETE /api/applications/{first}/", status=404),
    )  # fmt: skip


async def test_refusals_are_told_to_nobody(server: Server) -> None:
    stage = await database_stage(server)
    outsider = {"error": "ERROR_USER_NOT_IN_GROUP", "detail": ""}
    body = {"name": "x", "type": "database"}
    await stage.play(
        Step("unknown type", "ann", f"POST {OF_WORKSPACE}", {"name": "x", "type": "nope"}, 400,
             {"error": "ERROR_APPLICATION_TYPE_DOES_NOT_EXIST", "detail": "The application type nope does not exist."}),
        Step("no name", "ann", f"POST {OF_WORKSPACE}", {"type": "database"}, 400,
             {"detail": {"name": REQUIRED, "type": REQUIRED}}),
        Step("no type", "ann", f"POST {OF_WORKSPACE}", {"name": "x"}, 400, {"detail": {"type": REQUIRED}}),
        Step("no object", "ann", f"POST {OF_WORKSPACE}", [1], 400, {"error": "ERROR_REQUEST_BODY_VALIDATION"}),
        Step("outsider creates", "eve", f"POST {OF_WORKSPACE}", body, 400, outsider),
        Step("outsider lists", "eve", f"GET {OF_WORKSPACE}", status=400, answer=outsider),
        Step("outsider gets", "eve", "GET /api/applications/{database}/", status=400, answer=outsider),
        Step("outsider deletes", "eve", "DELETE /api/applications/{database}/", status=400, answer=outsider),
        Step("unknown workspace", "ann", "POST /api/applications/workspace/999999/", body, 404,
             {"error": "ERROR_GROUP_DOES_NOT_EXIST"}),
        Step("blank name", "ann", "PATCH /api/applications/{database}/", {"name": " "}, 400,
             {"detail": {"name": [{"code": "blank"}]}}),
        Step("unknown", "ann", "PATCH /api/applications/999999/", {"name": "x"}, 404,
             {"error": "ERROR_APPLICATION_DOES_NOT_EXIST"}),
        Step("order with a foreign id", "ann", f"POST {OF_WORKSPACE}order/", {"application_ids": [999999]}, 400,
             {"error": "ERROR_APPLICATION_NOT_IN_GROUP",
              "detail": "The application id 999999 does not belong to the group."}),
    )  # fmt: skip


async def test_an_order_names_every_database_by_its_hash(server: Server) -> None:
    stage = await database_stage(server)
    first, other = stage.names["database"], await stage.people["ann"].database(stage.names["workspace"], "Other")
    await stage.heard()
    message = {"type": "applications_reordered", "workspace_id": "{workspace}", "order": [hashed(other), hashed(first)]}
    await stage.play(
        Step("order", "ann", f"POST {OF_WORKSPACE}order/", {"application_ids": [other]}, 204, socket="here",
             told={"there": [message], "bob": [message]}),
        Step("list", "ann", f"GET {OF_WORKSPACE}", answer=[{"id": other, "order": 1}, {"id": first, "order": 2}]),
    )  # fmt: skip


async def test_deleting_a_database_discards_the_pages_of_its_tables(server: Server) -> None:
    stage = await database_stage(server)
    table = stage.names["table"] = await stage.people["ann"].table(stage.names["database"])
    await stage.sockets["bob"].subscribe("table", table_id=table)
    await stage.heard()
    discard = {"type": "page_discard", "page": "table", "parameters": {"table_id": table}}
    await stage.play(
        Step("delete", "ann", "DELETE /api/applications/{database}/", status=204, socket="here",
             told={"there": ["application_deleted"], "bob": ["application_deleted", discard]}),
        Step("its table is gone", "ann", "GET /api/database/tables/{table}/", status=404,
             answer={"error": "ERROR_TABLE_DOES_NOT_EXIST"}),
        Step("and its rows", "ann", "GET /api/database/rows/table/{table}/", status=404),
    )  # fmt: skip


async def test_a_first_workspace_holds_a_database_with_sample_rows(server: Server) -> None:
    ann = await server.sign_up("Ann")
    made = await ann.ok("POST", "/api/workspaces/create-initial-workspace/")
    (application,) = await ann.ok("GET", "/api/applications/")
    assert application["workspace"]["id"] == made["id"]
    (table,) = application["tables"]
    rows = await ann.ok("GET", f"/api/database/rows/table/{table['id']}/?user_field_names=true")
    assert rows["count"] == 4
    assert rows["results"][0] == {
        "id": 1,
        "order": "1.00000000000000000000",
        "Name": "Northwind Coffee",
        "Notes": "Renews in March",
        "Active": True,
    }
