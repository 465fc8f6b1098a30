"""Finalizing items, and what is booked of them."""

import asyncio
import time
import uuid
from typing import Any

from tests.support.app import Server
from tests.support.boards import SPACE_TIME, Board, Ears, brief, make_board
from tests.support.core_2026 import newcomer

ACCOUNTS = [{"number": "2440", "description": "Suppliers"}, {"number": "2640", "description": "Tax", "units": ["a"]}]
ENTRY = {
    "account": "5410",
    "debit": "230.00",
    "credit": "0.00",
    "dimensions": {"cost_center": "99", "project": "Project 1"},
    "transaction_information": "chairs",
}
BOOKED = {"account": "5410", "debit": "230.00", "credit": "0.00", "cost_center": "99", "project": "Project 1"}
ENTRY_KEYS = [
    "id", "account", "debit", "credit", "created_at", "updated_at", "cost_center", "project",
    "transaction_information", "is_accrual", "item_id",
]  # fmt: skip


async def test_post_items_finalize(board: Board, ears: Ears) -> None:
    ann, (inbox, _, archive) = board.ann, board.columns
    for name, kind in (("Supplier Name", "Text"), ("Total", "Amount")):
        await board.field(name, kind)
    item = await board.item()
    path = f"/items/{item['id']}"
    await ann.ok("PUT", f"{path}/values", [{"field_name": "Total", "value": "1"}])
    await ann.ok("PATCH", path, {"locked_by_user_id": ann.id})
    await ears.rest()
    values = [{"field_name": "Supplier Name", "value:": "Acme Inc."}, {"field_name": "Total", "value": "115,5"}]
    body = {"values": values, "accounting": [ENTRY], "classification": "SUPPLIER_INVOICE"}
    shown = await ann.ok("POST", f"{path}/finalize", body)
    changed = {"state": "finalized", "column_id": archive, "document_type": "SUPPLIER_INVOICE"}
    assert shown == item | changed | {"updated_at": shown["updated_at"], "values": shown["values"]}
    assert [(value["field_name"], value["value"]) for value in shown["values"]] == [("Total", "115.50")]
    told = await ears.rest()
    assert told[0] == ("item-updated", shown)
    assert brief(told[1:]) == [("column-patched", inbox, 0), ("column-patched", archive, 1)]
    assert await ann.ok("GET", path) == shown
    (entry,) = await ann.ok("GET", f"{path}/accountings")
    assert list(entry) == ENTRY_KEYS and entry == entry | BOOKED | {"item_id": item["id"], "is_accrual": False}
    assert uuid.UUID(entry["id"]) and time.strptime(entry["created_at"], SPACE_TIME)


async def test_a_finalized_item_is_only_read(board: Board, ears: Ears) -> None:
    ann, item = board.ann, await board.item()
    await board.field("Total", "Amount")
    path = f"/items/{item['id']}"
    (value,) = await ann.ok("PUT", f"{path}/values", [{"field_name": "Total", "value": "1"}])
    shown = await ann.ok("POST", f"{path}/finalize", {})
    assert (shown["state"], shown["document_type"]) == ("finalized", None)
    await ears.rest()
    before = await board.position()
    for method, place, body in (
        ("POST", f"{path}/finalize", {}),
        ("PUT", f"{path}/values", [{"field_name": "Total", "value": "2"}]),
        ("PATCH", f"/values/{value['id']}", {"value": "2"}),
        ("PATCH", path, {"name": "x"}),
        ("PATCH", path, {"column_id": board.columns[0]}),
        ("PATCH", path, {"locked_by_user_id": ann.id}),
        ("PATCH", path, {"state": "uploaded"}),
        ("DELETE", path, None),
    ):
        answer = await ann.request(method, place, body)
        assert (answer.status, answer.body) == (409, {"message": "The item is finalized."}), (method, place, body)
    assert await board.position() == before and await ears.rest() == []
    assert await ann.ok("GET", path) == shown


async def test_finalizing_in_the_archive_moves_nothing(board: Board, ears: Ears) -> None:
    item = await board.item(column=2)
    await ears.rest()
    shown = await board.ann.ok("POST", f"/items/{item['id']}/finalize", {})
    assert await ears.rest() == [("item-updated", shown)]


async def test_only_one_of_several_finalizations_counts(board: Board, ears: Ears) -> None:
    item = await board.item()
    await ears.rest()
    calls = [board.ann.request("POST", f"/items/{item['id']}/finalize", {}) for _ in range(4)]
    assert sorted([answer.status for answer in await asyncio.gather(*calls)]) == [200, 409, 409, 409]
    assert len(await ears.rest()) == 3


