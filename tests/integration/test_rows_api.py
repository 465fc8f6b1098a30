"""Rows: what is answered, and what each socket hears."""

from collections.abc import Iterator
from typing import Any

from tests.support.app import Server
from tests.support.scenario import Step, heard_by
from tests.support.stages import table_stage

ROWS = "/api/database/rows/table/{table}/"
NAMED = "?user_field_names=true"
OTHERS = ("there", "bob")
NO_ROW = {"error": "ERROR_ROW_DOES_NOT_EXIST"}
OUTSIDER = {"error": "ERROR_USER_NOT_IN_GROUP", "detail": ""}


def place(number: float) -> str:
    return f"{number:.20f}"


def shown(number: int, order: float, name: Any, num: Any = None, done: bool = False) -> dict[str, Any]:
    """A row as messages show it."""
    return {"id": number, "order": place(order), "field_{name}": name, "field_{num}": num, "field_{done}": done,
            "field_{when}": None}  # fmt: skip


async def test_the_life_of_a_row(server: Server) -> None:
    stage = await table_stage(server)
    update = [
        {"type": "before_rows_update", "table_id": "{table}", "rows": [shown(4, 4, None)]},
        {"type": "rows_updated", "table_id": "{table}", "rows_before_update": [shown(4, 4, None)], "metadata": {},
         "rows": [shown(4, 4, "n", "7.50", True)], "updated_field_ids": ["{name}", "{num}", "{done}"]},
    ]  # fmt: skip
    moved = [
        {"type": "before_rows_update"},
        {"type": "rows_updated", "rows_before_update": [shown(4, 4, "n", "7.50", True)], "updated_field_ids": [],
         "rows": [shown(4, 0.5, "n", "7.50", True)]},
    ]  # fmt: skip
    gone = [shown(4, 0.5, "n", "7.50", True)]
    deleted = [
        {"type": "before_rows_delete", "table_id": "{table}", "rows": gone},
        {"type": "rows_deleted", "table_id": "{table}", "row_ids": [4], "rows": gone},
    ]
    await stage.play(
        Step("create", "ann", f"POST {ROWS}", {"unknown": 1}, socket="here", answer=shown(4, 4, None),
             told=heard_by(OTHERS, {"type": "rows_created", "table_id": "{table}", "metadata": {},
                                          "rows": [shown(4, 4, None)], "before_row_id": None})),
        Step("get", "bob", f"GET {ROWS}4/", answer=shown(4, 4, None)),
        Step("update", "ann", f"PATCH {ROWS}4/{NAMED}", {"Done": "yes", "Num": 7.5, "Name": " n "}, socket="here",
             answer={"id": 4, "order": place(4), "Name": "n", "Num": "7.50", "Done": True, "When": None},
             told=heard_by(OTHERS, *update)),
        Step("get by names", "bob", f"GET {ROWS}4/{NAMED}&include=metadata", answer={"Name": "n", "metadata": {}}),
        Step("what changes nothing is told", "bob", f"PATCH {ROWS}4/", {"nothing": 1}, socket="bob",
             told={name: ["before_rows_update", {"type": "rows_updated", "updated_field_ids": []}]
                   for name in ("here", "there")}),
        Step("move", "ann", f"PATCH {ROWS}4/move/?before_id=1", socket="here", answer={"order": place(0.5)},
             told=heard_by(OTHERS, *moved)),
        Step("without a socket everybody is told", "ann", f"DELETE {ROWS}4/", status=204,
             told=heard_by(stage.sockets, *deleted)),
        Step("delete twice", "ann", f"DELETE {ROWS}4/", status=404,
             answer={**NO_ROW, "detail": "The rows ['4'] do not exist."}),
        Step("get deleted", "ann", f"GET {ROWS}4/", status=404, answer=NO_ROW),
        Step("its id is not given out again", "ann", f"POST {ROWS}{NAMED}", {"Name": "new"}, socket="here",
             answer={"id": 5, "order": place(4)}, told=heard_by(OTHERS, "rows_created")),
        Step("before a row", "ann", f"POST {ROWS}?before=1", {}, socket="here",
             answer={"id": 6, "order": place(2 / 3)},
             told=heard_by(OTHERS, {"type": "rows_created", "before_row_id": 1})),
        Step("to the end", "ann", f"PATCH {ROWS}6/move/{NAMED}", socket="here", answer={"order": place(5)},
             told=heard_by(OTHERS, "before_rows_update", "rows_updated")),
    )  # fmt: skip


