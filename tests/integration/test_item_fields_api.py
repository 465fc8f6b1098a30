"""Field types, fields and templates of the items API."""

import time
import uuid
from typing import Any

import pytest

from server.actions.shared_field_types import SHARED, id_of
from tests.support.app import Server
from tests.support.boards import SPACE_TIME, Board, Ears, make_board
from tests.support.core_2026 import newcomer

EMAIL = {
    "id": "3334fe76-5e70-4256-8bb2-1dfe6bdc0eb0",
    "name": "E-mail Address",
    "workspace_id": None,
    "formatter": ["VALUE"],
    "validator": ["REGEXP_MATCH", "^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+$", "VALUE"],
    "shared": True,
}
TYPE_KEYS = ["id", "created_at", "updated_at", "name", "workspace_id", "formatter", "validator", "shared"]


async def test_get_field_types_shared(board: Board) -> None:
    shown = await board.ann.ok("GET", "/field_types/shared")
    assert [each["name"] for each in shown] == [kind.name for kind in SHARED.values()]
    assert all(list(each) == TYPE_KEYS and time.strptime(each["created_at"], SPACE_TIME) for each in shown)
    (email,) = [each for each in shown if each["id"] == EMAIL["id"]]
    assert {key: email[key] for key in EMAIL} == EMAIL
    assert (await board.ann.server.request("GET", "/field_types/shared")).status == 401


async def test_get_and_post_fields(board: Board, ears: Ears) -> None:
    body = {
        "field_type_id": EMAIL["id"],
        "workflow_id": board.workflow["id"],
        "name": "Sender",
        "shared": False,
        "required": True,
    }
    answer = await board.ann.request("POST", "/fields", body)
    assert answer.status == 201
    assert answer.body == body | {"id": str(uuid.UUID(answer.body["id"]))}
    assert list(answer.body) == ["id", "field_type_id", "workflow_id", "shared", "name", "required"]
    second = await board.field("Total", "Amount")
    assert (second["shared"], second["required"]) == (False, False)
    assert await board.ann.ok("GET", f"/fields?workflow_id={board.workflow['id']}") == [answer.body, second]
    assert await board.ann.ok("GET", "/fields") == [answer.body, second]
    assert await ears.rest() == [], "fields have no event"


async def test_fields_are_changed_and_deleted_while_no_item_has_a_value(board: Board, ears: Ears) -> None:
    ann, field = board.ann, await board.field("Totl", "Amount")
    path = f"/fields/{field['id']}"
    changed = await ann.ok("PATCH", path, {"name": "Total", "shared": True})
    assert changed == field | {"name": "Total", "shared": True}
    assert await ann.ok("PATCH", path, {}) == changed
    assert await ears.rest() == []
    item = await board.item()
    await ann.ok("PUT", f"/items/{item['id']}/values", [{"field_name": "Total", "value": "1"}])
    assert len(await ears.rest()) == 3
    before = await board.position()
    for method, body in (("PATCH", {"name": "Sum"}), ("DELETE", None)):
        answer = await ann.request(method, path, body)
        assert (answer.status, answer.body) == (409, {"message": "Items have values of this field."})
    assert await ann.ok("PATCH", path, {"name": "Total", "required": True}) == changed | {"required": True}
    assert await board.position() == before
    await ann.ok("DELETE", f"/items/{item['id']}")
    assert (await ann.request("DELETE", path)).status == 204
    assert (await ann.request("DELETE", path)).body == {"message": "The field does not exist."}
    assert await ann.ok("GET", "/fields") == []
    assert (await ann.ok("GET", f"/items/{item['id']}"))["values"] == []


async def test_shared_fields_serve_the_other_workflows_of_a_collection(board: Board) -> None:
    ann = board.ann
    shared, own = await board.field("Project", shared=True), await board.field("Total", "Amount")
    body = {"collection_id": board.collection["id"], "name": "Receipts", "classification": "RECEIPT"}
    receipts = await ann.ok("POST", "/workflows", body)
    assert await ann.ok("GET", f"/fields?workflow_id={board.workflow['id']}") == [shared, own]
    assert await ann.ok("GET", f"/fields?workflow_id={receipts['id']}") == [shared]
    item = await ann.ok("POST", "/items", {"column_id": receipts["columns"][0]["id"], "name": "x"})
    path = f"/items/{item['id']}/values"
    assert (await ann.request("PUT", path, [{"field_name": "Total", "value": "1"}])).status == 400
    (value,) = await ann.ok("PUT", path, [{"field_name": "Project", "value": "P"}])
    assert value["field_id"] == shared["id"]
    mine = await ann.ok(
        "POST", "/fields", {"workflow_id": receipts["id"], "name": "Project", "field_type_id": id_of("Text")}
    )
    values = await ann.ok("PUT", path, [{"field_name": "Project", "value": "own"}])
    assert [(each["field_id"], each["value"]) for each in values] == [(shared["id"], "P"), (mine["id"], "own")]


