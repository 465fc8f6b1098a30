"""The items API: what each request answers, and what each socket of `/events` hears of it."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import socketio

from tests.support.app import PASSWORD, PATIENCE, SECRET, Person, Server

SPACE_TIME = "%Y-%m-%d %H:%M:%S.%f"
ISO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
Heard = tuple[str, Any]


class Listener:
    """A client of `/events` that keeps what it hears, in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Heard] = []
        self.refusals: list[Any] = []
        self.ended = asyncio.Event()
        self._taken = 0
        self._changed = asyncio.Condition()
        self.client.on("*", handler=self._hear, namespace="/events")
        self.client.on("connect_error", handler=self._refuse, namespace="/events")
        self.client.on("disconnect", handler=self._end, namespace="/events")

    async def _hear(self, name: str, *arguments: Any) -> None:
        async with self._changed:
            self.heard.append((name, *arguments))  # type: ignore[arg-type]
            self._changed.notify_all()

    async def _refuse(self, reason: Any) -> None:
        self.refusals.append(reason)

    async def _end(self, reason: str) -> None:
        self.ended.set()

    async def connect(self, auth: Any = None, headers: dict[str, str] | None = None, query: str = "") -> "Listener":
        await self.client.connect(
            self.url + query, headers=headers or {}, auth=auth, namespaces=["/events"], wait_timeout=PATIENCE
        )
        return self

    @property
    def id(self) -> str:
        """What requests name in `WebSocketId`."""
        return str(self.client.get_sid("/events"))

    async def call(self, event: str, *arguments: Any) -> Any:
        return await self.client.call(event, arguments, namespace="/events", timeout=PATIENCE)

    async def select(self, workspace: Any) -> Any:
        answer = await self.call("select-workspace", workspace)
        assert answer["ok"], answer
        return answer

    async def take(self, count: int) -> list[Heard]:
        """The next events that were not yet taken."""
        async with self._changed:
            enough = self._changed.wait_for(lambda: len(self.heard) >= self._taken + count)
            await asyncio.wait_for(enough, PATIENCE)
        self._taken += count
        return self.heard[self._taken - count : self._taken]

    async def rest(self) -> list[Heard]:
        """What else arrived: an acknowledged call comes after everything that was told before it."""
        await self.call("select-workspace", "nonsense")
        left, self._taken = self.heard[self._taken :], len(self.heard)
        return left


@dataclass
class Board:
    """Ann's workspace with one workflow."""

    ann: Person
    workspace: int
    uuid: str
    collection: dict[str, Any]
    workflow: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        return [column["id"] for column in self.workflow["columns"]]

    async def item(self, name: str = "Invoice", column: int = 0) -> dict[str, Any]:
        made: dict[str, Any] = await self.ann.ok("POST", "/items", {"column_id": self.columns[column], "name": name})
        return made

    async def position(self) -> int:
        return await self.ann.server.log_position()


async def make_board(ann: Person) -> Board:
    workspace = await ann.workspace()
    shown = await ann.ok("GET", f"/workspaces/{workspace}")
    collection = await ann.ok("POST", "/collections", {"workspace_id": workspace, "name": "Invoices"})
    body = {"collection_id": collection["id"], "name": "Incoming", "classification": "SUPPLIER_INVOICE"}
    return Board(ann, workspace, shown["id"], collection, await ann.ok("POST", "/workflows", body))


@pytest.fixture
async def board(server: Server) -> Board:
    return await make_board(await server.sign_up("Ann"))


Connect = Callable[..., Awaitable[Listener]]


@pytest.fixture
async def listen(server: Server) -> AsyncIterator[Connect]:
    """Connects clients, which end with the test."""
    listeners: list[Listener] = []

    async def connect(person: Person | None = None, workspace: Any = None, **how: Any) -> Listener:
        listener = Listener(server.url)
        listeners.append(listener)
        await listener.connect(**({"auth": {"token": person.token}} if person is not None else {}) | how)
        if workspace is not None:
            await listener.select(workspace)
        return listener

    yield connect
    for each in listeners:
        await each.client.disconnect()


def brief(heard: list[Heard]) -> list[tuple[str, str] | tuple[str, str, int]]:
    """Events by name and id; of columns also the count."""
    short: list[Any] = []
    for name, argument in heard:
        if name == "column-patched":
            short.append((name, argument["id"], argument["subscribed_items"]))
        else:
            short.append((name, argument if isinstance(argument, str) else argument["id"]))
    return short


# ---- resources and their shapes


async def test_a_new_workflow_gets_three_columns(board: Board) -> None:
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