async def test_the_classification_names_the_workflow_whose_archive_takes_the_item(board: Board, ears: Ears) -> None:
    ann, item = board.ann, await board.item()
    own = await board.field("Total", "Amount")
    body = {"collection_id": board.collection["id"], "name": "Receipts", "classification": "RECEIPT"}
    receipts = await ann.ok("POST", "/workflows", body)
    archive = receipts["columns"][2]["id"]
    await ears.rest()
    shop = {"workflow_id": receipts["id"], "name": "Shop", "field_type_id": own["field_type_id"]}
    await ann.ok("POST", "/fields", shop)
    values = [{"field_name": "Shop", "value": "1"}, {"field_name": "Total", "value": "2"}]
    shown = await ann.ok("POST", f"/items/{item['id']}/finalize", {"classification": "RECEIPT", "values": values})
    assert (shown["column_id"], shown["document_type"], len(shown["values"])) == (archive, "RECEIPT", 2)
    assert brief(await ears.rest()) == [
        ("item-updated", item["id"]),
        ("column-patched", board.columns[0], 0),
        ("column-patched", archive, 1),
    ]


async def test_required_fields_need_a_valid_value(board: Board, ears: Ears) -> None:
    ann, item = board.ann, await board.item()
    await board.field("Invoice Number")
    for name in ("Total", "VAT"):
        await board.field(name, "Amount", required=True)
    await ears.rest()
    path = f"/items/{item['id']}"
    for values, missing in (
        ([], "Total, VAT"),
        ([{"field_name": "Total", "value": "x"}, {"field_name": "VAT", "value": ""}], "Total, VAT"),
        ([{"field_name": "Total", "value": "1"}], "VAT"),
    ):
        answer = await ann.request("POST", f"{path}/finalize", {"values": values})
        message = f"values: No valid value of the required {missing}."
        assert (answer.status, answer.body) == (400, {"message": message})
    assert await ears.rest() == []
    assert await ann.ok("GET", path) == item
    values = [{"field_name": "Total", "value": "1"}, {"field_name": "VAT", "value": "2", "column_index": 0}]
    assert (await ann.ok("POST", f"{path}/finalize", {"values": values}))["state"] == "finalized"


async def test_refused_finalizations_leave_nothing(server: Server, board: Board, ears: Ears) -> None:
    ann, eve, item = board.ann, await make_board(await newcomer(server, "Eve")), await board.item()
    body = {"collection_id": board.collection["id"], "name": "Receipts", "classification": "RECEIPT"}
    receipts = await ann.ok("POST", "/workflows", body)
    await ann.ok("DELETE", f"/columns/{receipts['columns'][2]['id']}")
    await ears.rest()
    path = f"/items/{item['id']}/finalize"
    cases: list[tuple[Any, int, str]] = [
        ([], 400, "non_field_errors: Invalid data."),
        ({"values": {}}, 400, "values: Expected a list of items"),
        ({"values": [{"field_name": "Nothing", "value": "1"}]}, 400, "values: 0: The item has no such field"),
        ({"accounting": [{"debit": "1"}]}, 400, "accounting: 0: account: This field is required."),
        ({"accounting": [{"account": "1", "debit": "much"}]}, 400, "accounting: 0: debit: Enter an amount such as"),
        ({"accounting": [{"account": "1", "dimensions": 5}]}, 400, "accounting: 0: dimensions: Expected a dictionary"),
        ({"classification": "LETTER"}, 400, 'classification: "LETTER" is not a valid choice.'),
        ({"classification": "OTHER"}, 400, "classification: The collection has no workflow of this classification."),
        ({"classification": "RECEIPT"}, 409, "The workflow has no archive column."),
    ]
    for wrong, status, words in cases:
        answer = await ann.request("POST", path, wrong)
        assert answer.status == status and answer.body["message"].startswith(words), (wrong, answer)
    assert (await eve.ann.request("POST", path, {})).status == 403
    assert (await server.request("POST", path, {})).status == 401
    assert (await ann.request("POST", f"/items/{uuid.uuid4()}/finalize", {})).status == 404
    answer = await ann.request("PATCH", f"/items/{item['id']}", {"state": "finalized"})
    assert (answer.status, answer.body["message"][:7]) == (400, "state: ")
    assert await ears.rest() == [] and await ann.ok("GET", f"/items/{item['id']}") == item


# ---- accounts