async def test_batches_are_done_whole(server: Server) -> None:
    stage = await table_stage(server)
    items = [{"id": 4, "Name": "b"}, {"id": 5, "Num": 2}]
    await stage.play(
        Step("create", "ann", f"POST {ROWS}batch/{NAMED}&include_metadata=true", {"items": [{"Name": "a"}, {}]},
             socket="here", answer={"items": [{"id": 4, "Name": "a"}, {"id": 5, "Name": None}],
                                    "metadata": {"updated_field_ids": ["{name}"]}},
             told=heard_by(OTHERS, {"type": "rows_created", "before_row_id": None,
                                          "rows": [shown(4, 4, "a"), shown(5, 5, None)]})),
        Step("create before a row", "ann", f"POST {ROWS}batch/?before=1", {"items": [{}, {}]}, socket="here",
             answer={"items": [{"id": 6, "order": place(1 / 2)}, {"id": 7, "order": place(2 / 3)}]},
             told=heard_by(OTHERS, {"type": "rows_created", "before_row_id": 1})),
        Step("update", "ann", f"PATCH {ROWS}batch/{NAMED}&include_metadata=true", {"items": items}, socket="here",
             answer={"items": [{"id": 4, "Name": "b", "Num": None}, {"id": 5, "Name": None, "Num": "2.00"}],
                     "metadata": {"updated_field_ids": ["{name}", "{num}"], "cascade_update": {"rows": []}}},
             told=heard_by(OTHERS,
                 {"type": "before_rows_update", "rows": [shown(4, 4, "a"), shown(5, 5, None)]},
                 {"type": "rows_updated", "rows": [shown(4, 4, "b"), shown(5, 5, None, "2.00")],
                  "updated_field_ids": ["{name}", "{num}"]})),
        Step("it is kept", "bob", f"GET {ROWS}5/", answer=shown(5, 5, None, "2.00")),
        Step("one unknown: none is changed", "ann", f"PATCH {ROWS}batch/{NAMED}",
             {"items": [{"id": 4, "Name": "c"}, {"id": 999999}]}, 404,
             {**NO_ROW, "detail": "The rows [999999] do not exist."}),
        Step("one unknown: none is deleted", "ann", f"POST {ROWS}batch-delete/", {"items": [4, 999999]}, 404,
             {**NO_ROW, "detail": "The rows [999999] do not exist."}),
        Step("one wrong: none is made", "ann", f"POST {ROWS}batch/{NAMED}", {"items": [{"Name": "x"}, {"Num": "x"}]},
             400, {"detail": {"items": {"1": {"Num": [{"error": "A valid number is required.", "code": "invalid"}]}}}}),
        Step("unchanged", "bob", f"GET {ROWS}4/", answer=shown(4, 4, "b")),
        Step("delete", "ann", f"POST {ROWS}batch-delete/", {"items": [4, 5]}, 204, socket="here",
             told=heard_by(OTHERS, "before_rows_delete", {
                 "type": "rows_deleted", "row_ids": [4, 5], "rows": [shown(4, 4, "b"), shown(5, 5, None, "2.00")]})),
        Step("no id", "ann", f"PATCH {ROWS}batch/", {"items": [{"Name": "x"}]}, 400,
             {"detail": {"items": {"0": {"id": [{"error": "This field is required.", "code": "invalid"}]}}}}),
        Step("an id twice", "ann", f"PATCH {ROWS}batch/", {"items": [{"id": 1}, {"id": 1}]}, 400,
             {"error": "ERROR_ROW_IDS_NOT_UNIQUE", "detail": "The provided row ids [1] are not unique."}),
        Step("too many", "ann", f"POST {ROWS}batch/", {"items": [{}] * 201}, 400,
             {"detail": {"items": [{"error": "Ensure this field has no more than 200 elements.",
                                    "code": "max_length"}]}}),
        Step("none", "ann", f"POST {ROWS}batch/", {"items": []}, 400, {"detail": {"items": [{"code": "min_length"}]}}),
        Step("no object", "ann", f"POST {ROWS}batch/", {"items": ["x"]}, 400,
             {"detail": {"items": {"0": {"non_field_errors": [{"code": "invalid"}]}}}}),
        Step("no items", "ann", f"POST {ROWS}batch-delete/", {}, 400, {"detail": {"items": [{"code": "required"}]}}),
        Step("outsider", "eve", f"POST {ROWS}batch-delete/", {"items": [1]}, 400, OUTSIDER),
    )  # fmt: skip