async def test_collections_have_all_their_lists(board: Board) -> None:
    shown = await board.ann.ok("GET", f"/collections/{board.collection['id']}")
    assert shown == board.collection
    time.strptime(shown.pop("created_at"), SPACE_TIME)
    time.strptime(shown.pop("updated_at"), SPACE_TIME)
    assert uuid.UUID(shown.pop("id"))
    lists = ("accounts", "cost_centers", "projects", "currencies", "voucher_series")
    assert shown == {"name": "Invoices", "workspace_id": board.uuid, "settings": {}} | {name: [] for name in lists}


async def test_workspaces_nest_only_what_is_included(board: Board) -> None:
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


async def test_both_ids_of_a_workspace_are_taken_everywhere(board: Board) -> None:
    ann = board.ann
    shown = await ann.ok("GET", f"/workspaces/{board.uuid}")
    for spelling in (board.workspace, str(board.workspace), board.uuid, board.uuid.upper()):
        assert await ann.ok("GET", f"/workspaces/{spelling}") == shown
        assert await ann.ok("GET", f"/collections?workspace_id={spelling}") == [board.collection]
        assert await ann.ok("GET", f"/workflows?workspace_id={spelling}") == [board.workflow]
        made = await ann.ok("POST", "/collections", {"workspace_id": spelling, "name": "More"})
        await ann.ok("DELETE", f"/collections/{made['id']}")


async def test_lists_show_only_what_the_actor_may_see(server: Server, board: Board) -> None:
    await board.item()
    bob = await make_board(await server.sign_up("Bob"))
    assert await bob.ann.ok("GET", "/collections") == [bob.collection]
    assert await bob.ann.ok("GET", "/workflows") == [bob.workflow]
    assert await bob.ann.ok("GET", "/columns") == bob.workflow["columns"]
    assert await bob.ann.ok("GET", "/items") == []
    stranger = await server.sign_up("Eve")
    for path in ("/workspaces", "/collections", "/workflows", "/columns", "/items"):
        assert await stranger.ok("GET", path) == []


async def test_collections_and_workflows_are_changed_and_deleted(board: Board) -> None:
    ann = board.ann
    path = f"/collections/{board.collection['id']}"
    changed = await ann.ok("PATCH", path, {"name": "Bills", "settings": {"color": "red"}})
    assert (changed["name"], changed["settings"]) == ("Bills", {"color": "red"})
    assert changed["updated_at"] > changed["created_at"]
    path = f"/workflows/{board.workflow['id']}"
    changed = await ann.ok("PATCH", path, {"classification": "RECEIPT"})
    assert (changed["name"], changed["classification"]) == ("Incoming", "RECEIPT")
    assert await ann.ok("GET", path) == changed
    assert await ann.ok("GET", f"/workflows?collection_id={board.collection['id']}") == [changed]
    assert (await ann.request("DELETE", path)).status == 204
    assert (await ann.request("GET", path)).status == 404
    assert await ann.ok("GET", "/columns") == []


# ---- items and what is told of them


async def test_the_whole_item_is_answered_and_told(board: Board, listen: Connect) -> None:
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


async def test_what_triggers_what(board: Board, listen: Connect) -> None:
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


async def test_items_move_between_collections_of_a_workspace(board: Board, listen: Connect) -> None:
    ann, item = board.ann, await board.item()
    collection = await ann.ok("POST", "/collections", {"workspace_id": board.uuid, "name": "Receipts"})
    body = {"collection_id": collection["id"], "name": "Other", "classification": "RECEIPT"}
    workflow = await ann.ok("POST", "/workflows", body | {"workspace_id": board.workspace})
    target = workflow["columns"][0]["id"]
    moved = await ann.ok("PATCH", f"/items/{item['id']}", {"column_id": target})
    assert (moved["column_id"], moved["collection_id"]) == (target, collection["id"])
    assert await ann.ok("GET", f"/items?collection_id={collection['id']}") == [moved]


async def test_lists_of_items_are_filtered_and_paged(board: Board) -> None:
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


async def test_a_page_has_50_items_and_at_most_200(board: Board) -> None:
    for number in range(52):
        await board.item(f"{number}")
    assert len(await board.ann.ok("GET", "/items")) == 50
    assert len(await board.ann.ok("GET", "/items?limit=1000")) == 52


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


async def test_columns_are_added_moved_and_changed(board: Board, listen: Connect) -> None:
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
async def test_deleting_a_container_removes_its_items(board: Board, listen: Connect, what: str) -> None:
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