async def test_put_collections_accounts_and_predefined_accounts(server: Server, board: Board, ears: Ears) -> None:
    ann, eve = board.ann, await newcomer(server, "Eve")
    path = f"/collections/{board.collection['id']}"
    assert await ann.ok("PUT", f"{path}/accounts", ACCOUNTS) == ACCOUNTS
    assert await ann.ok("GET", f"{path}/accounts") == (await ann.ok("GET", path))["accounts"] == ACCOUNTS
    predefined = [{"account": "2440", "name": "Total"}, {"account": "2640", "name": "VAT"}]
    assert await ann.ok("PUT", f"{path}/predefined_accounts", predefined) == predefined
    assert await ann.ok("GET", f"{path}/predefined_accounts") == predefined
    cases: list[tuple[str, Any, str]] = [
        ("accounts", {}, "accounts: Expected a list of items"),
        ("accounts", [ACCOUNTS[0], {"description": "x"}], "accounts: 1: number: This field is required."),
        ("accounts", [ACCOUNTS[0]] * 2, "accounts: number: 2440 stands there more than once."),
        ("accounts", [{"number": "1", "other": "\0"}], "accounts: 0: Null characters are not allowed."),
        ("accounts", [{"number": "1", "other": 2**70}], "accounts: 0: Value must be valid JSON."),
        ("predefined_accounts", [{"account": "9999", "name": "VAT"}], "predefined_accounts: 0: account: The"),
        ("predefined_accounts", [{"account": "2440", "name": "Tip"}], "predefined_accounts: 0: name: "),
        ("predefined_accounts", [predefined[0]] * 2, "predefined_accounts: name: Total stands there more than once."),
    ]  # fmt: skip
    for name, body, words in cases:
        answer = await ann.request("PUT", f"{path}/{name}", body)
        assert answer.status == 400 and answer.body["message"].startswith(words), answer
    for name in ("accounts", "predefined_accounts"):
        for method, body in (("GET", None), ("PUT", [])):
            assert (await eve.request(method, f"{path}/{name}", body)).status == 403
            assert (await ann.request(method, f"/collections/{uuid.uuid4()}/{name}", body)).status == 404
    assert (await ann.ok("GET", path))["accounts"] == ACCOUNTS
    assert await ann.ok("GET", f"{path}/predefined_accounts") == predefined
    assert await ann.ok("PUT", f"{path}/accounts", []) == []
    assert await ears.rest() == []


async def test_get_items_accountings_and_predefined_accountings(server: Server, board: Board) -> None:
    ann, eve = board.ann, await newcomer(server, "Eve")
    accounts = [{"number": number} for number in ("2440", "2640", "3740")]
    await ann.ok("PUT", f"/collections/{board.collection['id']}/accounts", accounts)
    predefined = [
        {"account": number, "name": name} for number, name in (("2440", "Total"), ("2640", "VAT"), ("3740", "Rounding"))
    ]
    await ann.ok("PUT", f"/collections/{board.collection['id']}/predefined_accounts", predefined)
    for name in ("Total", "VAT", "Rounding"):
        await board.field(name, "Amount")
    values = [{"field_name": name, "value": value} for name, value in (("Total", "115,50"), ("Rounding", "-0,5"))]
    item = await ann.ok("POST", "/items", {"column_id": board.columns[0], "name": "x", "values": values})
    path = f"/items/{item['id']}"
    entries = await ann.ok("GET", f"{path}/predefined_accountings")
    assert all(list(entry) == ENTRY_KEYS and entry["item_id"] == item["id"] for entry in entries)
    assert [(entry["account"], entry["debit"], entry["credit"]) for entry in entries] == [
        ("2440", "0.00", "115.50"),
        ("2640", None, None),
        ("3740", "0.00", "0.50"),
    ]
    assert await ann.ok("GET", f"{path}/predefined_accountings") == entries, "ids stay"
    for word in ("NaN", "much"):
        await ann.ok("PUT", f"{path}/values", [{"field_name": "VAT", "value": word}])
        tax = (await ann.ok("GET", f"{path}/predefined_accountings"))[1]
        assert (tax["debit"], tax["credit"]) == (None, None)
    assert await ann.ok("GET", f"{path}/accountings") == []
    await ann.ok("PATCH", path, {"document_type": "RECEIPT"})
    assert await ann.ok("GET", f"{path}/predefined_accountings") == [], "supplier invoices only"
    await ann.ok("PATCH", path, {"document_type": None})
    await ann.ok("POST", f"{path}/finalize", {"accounting": entries})
    booked = await ann.ok("GET", f"{path}/accountings")
    assert [(entry["account"], entry["credit"]) for entry in booked] == [
        ("2440", "115.50"),
        ("2640", None),
        ("3740", "0.50"),
    ]
    for name in ("accountings", "predefined_accountings"):
        assert (await eve.request("GET", f"{path}/{name}")).status == 403
        assert (await ann.request("GET", f"/items/{uuid.uuid4()}/{name}")).status == 404