async def test_own_field_types_of_a_workspace(board: Board, ears: Ears) -> None:
    ann = board.ann
    body = {"name": "Order", "formatter": ["UPPER", "VALUE"], "validator": ["REGEXP_MATCH", "^PO", "VALUE"]}
    answer = await ann.request("POST", "/field_types", body | {"workspace_id": board.workspace})
    assert answer.status == 201
    made = answer.body
    assert made == made | body | {"workspace_id": board.uuid, "shared": False}
    assert list(made) == TYPE_KEYS
    assert (
        await ann.ok("GET", "/field_types") == await ann.ok("GET", f"/field_types?workspace_id={board.uuid}") == [made]
    )
    path = f"/field_types/{made['id']}"
    changed = await ann.ok("PATCH", path, {"name": "Order Number", "formatter": None})
    assert changed == made | {"name": "Order Number", "formatter": None, "updated_at": changed["updated_at"]}
    field = await board.field("Order", field_type_id=made["id"])
    answer = await ann.request("DELETE", path)
    assert (answer.status, answer.body) == (409, {"message": "A field has this type."})
    await ann.ok("DELETE", f"/fields/{field['id']}")
    assert (await ann.request("DELETE", path)).status == 204
    assert await ann.ok("GET", "/field_types") == []
    assert await ears.rest() == []


async def test_refused_fields_and_field_types_leave_nothing(server: Server, board: Board) -> None:
    ann, eve = board.ann, await make_board(await newcomer(server, "Eve"))
    other = await make_board(ann)
    field = await board.field("Total", "Amount")
    theirs = await eve.ann.ok("POST", "/field_types", {"workspace_id": eve.uuid, "name": "x"})
    elsewhere = await ann.ok("POST", "/field_types", {"workspace_id": other.uuid, "name": "x"})
    good = {"workflow_id": board.workflow["id"], "field_type_id": id_of("Text"), "name": "New"}
    kind = {"workspace_id": board.uuid, "name": "x"}
    fields, types = await ann.ok("GET", "/fields"), await ann.ok("GET", "/field_types")
    cases: list[tuple[str, str, Any, int, str]] = [
        ("POST", "/fields", {}, 400, "workflow_id: This field is required."),
        ("POST", "/fields", good | {"name": ""}, 400, "name: This field may not be blank."),
        ("POST", "/fields", good | {"name": "Total"}, 400, "name: The workflow has a field of this name."),
        ("POST", "/fields", good | {"required": "perhaps"}, 400, "required: Must be a valid boolean."),
        ("POST", "/fields", good | {"field_type_id": elsewhere["id"]}, 400, "field_type_id: The field type belongs to"),
        ("POST", "/fields", good | {"field_type_id": theirs["id"]}, 403, ""),
        ("POST", "/fields", good | {"field_type_id": "x"}, 404, "The field type does not exist."),
        ("POST", "/fields", good | {"workflow_id": eve.workflow["id"]}, 403, ""),
        ("PATCH", f"/fields/{field['id']}", {"name": None}, 400, "name: This field may not be null."),
        ("PATCH", "/fields/x", {}, 404, "The field does not exist."),
        ("POST", "/field_types", {"name": "x"}, 400, "workspace_id: This field is required."),
        ("POST", "/field_types", kind | {"formatter": ["EVAL"]}, 400, 'formatter: There is no operator "EVAL".'),
        ("POST", "/field_types", kind | {"validator": "VALUE"}, 400, "validator: It must give boolean, not text."),
        ("POST", "/field_types", kind | {"validator": ["REGEXP_MATCH", "(", "VALUE"]}, 400, "validator: The regex"),
        ("POST", "/field_types", kind | {"formatter": "\0"}, 400, "formatter: Null characters are not allowed."),
        ("POST", "/field_types", kind | {"workspace_id": eve.uuid}, 403, ""),
        ("PATCH", f"/field_types/{elsewhere['id']}", {"validator": []}, 400, "validator: An expression is a text"),
        ("PATCH", f"/field_types/{theirs['id']}", {"name": "y"}, 403, ""),
        ("PATCH", f"/field_types/{EMAIL['id']}", {"name": "y"}, 403, "Shared field types cannot be changed."),
        ("DELETE", f"/field_types/{EMAIL['id']}", None, 403, "Shared field types cannot be changed."),
        ("DELETE", f"/fields/{field['id']}x", None, 404, "The field does not exist."),
        ("GET", f"/fields?workflow_id={eve.workflow['id']}", None, 403, ""),
    ]  # fmt: skip
    for method, path, body, status, words in cases:
        answer = await ann.request(method, path, body)
        assert (answer.status, list(answer.body)) == (status, ["message"]), (method, path, body, answer.body)
        assert answer.body["message"].startswith(words), answer.body
    assert (await eve.ann.request("DELETE", f"/fields/{field['id']}")).status == 403
    assert await ann.ok("GET", "/fields") == fields and await ann.ok("GET", "/field_types") == types


