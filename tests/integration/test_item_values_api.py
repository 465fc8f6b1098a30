"""Values of items: merged, formatted, validated, told once; and what is refused without a trace."""

import asyncio
import logging
import uuid
from typing import Any

import pytest

from server.rest.context import SANDBOX
from tests.support.app import Server
from tests.support.boards import Board, Ears, make_board
from tests.support.core_2026 import newcomer

KEYS = [
    "id", "value", "extracted", "count", "page_number", "location", "field_id", "valid", "column_index", "algorithm",
    "confidence", "field_name",
]  # fmt: skip
CORNERS = [{"x": 0.25, "y": 0.5}, {"x": 0.25, "y": 0.75}, {"x": 0.5, "y": 0.5}, {"x": 0.5, "y": 1.0}]
ENDLESS = ["REGEXP_MATCH", "^(a+)+$", "VALUE"]


def brief(values: list[dict[str, Any]]) -> list[tuple[str, int | None, str, bool]]:
    return [(each["field_name"], each["column_index"], each["value"], each["valid"]) for each in values]


async def test_put_items_values(board: Board, ears: Ears) -> None:
    ann, total = board.ann, await board.field("Total", "Amount")
    await board.field("Invoice Date", "Date")
    item = await board.item()
    path = f"/items/{item['id']}"
    await ears.rest()
    given = [{"field_id": total["id"], "value": "1 234,5"}, {"field_name": "Invoice Date", "value": "soon"}]
    values = await ann.ok("PUT", f"{path}/values", given)
    assert brief(values) == [("Total", None, "1234.50", True), ("Invoice Date", None, "soon", False)]
    assert list(values[0]) == KEYS and str(uuid.UUID(values[0]["id"])) == values[0]["id"]
    told = {"extracted": None, "count": 1, "page_number": None, "location": None, "algorithm": None, "confidence": None}
    assert values[0] == values[0] | told | {"field_id": total["id"]}
    shown = await ann.ok("GET", path)
    assert shown == item | {"values": values, "updated_at": shown["updated_at"]}
    assert shown["updated_at"] > item["updated_at"]
    assert await ears.rest() == [("item-updated", shown)]

    again = await ann.ok("PUT", f"{path}/values", [{"field_name": "Invoice Date", "value": "21.11.2026"}])
    assert brief(again) == [("Total", None, "1234.50", True), ("Invoice Date", None, "2026-11-21", True)]
    assert [each["id"] for each in again] == [each["id"] for each in values], "a value stays the same thing"
    ((_, told_item),) = await ears.rest()
    assert told_item["values"] == again

    for nothing in ([], given[:1], [{"field_name": "Total"}], [{"field_name": "Total", "value:": "5"}]):
        assert await ann.ok("PUT", f"{path}/values", nothing) == again
    assert await ears.rest() == [], "what changes nothing has no event"
    (left,) = await ann.ok("PUT", f"{path}/values", [{"field_name": "Total", "value": None}])
    assert left == again[1]
    ((_, told_item),) = await ears.rest()
    assert told_item["values"] == [left]


async def test_put_items_values_of_line_items(board: Board, ears: Ears) -> None:
    """Each row has its own value of a field; what is given twice counts as it was given last."""
    ann, item = board.ann, await board.item()
    for name in ("Description", "Quantity"):
        await board.field(name)
    rows = [
        {"field_name": name, "value": f"{name[0]}{row}", "column_index": row}
        for row in (1, 0)
        for name in ("Quantity", "Description")
    ]
    await ears.rest()
    path = f"/items/{item['id']}/values"
    values = await ann.ok(
        "PUT", path, [*rows, {"field_name": "Description", "value": "header"}, rows[0] | {"value": 7}]
    )
    assert brief(values) == [
        ("Description", None, "header", True),
        ("Description", 0, "D0", True),
        ("Description", 1, "D1", True),
        ("Quantity", 0, "Q0", True),
        ("Quantity", 1, "7", True),
    ]
    values = await ann.ok("PUT", path, [rows[0] | {"value": None}, {"field_name": "Quantity", "value": None}])
    assert len(values) == 4
    assert [name for name, _ in await ears.rest()] == ["item-updated"] * 2