# ---- refusals


async def test_refused_bodies_name_the_field_and_leave_nothing(server: Server, board: Board) -> None:
    ann, other = board.ann, await make_board(board.ann)
    item, stranger = await board.item(), await server.sign_up("Eve")
    before = await board.position()
    workflow = {"collection_id": board.collection["id"], "name": "x"}
    elsewhere = {"collection_id": other.collection["id"]}
    cases: list[tuple[str, str, Any, str]] = [
        ("POST", "/collections", {"name": "x"}, "workspace_id"),
        ("POST", "/collections", {"workspace_id": board.uuid, "name": "x", "settings": 5}, "settings"),
        ("PATCH", f"/collections/{board.collection['id']}", {"name": None}, "name"),
        ("POST", "/workflows", workflow | {"classification": "LETTER"}, "classification"),
        ("POST", "/workflows", workflow | {"classification": "OTHER", "workspace_id": other.uuid}, "workspace_id"),
        ("POST", "/columns", {"workflow_id": board.workflow["id"]}, "name"),
        ("POST", "/columns", {"workflow_id": board.workflow["id"], "name": "x", "index": -1}, "index"),
        ("PATCH", f"/columns/{board.columns[0]}", {"type": "sink"}, "type"),
        ("POST", "/items", {"column_id": board.columns[0]}, "name"),
        ("POST", "/items", {"name": "x"}, "collection_id"),
        ("POST", "/items", {"name": "x" * 256, "column_id": board.columns[0]}, "name"),
        ("POST", "/items", {"name": "x", "column_id": board.columns[0], **elsewhere}, "column_id"),
        ("PATCH", f"/items/{item['id']}", {"name": ["x"]}, "name"),
        ("PATCH", f"/items/{item['id']}", {"column_id": other.columns[0]}, "column_id"),
        ("PATCH", f"/items/{item['id']}", {"user_id": stranger.id}, "user_id"),
        ("PATCH", f"/items/{item['id']}", {"locked_by_user_id": 2**40}, "locked_by_user_id"),
    ]  # fmt: skip
    for method, path, body, field in cases:
        answer = await ann.request(method, path, body)
        assert answer.status == 400, (method, path, body, answer.body)
        assert answer.body.keys() == {"message"} and answer.body["message"].startswith(f"{field}: "), answer.body
    assert await board.position() == before
    assert await ann.ok("GET", f"/items/{item['id']}") == item


async def test_strangers_are_refused_and_unknown_ids_are_404(server: Server, board: Board) -> None:
    eve, item = await server.sign_up("Eve"), await board.item()
    before = await board.position()
    own = [
        f"/workspaces/{board.uuid}",
        f"/collections/{board.collection['id']}",
        f"/workflows/{board.workflow['id']}",
        f"/columns?workflow_id={board.workflow['id']}",
        f"/items?column_id={board.columns[0]}",
        f"/items/{item['id']}",
    ]
    for path in own:
        answer = await eve.request("GET", path)
        assert (answer.status, list(answer.body)) == (403, ["message"]), path
    for path in (*own[1:3], own[5], f"/columns/{board.columns[0]}"):
        assert (await eve.request("PATCH", path, {"name": "x"})).status == 403, path
        assert (await eve.request("DELETE", path)).status == 403, path
    assert (await eve.request("POST", "/items", {"name": "x", "column_id": board.columns[0]})).status == 403
    for name in ("workspaces", "collections", "workflows", "items"):
        for unknown in (uuid.uuid4(), "0", "99999999999999999999", "x%00y", "%F0%9F%98%80", "null"):
            answer = await board.ann.request("GET", f"/{name}/{unknown}")
            assert (answer.status, list(answer.body)) == (404, ["message"]), (name, unknown)
    assert (await board.ann.request("POST", "/items", {"name": "x", "column_id": "nonsense"})).status == 404
    assert (await board.ann.request("GET", "/items/a/b")).body == {"message": "Not found."}
    assert (await board.ann.request("GET", "/itemsandmore")).body["error"] == "URL_NOT_FOUND"
    assert await board.position() == before


async def test_deleted_items_are_not_changed_any_more(board: Board) -> None:
    item = await board.item()
    await board.ann.ok("DELETE", f"/items/{item['id']}")
    before = await board.position()
    assert (await board.ann.request("PATCH", f"/items/{item['id']}", {"name": "x"})).status == 404
    assert (await board.ann.request("DELETE", f"/items/{item['id']}")).status == 404
    assert await board.position() == before