async def test_post_apply_template(board: Board, ears: Ears) -> None:
    ann = board.ann
    collection = await ann.ok("POST", "/collections", {"workspace_id": board.uuid, "name": "Customer"})
    body = {"collection_id": collection["id"], "template_name": "api-standard"}
    made = await ann.ok("POST", "/apply_template", body)
    kinds = ["SUPPLIER_INVOICE", "CUSTOMER_INVOICE", "CREDIT_INVOICE", "RECEIPT", "REMINDER", "OTHER"]
    assert [workflow["classification"] for workflow in made] == kinds
    assert await ann.ok("GET", f"/workflows?collection_id={collection['id']}") == made
    for workflow in made:
        columns = [(column["type"], column["index"]) for column in workflow["columns"]]
        assert columns == [("inbox", 0), ("work", 1), ("review", 2), ("archive", 3)]
    fields = await ann.ok("GET", f"/fields?workflow_id={made[0]['id']}")
    names = [field["name"] for field in fields]
    assert names[:2] == ["Supplier Name", "Supplier VAT Number"] and {"Total", "VAT", "Rounding"} <= {*names}
    assert not any(field["required"] or field["shared"] for field in fields)
    types = {each["id"] for each in await ann.ok("GET", "/field_types/shared")}
    assert {field["field_type_id"] for field in await ann.ok("GET", "/fields")} <= types
    before = await board.position()
    for wrong, status, words in (
        (body | {"template_name": "other"}, 400, 'template_name: "other" is not a valid choice.'),
        ({"template_name": "api-standard"}, 400, "collection_id: This field is required."),
        (body | {"collection_id": "x"}, 404, "The collection does not exist."),
    ):
        answer = await ann.request("POST", "/apply_template", wrong)
        assert (answer.status, answer.body) == (status, {"message": words})
    assert await board.position() == before and await ears.rest() == []


@pytest.mark.parametrize("what", ["workflow", "collection"])
async def test_deleting_a_container_leaves_no_field_or_value(board: Board, ears: Ears, what: str) -> None:
    """An item that was moved to another collection brought its values, which end with their fields."""
    ann, field = board.ann, await board.field("Total", "Amount")
    other = await ann.ok("POST", "/collections", {"workspace_id": board.uuid, "name": "Other"})
    body = {"collection_id": other["id"], "name": "Receipts", "classification": "RECEIPT"}
    receipts = await ann.ok("POST", "/workflows", body)
    total = [{"field_id": field["id"], "value": "1"}]
    stays, moves = [
        await ann.ok("POST", "/items", {"column_id": board.columns[0], "name": name, "values": total}) for name in "ab"
    ]
    await ann.ok("PATCH", f"/items/{moves['id']}", {"column_id": receipts["columns"][0]["id"]})
    assert len((await ann.ok("GET", f"/items/{moves['id']}"))["values"]) == 1
    await ears.rest()
    path = f"/workflows/{board.workflow['id']}" if what == "workflow" else f"/collections/{board.collection['id']}"
    assert (await ann.request("DELETE", path)).status == 204
    shown = await ann.ok("GET", f"/items/{moves['id']}")
    assert shown["values"] == []
    assert await ears.rest() == [("item-removed", stays["id"]), ("item-updated", shown)]
    assert (await ann.ok("GET", f"/items/{stays['id']}"))["values"] == []
    assert await ann.ok("GET", "/fields") == []


async def test_deleting_a_column_leaves_no_value(board: Board, ears: Ears) -> None:
    ann, field = board.ann, await board.field("Total", "Amount")
    values = [{"field_id": field["id"], "value": "1"}]
    item = await ann.ok("POST", "/items", {"column_id": board.columns[0], "name": "x", "values": values})
    await ears.rest()
    assert (await ann.request("DELETE", f"/columns/{board.columns[0]}")).status == 204
    assert await ears.rest() == [("item-removed", item["id"])]
    assert (await ann.ok("GET", f"/items/{item['id']}"))["values"] == []
    assert (await ann.request("DELETE", f"/fields/{field['id']}")).status == 204