async def test_refusals_are_told_to_nobody(server: Server) -> None:
    stage = await table_stage(server)
    wrong = {
        "Num": [{"error": "A valid number is required.", "code": "invalid"}],
        "Done": [{"error": "Must be a valid boolean.", "code": "invalid"}],
        "When": [{"error": "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.", "code": "invalid"}],
    }
    integer = [{"error": "A valid integer is required.", "code": "invalid"}]
    query = {"error": "ERROR_QUERY_PARAMETER_VALIDATION"}
    await stage.play(
        Step("wrong cells", "ann", f"PATCH {ROWS}1/{NAMED}", {"Name": "x", "Num": "abc", "Done": "maybe", "When": "x"},
             400, {"error": "ERROR_REQUEST_BODY_VALIDATION", "detail": wrong}),
        Step("by key", "ann", f"POST {ROWS}", {"field_{num}": 1.234}, 400,
             {"detail": {"field_{num}": [{"code": "max_decimal_places"}]}}),
        Step("null", "ann", f"PATCH {ROWS}1/{NAMED}", {"Done": None}, 400,
             {"detail": {"Done": [{"error": "This field may not be null.", "code": "null"}]}}),
        Step("no object", "ann", f"POST {ROWS}", [1], 400, {"detail": {"non_field_errors": [{"code": "invalid"}]}}),
        Step("unknown table", "ann", "GET /api/database/rows/table/999999/", status=404,
             answer={"error": "ERROR_TABLE_DOES_NOT_EXIST"}),
        Step("unknown row", "ann", f"PATCH {ROWS}999999/", {}, 404,
             {**NO_ROW, "detail": "The rows [999999] do not exist."}),
        Step("get unknown row", "ann", f"GET {ROWS}999999/", status=404,
             answer={**NO_ROW, "detail": "The rows ['999999'] do not exist."}),
        Step("before an unknown row", "ann", f"POST {ROWS}?before=999999", {}, 404,
             {**NO_ROW, "detail": "The rows [999999] do not exist."}),
        Step("before nonsense", "ann", f"POST {ROWS}?before=x", {}, 400, {**query, "detail": {"before": integer}}),
        Step("move before nonsense", "ann", f"PATCH {ROWS}1/move/?before_id=x", status=400,
             answer={**query, "detail": {"before_id": integer}}),
        Step("move before unknown", "ann", f"PATCH {ROWS}1/move/?before_id=999999", status=404, answer=NO_ROW),
        Step("move unknown", "ann", f"PATCH {ROWS}999999/move/", status=404, answer=NO_ROW),
        Step("history of an unknown row", "ann", f"GET {ROWS}999999/history/", status=404, answer=NO_ROW),
        *[Step(f"outsider: {call}", "eve", call, body, 400, OUTSIDER) for call, body in calls()],
    )  # fmt: skip


def calls() -> Iterator[tuple[str, Any]]:
    """Every request about a row."""
    for path in ("", "1/", "1/adjacent/", "1/history/"):
        yield f"GET {ROWS}{path}", None
    yield "GET /api/database/rows/names/?table__{table}=1", None
    yield f"POST {ROWS}", {}
    yield f"PATCH {ROWS}1/", {}
    yield f"PATCH {ROWS}1/move/", None
    yield f"DELETE {ROWS}1/", None