async def test_moves_at_once_count_right(board: Board, listen: Connect) -> None:
    """Without a lock before the reads two moves at once would both count the target too low."""
    ann, (inbox, work, _) = board.ann, board.columns
    items = [await board.item(str(number)) for number in range(8)]
    socket = await listen(ann, board.uuid)
    await asyncio.gather(*(ann.ok("PATCH", f"/items/{item['id']}", {"column_id": work}) for item in items))
    told = brief(await socket.take(24))
    assert [event[1:] for event in told[1::3]] == [(inbox, count) for count in range(7, -1, -1)]
    assert [event[1:] for event in told[2::3]] == [(work, count) for count in range(1, 9)]


# ---- logging in


async def test_tokens_are_taken_with_and_without_a_scheme(server: Server, board: Board) -> None:
    for header in (
        board.ann.token,
        f"Bearer {board.ann.token}",
        f"bearer  {board.ann.token}",
        f"JWT {board.ann.token}",
    ):
        answer = await server.request("GET", "/workspaces", headers={"Authorization": header})
        assert answer.status == 200, header
    for headers in ({}, {"Authorization": "nonsense"}, {"Authorization": f"Bearer {board.ann.refresh_token}"}):
        for method, path in (("GET", "/workspaces"), ("POST", "/items"), ("DELETE", f"/items/{uuid.uuid4()}")):
            answer = await server.request(method, path, {} if method == "POST" else None, headers=headers)
            assert (answer.status, list(answer.body)) == (401, ["message"]), (headers, method, path)


async def log_in(server: Server, person: Person, **headers: str) -> tuple[Any, str]:
    """The answer to a login and its cookie."""
    body = {"email": person.email.upper(), "password": PASSWORD}
    answer = await server.request("POST", "/authenticate/user", body, headers=headers)
    server.http.cookie_jar.clear()
    return answer, answer.headers.get("Set-Cookie", "")


async def test_the_cookie_is_a_credential_for_own_pages_only(server: Server, board: Board) -> None:
    answer, cookie = await log_in(server, board.ann)
    assert (answer.status, answer.body) == (200, {"id": board.ann.id, "tos_accepted": True})
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    token = cookie.partition(";")[0]
    assert (await server.request("GET", "/workspaces", headers={"Cookie": token})).status == 200
    body = {"workspace_id": board.uuid, "name": "x"}
    for origin, status in (
        (server.url, 201),
        ("https://evil.example", 403),
        (server.url + ".evil.example", 403),
        ("null", 403),
        (None, 403),
    ):
        headers = {"Cookie": token} | ({"Origin": origin} if origin else {})
        assert (await server.request("POST", "/collections", body, headers=headers)).status == status, origin
    headers = {"Cookie": token, "Origin": "https://evil.example", "Authorization": board.ann.token}
    assert (await server.request("POST", "/collections", body, headers=headers)).status == 201


async def test_logging_in_and_out(server: Server, board: Board) -> None:
    _, cookie = await log_in(server, board.ann, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie.split("; ")
    body = {"email": board.ann.email, "password": "wrong-password"}
    answer = await server.request("POST", "/authenticate/user", body)
    assert (answer.status, list(answer.body)) == (401, ["message"])
    answer = await server.request("POST", "/authenticate/user", {"email": board.ann.email})
    assert (answer.status, answer.body) == (400, {"message": "password: This field is required."})
    answer = await server.request("POST", "/authenticate/logout")
    assert answer.status == 204
    assert answer.headers["Set-Cookie"].startswith('access_token=""; ') and "Max-Age=0" in answer.headers["Set-Cookie"]


# ---- sockets


async def test_every_place_of_the_token_is_taken(server: Server, board: Board, listen: Connect) -> None:
    token = board.ann.token
    ways: list[dict[str, Any]] = [
        {"auth": {"token": token}},
        {"auth": {"token": f"Bearer {token}"}},
        {"headers": {"Authorization": token}},
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"headers": {"Cookie": f"access_token={token}", "Origin": server.url}},
        {"query": f"/?token={token}"},
        {"auth": {"token": token}, "headers": {"Authorization": "Bearer nonsense"}},
        {"auth": {"token": token}, "headers": {"Origin": "https://page.example"}},
    ]
    for how in ways:
        socket = await listen(**how)
        assert (await socket.select(board.uuid))["workspace"] == board.uuid


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"auth": {"token": "nonsense"}},
        {"auth": {"token": 5}},
        {"auth": ["token"]},
        {"auth": "token"},
        {"headers": {"Authorization": "Bearer nonsense"}},
        {"query": "/?token=nonsense"},
    ],
)
async def test_a_refused_socket_gets_the_connect_error(server: Server, how: dict[str, Any]) -> None:
    await refused(server, how)