async def test_put_items_values_with_what_a_reader_knows(board: Board) -> None:
    await board.field("Total", "Amount")
    item = await board.item()
    known = {
        "extracted": "1 234,5 kr", "count": 2, "page_number": 0, "location": CORNERS, "algorithm": "q",
        "confidence": 0.5,
    }  # fmt: skip
    path = f"/items/{item['id']}/values"
    (value,) = await board.ann.ok("PUT", path, [{"field_name": "Total", "value": "1234,5", **known}])
    assert value == value | known | {"value": "1234.50"}
    (value,) = await board.ann.ok("PUT", path, [{"field_name": "Total", "value": "99"}])
    assert value == value | known | {"value": "99.00"}, "what was read stays beside what is right"
    assert (await board.ann.ok("GET", f"/items/{item['id']}"))["values"] == [value]


async def test_patch_values(board: Board, ears: Ears) -> None:
    ann, item = board.ann, await board.item()
    await board.field("Total", "Amount")
    path = f"/items/{item['id']}/values"
    row = {"field_name": "Total", "value": "x", "column_index": 3}
    first, second = await ann.ok("PUT", path, [{"field_name": "Total", "value": "1"}, row])
    await ears.rest()
    changed = await ann.ok("PATCH", f"/values/{second['id']}", {"value": "2,5", "confidence": 1})
    assert changed == second | {"value": "2.50", "valid": True, "confidence": 1.0}
    ((name, told),) = await ears.rest()
    assert (name, told["id"], told["values"]) == ("item-updated", item["id"], [first, changed])
    assert await ann.ok("PATCH", f"/values/{second['id']}", {"value": "2.5"}) == changed
    assert await ann.ok("PATCH", f"/values/{second['id']}", {}) == changed
    emptied = await ann.ok("PATCH", f"/values/{first['id']}", {"value": ""})
    assert (emptied["value"], emptied["valid"]) == ("", True)
    assert len(await ears.rest()) == 1


async def test_post_items_with_values(board: Board, ears: Ears) -> None:
    await board.field("Total", "Amount")
    body = {"collection_id": board.collection["id"], "name": "x", "values": [{"field_name": "Total", "value": "5"}]}
    made = await board.ann.ok("POST", "/items", body)
    assert brief(made["values"]) == [("Total", None, "5.00", True)]
    assert await board.ann.ok("GET", "/items") == [made]
    told = await ears.rest()
    assert [name for name, _ in told] == ["item-updated", "column-patched"] and told[0][1] == made