async def test_history_is_told_to_the_page_of_the_row_the_actor_included(server: Server) -> None:
    stage = await table_stage(server)
    for name, socket in stage.sockets.items():
        await socket.send({"remove_page": "table", "table_id": stage.names["table"]})
        if name != "there":
            await socket.subscribe("row", table_id=stage.names["table"], row_id=1)
    await stage.heard()
    entry = {
        "action_type": "update_rows", "action_command_type": "DO", "user": {"id": "{ann_id}", "name": "Ann Person"},
        "before": {"field_{name}": "r1", "field_{num}": None}, "after": {"field_{name}": "h", "field_{num}": "5.00"},
        "fields_metadata": {
            "field_{name}": {"id": "{name}", "type": "text"},
            "field_{num}": {"id": "{num}", "type": "number", "number_prefix": "", "number_suffix": "",
                            "number_negative": True, "number_separator": "", "number_decimal_places": 2}},
    }  # fmt: skip
    updated = {"type": "row_history_updated", "row_history_entry": entry, "table_id": "{table}", "row_id": 1}
    nothing: dict[str, Any] = {"action_type": "delete_row", "before": {}, "after": {}, "fields_metadata": {}}
    gone = {"type": "row_history_updated", "row_id": "1", "row_history_entry": nothing}
    pages = ("here", "bob")
    await stage.play(
        Step("update", "ann", f"PATCH {ROWS}1/{NAMED}", {"Name": "h", "Num": 5, "Done": False}, socket="here",
             told=heard_by(pages, updated)),
        Step("no change", "ann", f"PATCH {ROWS}1/{NAMED}", {"Name": "h"}, socket="here"),
        Step("another row", "ann", f"PATCH {ROWS}2/{NAMED}", {"Name": "h"}, socket="here"),
        Step("move", "ann", f"PATCH {ROWS}1/move/", socket="here"),
        Step("batch", "bob", f"PATCH {ROWS}batch/{NAMED}", {"items": [{"id": 2, "Name": "b"}, {"id": 1, "Name": "b"}]},
             socket="bob", told=heard_by(pages, {"type": "row_history_updated", "row_id": 1})),
        Step("list", "ann", f"GET {ROWS}1/history/", answer={"count": 2, "next": None, "previous": None, "results": [
            {"user": {"id": "{bob_id}"}, "after": {"field_{name}": "b"}}, entry]}),
        Step("page", "ann", f"GET {ROWS}1/history/?limit=1&offset=1", answer={
            "count": 2, "next": None, "previous": f"{server.url}{ROWS}1/history/?limit=1", "results": [entry]}),
        Step("create", "ann", f"POST {ROWS}{NAMED}", {"Name": "fresh", "Num": None}),
        Step("its history", "ann", f"GET {ROWS}4/history/", answer={"count": 1, "results": [{
            "action_type": "create_row", "before": {"field_{name}": None}, "after": {"field_{name}": "fresh"}}]}),
        Step("delete", "ann", f"DELETE {ROWS}1/", status=204, socket="here", told=heard_by(pages, gone)),
    )  # fmt: skip


async def test_both_pages_hear_the_rows_before_the_history(server: Server) -> None:
    stage = await table_stage(server)
    for socket in stage.sockets.values():
        await socket.subscribe("row", table_id=stage.names["table"], row_id=1)
    told = {name: ["before_rows_update", "rows_updated", "row_history_updated"] for name in OTHERS}
    gone = {name: ["before_rows_delete", "rows_deleted", "row_history_updated"] for name in OTHERS}
    own = {"here": ["row_history_updated"]}
    await stage.play(
        Step("update", "ann", f"PATCH {ROWS}1/{NAMED}", {"Name": "x"}, socket="here", told=told | own),
        Step("delete", "ann", f"DELETE {ROWS}1/", status=204, socket="here", told=gone | own),
    )  # fmt: skip


async def test_a_table_is_renumbered_when_no_place_is_left(server: Server) -> None:
    """Rows put alternately before the last and the one before it halve the gap until it is used up."""
    stage = await table_stage(server)
    ann, rows = stage.people["ann"], stage.resolve(ROWS)
    low, high, order = 1, 2, [1, 2, 3]
    for step in range(60):
        made = (await ann.ok("POST", f"{rows}?before={high}", {}))["id"]
        order.insert(order.index(high), made)
        low, high = (made, high) if step % 2 else (low, made)
        if step % 2:
            high = order[order.index(low) + 1]
    page = await ann.ok("GET", f"{rows}?size=200")
    assert [row["id"] for row in page["results"]] == order
    places = [float(row["order"]) for row in page["results"]]
    assert places == sorted(set(places))
    await stage.sockets["bob"].until(
        lambda: any(message["type"] == "row_orders_recalculated" for message in stage.sockets["bob"].messages)
    )