async def refused(server: Server, how: dict[str, Any]) -> None:
    listener = Listener(server.url)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await listener.connect(**how)
    assert listener.refusals == [{"message": "Unauthorized"}]
    await listener.client.disconnect()


async def test_a_cookie_of_a_foreign_page_is_refused(server: Server, board: Board) -> None:
    for origin in ("https://evil.example", "null", None):
        headers = {"Cookie": f"access_token={board.ann.token}"} | ({"Origin": origin} if origin else {})
        await refused(server, {"headers": headers})


async def test_tokens_of_ended_sessions_are_refused(server: Server, board: Board, listen: Connect) -> None:
    socket = await listen(board.ann, board.uuid)
    body = {"old_password": PASSWORD, "new_password": "another-password"}
    await board.ann.ok("POST", "/api/user/change-password/", body)
    await asyncio.wait_for(socket.ended.wait(), PATIENCE)


async def test_selecting_and_deselecting(server: Server, board: Board, listen: Connect) -> None:
    other = await make_board(board.ann)
    socket = await listen(board.ann)
    for spelling in (board.workspace, str(board.workspace), board.uuid):
        answer = await socket.select(spelling)
        assert answer == {"ok": True, "workspace": spelling, "position": await board.position()}
    item = await board.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", board.columns[0], 1)]

    assert (await socket.call("select-workspace", other.uuid, {"since": 1}))["ok"]
    await board.item("not heard")
    item = await other.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", other.columns[0], 1)]

    for _ in range(2):
        assert await socket.call("deselect-workspace") == {"ok": True}
    await other.item("not heard")
    assert await socket.rest() == []


async def test_a_refused_selection_joins_nothing_and_keeps_what_was(
    server: Server, board: Board, listen: Connect
) -> None:
    stranger = await make_board(await server.sign_up("Bob"))
    socket = await listen(board.ann, board.uuid)
    refusals = [stranger.uuid, stranger.workspace, str(uuid.uuid4()), 0, -1, 2**70, 1.5, True, None, "", "x\0", [], {}]
    for wrong in refusals:
        answer = await socket.call("select-workspace", wrong)
        assert answer.keys() == {"ok", "message"} and answer["ok"] is False and answer["message"], wrong
        await socket.client.emit("select-workspace", wrong, namespace="/events")
    assert (await socket.call("select-workspace"))["ok"] is False
    assert (await socket.call("select-workspace", board.uuid, "junk", [1], None))["ok"] is True
    await stranger.item()
    item = await board.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", board.columns[0], 1)]


async def test_sent_connect_and_disconnect_events_do_nothing(board: Board, listen: Connect) -> None:
    """The names are the server's own: as events of a client they would reach its connect and disconnect handlers."""
    socket = await listen(board.ann, board.uuid)
    for name in ("connect", "disconnect", "trigger_event", "unknown", "select_workspace"):
        await socket.client.emit(name, {"HTTP_COOKIE": 5}, namespace="/events")
    item = await board.item()
    assert brief(await socket.take(2))[0] == ("item-updated", item["id"])


async def test_membership_lost_later_deselects(server: Server, board: Board, listen: Connect) -> None:
    ann, bob = board.ann, await server.sign_up("Bob")
    await ann.invite(bob, board.workspace)
    anns, bobs = await listen(ann, board.uuid), await listen(bob, str(board.workspace))
    members = await ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    number = next(member["id"] for member in members if member["user_id"] == bob.id)
    await ann.ok("DELETE", f"/api/workspaces/users/{number}/")
    item = await board.item()
    assert brief(await anns.take(2))[0] == ("item-updated", item["id"])
    assert await bobs.take(1) == [("workspace-deselected", str(board.workspace))]
    assert await bobs.rest() == []
    assert (await bobs.call("select-workspace", board.uuid))["ok"] is False


async def test_a_token_that_expires_disconnects(board: Board, listen: Connect) -> None:
    claims = jwt.decode(board.ann.token, SECRET, algorithms=["HS256"])
    soon = jwt.encode(claims | {"exp": int(time.time()) + 2}, SECRET, algorithm="HS256")
    socket, lasting = await listen(auth={"token": soon}), await listen(board.ann, board.uuid)
    await socket.select(board.uuid)
    await asyncio.wait_for(socket.ended.wait(), PATIENCE)
    assert not lasting.ended.is_set()
    assert await lasting.rest() == []
