"""The items API: what each request answers, and what each socket of `/events` hears of it."""

import asyncio
import time
import uuid
from typing import Any

import pytest

from server.parts import STORE
from server.store.models import Item
from tests.support.app import Person, Server
from tests.support.boards import ISO_TIME, SPACE_TIME, Board, Connect, brief, make_board

# ---- resources and their shapes


async def test_post_workflows_makes_three_columns(board: Board) -> None:
    assert {key: board.workflow[key] for key in ("name", "workspace_id", "collection_id", "classification")} == {
        "name": "Incoming",
        "workspace_id": board.uuid,
        "collection_id": board.collection["id"],
        "classification": "SUPPLIER_INVOICE",
    }
    columns = board.workflow["columns"]
    assert [(column["type"], column["index"]) for column in columns] == [("inbox", 0), ("work", 1), ("archive", 2)]
    assert columns[0].keys() == {
        "id", "created_at", "updated_at", "name", "workflow_id", "type", "settings", "index", "subscribed_items",
    }  # fmt: skip
    assert columns[0]["settings"] == {}
    time.strptime(columns[0]["created_at"], SPACE_TIME)


async def test_post_collections_makes_all_lists(board: Board) -> None:
    shown = await board.ann.ok("GET", f"/collections/{board.collection['id']}")
    assert shown == board.collection
    time.strptime(shown.pop("created_at"), SPACE_TIME)
    time.strptime(shown.pop("updated_at"), SPACE_TIME)
    assert uuid.UUID(shown.pop("id"))
    lists = ("accounts", "cost_centers", "projects", "currencies", "voucher_series")
    assert shown == {"name": "Invoices", "workspace_id": board.uuid, "settings": {}} | {name: [] for name in lists}


async def test_get_workspaces_nests_only_what_is_included(board: Board) -> None:
    ann = board.ann
    (plain,) = await ann.ok("GET", "/workspaces")
    assert plain.keys() == {"id", "name", "created_at", "updated_at"}
    assert plain["id"] == board.uuid
    (full,) = await ann.ok("GET", "/workspaces?include=collections,workflows")
    assert full["collections"] == [board.collection]
    (workflow,) = full["workflows"]
    for moment in (full["created_at"], workflow["created_at"], workflow["updated_at"]):
        time.strptime(moment, ISO_TIME)
        assert len(moment) == len("2026-11-21T02:20:46.484Z")
    flat = board.workflow["columns"]
    assert [(column["previous"], column["next"]) for column in workflow["columns"]] == [
        (None, flat[1]),
        (flat[0], flat[2]),
        (flat[1], None),
    ]
    assert all(column["edit_items"] is True and column["delete_items"] is True for column in workflow["columns"])
    assert await ann.ok("GET", f"/workspaces/{board.workspace}?include=workflows") == {
        key: value for key, value in full.items() if key != "collections"
    }


async def test_get_workspaces_id_takes_both_ids_and_so_do_all_resources(board: Board) -> None:
    ann = board.ann
    shown = await ann.ok("GET", f"/workspaces/{board.uuid}")
    for spelling in (board.workspace, str(board.workspace), board.uuid, board.uuid.upper()):
        assert await ann.ok("GET", f"/workspaces/{spelling}") == shown
        assert await ann.ok("GET", f"/collections?workspace_id={spelling}") == [board.collection]
        assert await ann.ok("GET", f"/workflows?workspace_id={spelling}") == [board.workflow]
        made = await ann.ok("POST", "/collections", {"workspace_id": spelling, "name": "More"})
        await ann.ok("DELETE", f"/collections/{made['id']}")


async def test_get_collections_workflows_columns_and_items_show_what_the_actor_may_see(
    server: Server, board: Board
) -> None:
    await board.item()
    bob = await make_board(await server.sign_up("Bob"))
    assert await bob.ann.ok("GET", "/collections") == [bob.collection]
    assert await bob.ann.ok("GET", "/workflows") == [bob.workflow]
    assert await bob.ann.ok("GET", "/columns") == bob.workflow["columns"]
    assert await bob.ann.ok("GET", "/items") == []
    stranger = await server.sign_up("Eve")
    for path in ("/workspaces", "/collections", "/workflows", "/columns", "/items"):
        assert await stranger.ok("GET", path) == []


