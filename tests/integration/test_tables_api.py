"""Tables, their first view, and jobs: what is answered, and what each socket hears."""

import hashlib
from typing import Any

from tests.support.app import Server
from tests.support.scenario import Step
from tests.support.stages import database_stage

TABLES = "/api/database/tables/database/{database}/"
TOO_LONG = [["x"]] * 5002


def hashed(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


async def test_the_life_of_a_table(server: Server) -> None:
    stage = await database_stage(server)
    made = {"id": "{table}", "name": "Plain", "order": 1, "database_id": "{database}", "data_sync": None}
    created = {"type": "table_created", "table": made}
    common = {"table_id": "{table}", "read_only": False, "description": None, "workspace_id": "{workspace}"}
    await stage.play(
        Step("create", "ann", f"POST {TABLES}", {"name": "Plain"}, socket="here", keep={"table": "id"},
             answer={"name": "Plain", "order": 1}, told={"there": [created], "bob": [created]}),
        Step("its fields", "bob", "GET /api/database/fields/table/{table}/",
             answer=[{**common, "name": "Name", "order": 0, "type": "text", "primary": True, "text_default": ""},
                     {**common, "name": "Notes", "order": 1, "type": "long_text", "primary": False},
                     {**common, "name": "Active", "order": 2, "type": "boolean", "boolean_default": False}]),
        Step("its rows", "bob", "GET /api/database/rows/table/{table}/?user_field_names=true",
             answer={"count": 2, "next": None, "previous": None, "results": [
                 {"id": 1, "order": "1.00000000000000000000", "Name": "", "Notes": "", "Active": False},
                 {"id": 2, "order": "2.00000000000000000000"}]}),
        Step("its view", "bob", "GET /api/database/views/table/{table}/?include=filters,sortings",
             answer=[{"name": "Grid", "type": "grid", "order": 1, "owned_by_id": "{ann_id}", "filters": [],
                      "filter_groups": [], "sortings": [], "row_height_size": "small",
                      "table": {"id": "{table}", "name": "Plain", "order": 1, "database_id": "{database}"}}]),
        Step("get", "bob", "GET /api/database/tables/{table}/", answer=made),
        Step("rename", "bob", "PATCH /api/database/tables/{table}/", {"name": "New"}, socket="bob",
             answer={"name": "New"},
             told={name: [{"type": "table_updated", "table_id": "{table}", "table": {"name": "New", "order": 1},
                           "force_table_refresh": False}] for name in ("here", "there")}),
        Step("list", "bob", f"GET {TABLES}", answer=[{"id": "{table}", "name": "New"}]),
        Step("delete", "ann", "DELETE /api/database/tables/{table}/", status=204, socket="here",
             told={name: [{"type": "table_deleted", "database_id": "{database}", "table_id": "{table}"}]
                   for name in ("there", "bob")}),
        Step("delete twice", "ann", "DELETE /api/database/tables/{table}/", status=404,
             answer={"error": "ERROR_TABLE_DOES_NOT_EXIST", "detail": "The requested table does not exist."}),
        Step("list", "bob", f"GET {TABLES}", answer=[]),
    )  # fmt: skip


async def test_tables_are_made_from_data(server: Server) -> None:
    stage = await database_stage(server)
    told = {"there": ["table_created"], "bob": ["table_created"]}
    body: dict[str, Any] = {
        "name": "With header",
        "data": [["Name", "Age"], ["Ann", 31, "extra"], [None]],
        "first_row_header": True,
    }
    rows = [{"id": 1, "Name": "Ann", "Age": "31", "Field 3": "extra"}, {"id": 2, "Name": "", "Age": "", "Field 3": ""}]
    await stage.play(
        Step("header", "ann", f"POST {TABLES}", body, socket="here", keep={"table": "id"}, told=told),
        Step("its rows", "ann", "GET /api/database/rows/table/{table}/?user_field_names=true",
             answer={"results": rows}),
        Step("no header", "ann", f"POST {TABLES}", {"name": "x", "data": [["Ann"], ["Bob"]]}, socket="here",
             keep={"table": "id"}, told=told),
        Step("its fields", "ann", "GET /api/database/fields/table/{table}/",
             answer=[{"name": "Field 1", "primary": True, "type": "text"}]),
        Step("header only", "ann", f"POST {TABLES}", {"name": "x", "data": [["Ann"]], "first_row_header": True},
             socket="here", keep={"table": "id"}, told=told),
        Step("no rows", "ann", "GET /api/database/rows/table/{table}/", answer={"count": 0, "results": []}),
    )  # fmt: skip


async def test_refusals_are_told_to_nobody(server: Server) -> None:
    stage = await database_stage(server)
    outsider = {"error": "ERROR_USER_NOT_IN_GROUP", "detail": ""}

    def data(label: str, value: Any, answer: Any) -> Step:
        body = {"name": "x", "data": value, "first_row_header": True}
        return Step(label, "ann", f"POST {TABLES}", body, 400, answer)

    await stage.play(
        data("empty data", [], {"detail": {"data": [{"code": "min_length"}]}}),
        data("rows that are no lists", ["x", 1], {"detail": {"data": {"0": [{"code": "not_a_list"}]}}}),
        data("rows without cells", [[], []], {"error": "ERROR_INVALID_INITIAL_TABLE_DATA"}),
        data("names twice", [["A", "A"]], {"error": "ERROR_INITIAL_TABLE_DATA_HAS_DUPLICATE_NAMES"}),
        data("reserved name", [["id", "x"]], {"error": "ERROR_RESERVED_BASEROW_FIELD_NAME"}),
        data("blank name", [["", "x"]], {"error": "ERROR_INVALID_BASEROW_FIELD_NAME"}),
        data("long name", [["x" * 256]], {"error": "ERROR_MAX_FIELD_NAME_LENGTH_EXCEEDED"}),
        data("too many rows", TOO_LONG, {"error": "ERROR_INITIAL_TABLE_DATA_LIMIT_EXCEEDED"}),
        data("too many fields", [["x"] * 601], {"error": "ERROR_MAX_FIELD_COUNT_EXCEEDED"}),
        Step("no name", "ann", f"POST {TABLES}", {}, 400, {"detail": {"name": [{"code": "required"}]}}),
        Step("unknown database", "ann", "POST /api/database/tables/database/999999/", {"name": "x"}, 404,
             {"error": "ERROR_APPLICATION_DOES_NOT_EXIST"}),
        Step("outsider creates", "eve", f"POST {TABLES}", {"name": "x"}, 400, outsider),
        Step("outsider lists", "eve", f"GET {TABLES}", status=400, answer=outsider),
        Step("rename unknown", "ann", "PATCH /api/database/tables/999999/", {"name": "x"}, 404,
             {"error": "ERROR_TABLE_DOES_NOT_EXIST"}),
        Step("order with a foreign id", "ann", f"POST {TABLES}order/", {"table_ids": [999999]}, 400,
             {"error": "ERROR_TABLE_NOT_IN_DATABASE",
              "detail": "The table id 999999 does not belong to the database."}),
        Step("nothing was made", "ann", f"GET {TABLES}", answer=[]),
    )  # fmt: skip


async def test_an_order_is_told_under_both_names(server: Server) -> None:
    stage = await database_stage(server)
    ann, database = stage.people["ann"], stage.names["database"]
    first, second = [await ann.table(database, name) for name in ("one", "two")]
    await stage.heard()
    told = {"database_id": hashed(database), "order": [hashed(second), hashed(first)]}
    messages = [{"type": "tables_reordered", **told}, {"type": "tables_re_ordered", **told}]
    await stage.play(
        Step("order", "ann", f"POST {TABLES}order/", {"table_ids": [second]}, 204, socket="here",
             told={"there": messages, "bob": messages}),
        Step("list", "ann", f"GET {TABLES}", answer=[{"id": second, "order": 1}, {"id": first, "order": 2}]),
    )  # fmt: skip


async def test_an_import_is_a_job_that_is_done_at_once(server: Server) -> None:
    stage = await database_stage(server)
    job = {"type": "file_import", "progress_percentage": 0, "human_readable_error": "", "database_id": "{database}",
           "name": "Async", "table_id": None, "first_row_header": True, "report": {"failing_rows": {}}}  # fmt: skip
    body = {"name": "Async", "data": [["Name"], ["1"]], "first_row_header": True}
    done = {"state": "finished", "progress_percentage": 100, "human_readable_error": ""}
    started = {"type": "job_started", "job": {**job, "state": "started"}}
    await stage.play(
        Step("import", "ann", f"POST {TABLES}async/", body, socket="here", keep={"job": "id"},
             answer={**job, "state": "pending"},
             told={"there": [started, "table_created"], "bob": ["table_created"]}),
        Step("the job", "ann", "GET /api/jobs/{job}/", answer={"id": "{job}", **done}),
        Step("somebody else's job", "bob", "GET /api/jobs/{job}/", status=404,
             answer={"error": "ERROR_JOB_DOES_NOT_EXIST"}),
        Step("all jobs", "ann", "GET /api/jobs/", answer={"jobs": [{"id": "{job}", **done}]}),
        Step("those at work", "ann", "GET /api/jobs/?states=!finished,!failed,!cancelled", answer={"jobs": []}),
        Step("finished ones", "ann", "GET /api/jobs/?states=finished&job_ids={job}",
             answer={"jobs": [{"id": "{job}"}]}),
        Step("no jobs of others", "bob", "GET /api/jobs/", answer={"jobs": []}),
    )  # fmt: skip
    table = (await stage.people["ann"].ok("GET", f"/api/jobs/{stage.names['job']}/"))["table_id"]
    assert (await stage.people["bob"].ok("GET", f"/api/database/tables/{table}/"))["name"] == "Async"


async def test_deleting_a_table_discards_its_pages(server: Server) -> None:
    stage = await database_stage(server)
    table = stage.names["table"] = await stage.people["ann"].table(stage.names["database"])
    bob = stage.sockets["bob"]
    await bob.subscribe("table", table_id=str(table))
    await bob.subscribe("row", table_id=table, row_id=1)
    await stage.heard()
    pages = [
        {"type": "page_discard", "page": "table", "parameters": {"table_id": str(table)}},
        {"type": "page_discard", "page": "row", "parameters": {"table_id": table, "row_id": 1}},
    ]
    await stage.play(
        Step("delete", "ann", "DELETE /api/database/tables/{table}/", status=204, socket="here",
             told={"there": ["table_deleted"], "bob": ["table_deleted", *pages]}),
    )  # fmt: skip
    await bob.send({"page": "table", "table_id": table})
    assert await stage.heard() == {"here": [], "there": [], "bob": []}


async def test_pages_are_only_for_those_who_may_read_them(server: Server) -> None:
    stage = await database_stage(server)
    table = await stage.people["ann"].table(stage.names["database"])
    eve = await stage.people["eve"].core_socket()
    for frame in (
        {"page": "table", "table_id": table},
        {"page": "row", "table_id": table, "row_id": 1},
    ):
        await eve.send(frame)
    bob = stage.sockets["bob"]
    for frame in (
        {"page": "table", "table_id": 999999},
        {"page": "table", "table_id": True},
        {"page": "table", "table_id": [table]},
        {"page": "table", "table_id": "x"},
        {"page": "table", "table_id": 2**70},
        {"page": "table"},
        {"page": "row", "table_id": table, "row_id": 999999},
        {"page": "row", "table_id": table},
        {"page": "nothing", "table_id": table},
    ):
        await bob.send(frame)
    await bob.subscribe("table", table_id=table)  # frames are handled in order: the others were silent
    assert [each["type"] for each in bob.messages if each["type"] == "page_add"] == ["page_add"]
    await eve.send({"type": "ping"})
    await eve.expect("pong")