async def test_values_cost_few_queries(board: Board, caplog: pytest.LogCaptureFixture) -> None:
    """As many for a thousand values, and for a page of items, as for one."""
    ann = board.ann
    for number in range(3):
        await board.field(f"Field {number}", "Number")

    async def queries(method: str, path: str, body: Any = None) -> int:
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "peewee"):
            await ann.ok(method, path, body)
        asked = [record for record in caplog.records if record.name == "peewee"]
        return sum("relay" not in str(record.threadName) for record in asked)  # which looks at the log once a second

    def rows(count: int) -> list[dict[str, Any]]:
        return [{"field_name": f"Field {row % 3}", "value": f"{row}", "column_index": row // 3} for row in range(count)]

    def new_item(count: int) -> dict[str, Any]:
        return {"column_id": board.columns[0], "name": "x", "values": rows(count)}

    assert 0 < await queries("POST", "/items", new_item(1)) == await queries("POST", "/items", new_item(900))
    item = await board.item()
    path = f"/items/{item['id']}/values"
    assert 0 < await queries("PUT", path, rows(1)) == await queries("PUT", path, rows(900))
    one = await queries("GET", "/items?limit=1")
    for number in range(5):
        await ann.ok("POST", "/items", new_item(number + 1))
    assert 0 < await queries("GET", "/items") == one
    counts = [len(each["values"]) for each in await ann.ok("GET", "/items")]
    assert counts == [1, 900, 900, 1, 2, 3, 4, 5]
    answer = await ann.request(
        "PUT", path, [{"field_name": "Field 0", "value": "x", "column_index": 1000 + row} for row in range(101)]
    )
    assert (answer.status, answer.body["message"]) == (400, "values: An item has at most 1000 values.")


async def test_the_values_of_an_item_are_so_long_in_all(board: Board) -> None:
    """Every change of the item tells them all, and a list has those of 200 items."""
    await board.field("Text")
    path, most = f"/items/{(await board.item())['id']}/values", 1 << 18
    rows = [{"field_name": "Text", "value": "x" * 4096, "column_index": row} for row in range(most // 4096 - 1)]
    await board.ann.ok("PUT", path, [*rows, {"field_name": "Text", "value": "x", "extracted": "y" * 4095}])
    before = await board.position()
    for more in ({"column_index": 9999, "value": "x"}, {"column_index": 0, "extracted": "x"}):
        answer = await board.ann.request("PUT", path, [{"field_name": "Text"} | more])
        words = f"values: The values of an item have at most {most} characters in all."
        assert (answer.status, answer.body["message"], await board.position()) == (400, words, before)
    await board.ann.ok("PUT", path, [{"field_name": "Text", "column_index": 0, "value": "x", "extracted": "y" * 4095}])


async def test_refused_values_leave_nothing(server: Server, board: Board, ears: Ears) -> None:
    ann, eve = board.ann, await make_board(await newcomer(server, "Eve"))
    other, field = await make_board(ann), await board.field("Total", "Amount")
    foreign = await other.field("Elsewhere")
    item, gone = await board.item(), await board.item("Gone")
    await ann.ok("DELETE", f"/items/{gone['id']}")
    (value,) = await ann.ok("PUT", f"/items/{item['id']}/values", [{"field_name": "Total", "value": "1"}])
    kind = {"workspace_id": board.uuid, "name": "Endless", "validator": ENDLESS}
    endless = await ann.ok("POST", "/field_types", kind)
    await board.field("Endless", field_type_id=endless["id"])
    await ears.rest()
    before = await board.position()
    put, patch, good = f"/items/{item['id']}/values", f"/values/{value['id']}", {"field_name": "Total", "value": "2"}
    cases: list[tuple[str, str, Any, int, str]] = [
        ("PUT", put, {}, 400, 'values: Expected a list of items but got type "dict".'),
        ("PUT", put, [good, 5], 400, "values: 1: non_field_errors: Invalid data."),
        ("PUT", put, [good, {"value": "2"}], 400, "values: 1: The item has no such field"),
        ("PUT", put, [good, good | {"field_name": "total"}], 400, "values: 1: The item has no such field"),
        ("PUT", put, [good | {"field_id": foreign["id"]}], 400, "values: 0: The item has no such field"),
        ("PUT", put, [good | {"field_id": None}], 400, "values: 0: field_id: This field may not be null."),
        ("PUT", put, [good | {"value": ["x"]}], 400, "values: 0: value: Not a valid string."),
        ("PUT", put, [good | {"value": "x" * 4097}], 400, "values: 0: value: Ensure this field has no more than"),
        ("PUT", put, [good | {"value": "\0"}], 400, "values: 0: value: Null characters are not allowed."),
        ("PUT", put, [good | {"column_index": -1}], 400, "values: 0: column_index: Ensure this value is"),
        ("PUT", put, [good | {"location": CORNERS[:3]}], 400, "values: 0: location: Ensure this field has at least 4"),
        ("PUT", put, [good | {"location": [{"x": 2, "y": 0}] * 4}], 400, "values: 0: location: 0: x: A number from 0"),
        ("PUT", put, [good | {"confidence": True}], 400, "values: 0: confidence: A number from 0 to 1 is required."),
        ("PUT", put, [good] * 1001, 400, "values: Ensure this field has no more than 1000 elements."),
        ("PUT", put, [good, {"field_name": "Endless", "value": "a" * 40 + "b"}], 400, "values: "),
        ("PUT", f"/items/{gone['id']}/values", [good], 404, "The item does not exist."),
        ("PUT", f"/items/{uuid.uuid4()}/values", [good], 404, "The item does not exist."),
        ("PATCH", patch, {"value": None}, 400, "value: This field may not be null."),
        ("PATCH", patch, {"count": -1}, 400, "count: Ensure this value is"),
        ("PATCH", f"/values/{uuid.uuid4()}", {"value": "x"}, 404, "The value does not exist."),
        ("POST", "/items", {"column_id": board.columns[0], "name": "x", "values": [{}]}, 400, "values: 0: The"),
    ]  # fmt: skip
    for method, path, body, status, words in cases:
        answer = await ann.request(method, path, body)
        assert (answer.status, list(answer.body)) == (status, ["message"]), (method, path, body, answer.body)
        assert answer.body["message"].startswith(words), answer.body
    for method, path, body in (("PUT", put, [good]), ("PATCH", patch, {"value": "x"})):
        assert (await eve.ann.request(method, path, body)).status == 403
        assert (await server.request(method, path, body)).status == 401
    assert await board.position() == before and await ears.rest() == []
    assert (await ann.ok("GET", f"/items/{item['id']}"))["values"] == [value]
    assert await ann.ok("GET", f"/fields?workflow_id={field['workflow_id']}") != []
    assert len(await ann.ok("GET", f"/items?column_id={board.columns[0]}")) == 1


async def test_a_lock_keeps_others_from_the_values(server: Server, board: Board, ears: Ears) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace)
    await board.field("Total", "Amount")
    item = await board.item()
    path, given = f"/items/{item['id']}", [{"field_name": "Total", "value": "1"}]
    (value,) = await ann.ok("PUT", f"{path}/values", given)
    await bob.ok("PATCH", path, {"locked_by_user_id": bob.id})
    await ears.rest()
    for method, place, body in (
        ("PUT", f"{path}/values", given),
        ("PATCH", f"/values/{value['id']}", {"value": "2"}),
        ("POST", f"{path}/finalize", {}),
    ):
        answer = await ann.request(method, place, body)
        assert (answer.status, answer.body) == (409, {"message": "The item is locked by another user."})
    assert await ears.rest() == []
    assert (await bob.ok("PATCH", f"/values/{value['id']}", {"value": "3"}))["value"] == "3.00"
    assert len(await ears.rest()) == 1


async def test_a_field_type_that_changes_meanwhile_is_asked_again(
    board: Board, ears: Ears, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the question and the change the workspace is not locked: the change must not be made with the answer of
    expressions that are no longer the field's."""
    ann, sandbox = board.ann, board.ann.server.app[SANDBOX]
    kind = {"workspace_id": board.uuid, "name": "Order", "formatter": ["UPPER", "VALUE"], "validator": None}
    kind = await ann.ok("POST", "/field_types", kind)
    await board.field("Order", field_type_id=kind["id"])
    item = await board.item()
    await ears.rest()
    evaluate, asked = sandbox.run, []

    async def run_late(task: str, *args: Any, **more: Any) -> Any:
        answers = await evaluate(task, *args, **more)
        if task == "check_values":
            asked.append(args)
            if len(asked) == 1:
                await ann.ok("PATCH", f"/field_types/{kind['id']}", {"formatter": ["CONCAT", "PO-", "VALUE"]})
        return answers

    monkeypatch.setattr(sandbox, "run", run_late)
    (value,) = await ann.ok("PUT", f"/items/{item['id']}/values", [{"field_name": "Order", "value": "x"}])
    assert (value["value"], len(asked)) == ("PO-x", 2)
    assert len(await ears.rest()) == 1
    await ann.ok("PATCH", f"/field_types/{kind['id']}", {"formatter": None})
    assert (await ann.ok("GET", f"/items/{item['id']}"))["values"] == [value], "it counts for what is written next"
    (value,) = await ann.ok("PUT", f"/items/{item['id']}/values", [{"field_name": "Order", "value": "y"}])
    assert (value["value"], len(asked)) == ("y", 2), "without expressions nobody is asked"


async def test_values_written_at_once_are_all_kept(board: Board, ears: Ears) -> None:
    for number in range(8):
        await board.field(f"Field {number}", "Number")
    item = await board.item()
    await ears.rest()
    path = f"/items/{item['id']}/values"
    puts = (board.ann.ok("PUT", path, [{"field_name": f"Field {number}", "value": f"{number}"}]) for number in range(8))
    await asyncio.gather(*puts)
    told = [item["values"] for _, item in await ears.rest()]
    assert [len(values) for values in told] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert (await board.ann.ok("GET", f"/items/{item['id']}"))["values"] == told[-1]


async def test_a_formatter_that_writes_nul_leaves_the_value_as_it_was(board: Board) -> None:
    ann, item = board.ann, await board.item()
    kind = {"workspace_id": board.uuid, "name": "Odd", "formatter": ["REGEXP_REPLACE", "a", r"\0", "VALUE"]}
    made = await ann.ok("POST", "/field_types", kind)
    field = {"workflow_id": board.workflow["id"], "field_type_id": made["id"], "name": "Odd"}
    await ann.ok("POST", "/fields", field)
    (value,) = await ann.ok("PUT", f"/items/{item['id']}/values", [{"field_name": "Odd", "value": "abc"}])
    assert value["value"] == "abc"