async def test_get_and_patch_collections_id(board: Board) -> None:
    path = f"/collections/{board.collection['id']}"
    changed = await board.ann.ok("PATCH", path, {"name": "Bills", "settings": {"color": "red"}})
    assert (changed["name"], changed["settings"]) == ("Bills", {"color": "red"})
    assert changed["updated_at"] > changed["created_at"]
    assert await board.ann.ok("GET", path) == changed


async def test_get_patch_and_delete_workflows_id(board: Board) -> None:
    ann, path = board.ann, f"/workflows/{board.workflow['id']}"
    changed = await ann.ok("PATCH", path, {"classification": "RECEIPT"})
    assert (changed["name"], changed["classification"]) == ("Incoming", "RECEIPT")
    assert await ann.ok("GET", path) == changed
    assert await ann.ok("GET", f"/workflows?collection_id={board.collection['id']}") == [changed]
    assert (await ann.request("DELETE", path)).status == 204
    assert (await ann.request("GET", path)).status == 404
    assert await ann.ok("GET", "/columns") == []


# ---- items and what is told of them


async def test_post_items_and_get_items_id_show_the_whole_item_that_is_told(board: Board, listen: Connect) -> None:
    socket = await listen(board.ann, board.workspace)
    body = {"collection_id": board.collection["id"], "name": "Invoice"}
    answer = await board.ann.request("POST", "/items", body)
    assert answer.status == 201
    item = answer.body
    told, patched = await socket.take(2)
    assert told == ("item-updated", item)
    assert patched == ("column-patched", board.workflow["columns"][0] | {"subscribed_items": 1})
    assert await board.ann.ok("GET", f"/items/{item['id']}") == item
    for key in ("created_at", "updated_at"):
        time.strptime(item.pop(key), SPACE_TIME)
    assert str(uuid.UUID(item.pop("id")))
    assert item == {
        "name": "Invoice",
        "error": None,
        "state": "uploaded",
        "document_type": None,
        "user_id": None,
        "column_id": board.columns[0],
        "collection_id": board.collection["id"],
        "original_file_id": None,
        "locked_by_user_id": None,
        "deleted": False,
        "values": [],
        "page_count": 0,
        "comment_count": 0,
        "status_messages": [],
    }


async def test_patch_and_delete_items_id_tell_what_they_trigger(board: Board, listen: Connect) -> None:
    ann, (inbox, work, _) = board.ann, board.columns
    one, socket = await board.item(), await listen(board.ann, board.uuid)
    two = await board.item("Second")
    assert brief(await socket.take(2)) == [("item-updated", two["id"]), ("column-patched", inbox, 2)]

    changes = {"state": "error", "error": "blurred", "document_type": "RECEIPT", "user_id": ann.id}
    changed = await ann.ok("PATCH", f"/items/{one['id']}", changes)
    assert changed == one | changes | {"updated_at": changed["updated_at"]}
    assert await socket.take(1) == [("item-updated", changed)]

    moved = await ann.ok("PATCH", f"/items/{one['id']}", {"column_id": work, "name": "Moved"})
    assert (moved["column_id"], moved["name"]) == (work, "Moved")
    assert brief(await socket.take(3)) == [
        ("item-updated", one["id"]),
        ("column-patched", inbox, 1),
        ("column-patched", work, 1),
    ]
    assert (await ann.request("DELETE", f"/items/{one['id']}")).status == 204
    assert await socket.take(1) == [("item-removed", one["id"])]
    assert brief(await socket.take(1)) == [("column-patched", work, 0)]
    kept = await ann.ok("GET", f"/items/{one['id']}")
    assert kept == moved | {"deleted": True, "updated_at": kept["updated_at"]}
    assert await ann.ok("GET", "/items") == [two]
    assert await socket.rest() == []


async def test_what_changes_nothing_tells_nothing(board: Board, listen: Connect) -> None:
    item, socket = await board.item(), await listen(board.ann, board.uuid)
    path = f"/items/{item['id']}"
    assert await board.ann.ok("PATCH", path, {}) == item
    assert await board.ann.ok("PATCH", path, {"name": item["name"], "column_id": board.columns[0]}) == item
    column = board.workflow["columns"][1]
    assert await board.ann.ok("PATCH", f"/columns/{column['id']}", {"name": column["name"], "index": 1}) == column
    assert await socket.rest() == []


async def test_the_acting_socket_is_left_out_and_only_that_of_the_actor(
    server: Server, board: Board, listen: Connect
) -> None:
    ann, bob = board.ann, await server.sign_up("Bob")
    await ann.invite(bob, board.workspace)
    anns, other, bobs = [await listen(person, board.uuid) for person in (ann, ann, bob)]
    item = await ann.ok(
        "POST", "/items", {"column_id": board.columns[0], "name": "x"}, headers={"WebSocketId": anns.id}
    )
    expected = [("item-updated", item["id"]), ("column-patched", board.columns[0], 1)]
    assert brief(await other.take(2)) == brief(await bobs.take(2)) == expected
    assert await anns.rest() == []
    await ann.ok("PATCH", f"/items/{item['id']}", {"name": "y"}, headers={"WebSocketId": bobs.id})
    for socket in (anns, other, bobs):
        assert brief(await socket.take(1)) == [("item-updated", item["id"])]


async def test_other_workspaces_hear_nothing(server: Server, board: Board, listen: Connect) -> None:
    bob = await make_board(await server.sign_up("Bob"))
    theirs, unselected = await listen(bob.ann, bob.uuid), await listen(board.ann)
    await board.item()
    assert await theirs.rest() == []
    assert await unselected.rest() == []


async def test_patch_items_id_moves_between_collections_of_a_workspace(board: Board, listen: Connect) -> None:
    ann, item = board.ann, await board.item()
    collection = await ann.ok("POST", "/collections", {"workspace_id": board.uuid, "name": "Receipts"})
    body = {"collection_id": collection["id"], "name": "Other", "classification": "RECEIPT"}
    workflow = await ann.ok("POST", "/workflows", body | {"workspace_id": board.workspace})
    target = workflow["columns"][0]["id"]
    moved = await ann.ok("PATCH", f"/items/{item['id']}", {"column_id": target})
    assert (moved["column_id"], moved["collection_id"]) == (target, collection["id"])
    assert await ann.ok("GET", f"/items?collection_id={collection['id']}") == [moved]


async def test_get_items_filters_and_pages(board: Board) -> None:
    ann = board.ann
    items = [await board.item(f"Invoice {number}", column=number % 2) for number in range(5)]
    await ann.ok("PATCH", f"/items/{items[4]['id']}", {"state": "rejected"})

    async def names(query: str) -> list[str]:
        return [item["name"][-1] for item in await ann.ok("GET", f"/items?{query}")]

    assert await names(f"collection_id={board.collection['id']}") == ["0", "1", "2", "3", "4"]
    assert await names(f"column_id={board.columns[1]}") == ["1", "3"]
    assert await names(f"column_id={board.columns[2]}") == []
    assert await names("state=rejected") == ["4"]
    assert await names("limit=2&offset=3") == ["3", "4"]
    assert await names("limit=2&offset=9") == []
    counts = [
        column["subscribed_items"] for column in await ann.ok("GET", f"/columns?workflow_id={board.workflow['id']}")
    ]
    assert counts == [3, 2, 0]


async def test_get_items_has_50_and_at_most_200(server: Server, board: Board) -> None:
    place = {"workspace_id": board.workspace, "collection_id": board.collection["id"], "column_id": board.columns[0]}
    rows = [place | {"name": f"{number}"} for number in range(201)]
    await server.app[STORE].write(lambda tx: Item.insert_many(rows).execute())
    for query, count in (("", 50), ("?limit=0", 50), ("?limit=x", 50), ("?limit=200", 200), ("?limit=1000", 200)):
        assert len(await board.ann.ok("GET", f"/items{query}")) == count, query


# ---- locks


async def test_a_lock_keeps_others_out(server: Server, board: Board, listen: Connect) -> None:
    ann, bob, eve = board.ann, await server.sign_up("Bob"), await server.sign_up("Eve")
    for person in (bob, eve):
        await ann.invite(person, board.workspace)
    item = await board.item()
    path = f"/items/{item['id']}"
    socket = await listen(ann, board.uuid)
    locked = await bob.ok("PATCH", path, {"locked_by_user_id": bob.id})
    assert await socket.take(1) == [("item-updated", locked)]
    refused: list[tuple[Person, str, Any]] = [
        (eve, "PATCH", {"name": "x"}),
        (eve, "PATCH", {"locked_by_user_id": eve.id}),
        (eve, "PATCH", {"locked_by_user_id": None}),
        (eve, "DELETE", None),
        (ann, "PATCH", {"name": "x"}),
        (ann, "PATCH", {"locked_by_user_id": ann.id}),
        (ann, "DELETE", None),
    ]
    for person, method, body in refused:
        answer = await person.request(method, path, body)
        assert (answer.status, answer.body) == (409, {"message": "The item is locked by another user."})
    await bob.ok("PATCH", path, {"name": "by the holder"})
    await ann.ok("PATCH", path, {"locked_by_user_id": None})
    await eve.ok("PATCH", path, {"name": "free again"})
    assert [item["name"] for _, item in await socket.take(3)] == ["by the holder", "by the holder", "free again"]
    assert await socket.rest() == []


# ---- columns


async def test_get_post_and_patch_columns(board: Board, listen: Connect) -> None:
    ann, socket = board.ann, await listen(board.ann, board.uuid)
    body = {"workflow_id": board.workflow["id"], "name": "Review", "type": "review", "settings": {"wide": True}}
    answer = await ann.request("POST", "/columns", body | {"index": 2})
    assert answer.status == 201
    review, (inbox, work, archive) = answer.body, board.columns
    assert {key: review[key] for key in body} == body
    assert await socket.take(1) == [("column-patched", review)]
    ((name, pushed),) = await socket.take(1)
    assert (name, pushed["id"], pushed["index"]) == ("column-patched", archive, 3)

    path = f"/columns/{review['id']}"
    renamed = await ann.ok("PATCH", path, {"name": "Check"})
    assert renamed == review | {"name": "Check", "updated_at": renamed["updated_at"]}
    assert await socket.take(1) == [("column-patched", renamed)]

    await ann.ok("PATCH", path, {"index": 0})
    places = {column["id"]: column["index"] for _, column in await socket.take(3)}
    assert places == {review["id"]: 0, inbox: 1, work: 2}
    shown = await ann.ok("GET", f"/columns?workflow_id={board.workflow['id']}")
    assert [column["id"] for column in shown] == [review["id"], inbox, work, archive]
    assert await socket.rest() == []


@pytest.mark.parametrize("what", ["column", "workflow", "collection"])
async def test_delete_columns_workflows_and_collections_removes_their_items(
    board: Board, listen: Connect, what: str
) -> None:
    ann = board.ann
    first, second = await board.item("First"), await board.item("Second")
    elsewhere = await board.item("Elsewhere", column=1)
    await ann.ok("DELETE", f"/items/{(await board.item('Gone'))['id']}")
    socket = await listen(ann, board.uuid)
    thing = {"column": board.columns[0], "workflow": board.workflow["id"], "collection": board.collection["id"]}[what]
    answer = await ann.request("DELETE", f"/{what}s/{thing}")
    assert (answer.status, answer.body) == (204, None)
    removed = [first, second] if what == "column" else [first, second, elsewhere]
    assert await socket.take(len(removed)) == [("item-removed", item["id"]) for item in removed]
    assert await socket.rest() == []
    assert (await ann.request("DELETE", f"/{what}s/{thing}")).status == 404
    for item in removed:
        assert (await ann.ok("GET", f"/items/{item['id']}"))["deleted"] is True
    assert await ann.ok("GET", "/items") == ([elsewhere] if what == "column" else [])
    assert len(await ann.ok("GET", "/columns")) == (2 if what == "column" else 0)


async def test_moves_at_once_count_right(board: Board, listen: Connect) -> None:
    """Without a lock before the reads two moves at once would both count the target too low."""
    ann, (inbox, work, _) = board.ann, board.columns
    items = [await board.item(str(number)) for number in range(8)]
    socket = await listen(ann, board.uuid)
    await asyncio.gather(*(ann.ok("PATCH", f"/items/{item['id']}", {"column_id": work}) for item in items))
    told = brief(await socket.take(24))
    assert [event[1:] for event in told[1::3]] == [(inbox, count) for count in range(7, -1, -1)]
    assert [event[1:] for event in told[2::3]] == [(work, count) for count in range(1, 9)]
