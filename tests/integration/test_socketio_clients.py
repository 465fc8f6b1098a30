"""The official JavaScript client and python-socketio's own, as people use them: item events and the core mirror."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import socketio

from tests.support.app import Person, Server
from tests.support.node import NodeClient, Toolchain

PATIENCE = 10.0
TRANSPORTS = {
    "default": {},
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
}
Event = tuple[str, list[Any]]


@dataclass
class Board:
    """A workflow with its columns, and somebody who changes its items."""

    ann: Person
    workspace: str
    columns: list[str]
    told: list[Event] = field(default_factory=list)

    async def change_everything(self) -> list[Event]:
        """Creates, renames, moves and deletes an item; the events that all must hear, reduced to what identifies."""
        inbox, work = self.columns[:2]
        item = await self.ann.ok("POST", "/items", {"column_id": inbox, "name": "Invoice"})
        await self.ann.ok("PATCH", f"/items/{item['id']}", {"name": "Renamed"})
        await self.ann.ok("PATCH", f"/items/{item['id']}", {"column_id": work})
        await self.ann.ok("DELETE", f"/items/{item['id']}")
        updated, removed = ("item-updated", item["id"]), ("item-removed", item["id"])
        patched = [("column-patched", column) for column in (inbox, work)]
        return [updated, patched[0], updated, updated, patched[0], patched[1], removed, patched[1]]  # type: ignore[list-item]


def brief(event: Event) -> tuple[str, str]:
    """An event by its name and the id that it is about."""
    name, (argument,) = event
    return name, argument if isinstance(argument, str) else argument["id"]


@pytest.fixture
async def board(server: Server) -> Board:
    ann = await server.sign_up("Ann")
    await ann.workspace()
    (workspace,) = await ann.ok("GET", "/workspaces")
    collection = await ann.ok("POST", "/collections", {"workspace_id": workspace["id"], "name": "Invoices"})
    body = {"collection_id": collection["id"], "workspace_id": workspace["id"], "name": "Incoming"}
    workflow = await ann.ok("POST", "/workflows", body | {"classification": "SUPPLIER_INVOICE"})
    return Board(ann, workspace["id"], [column["id"] for column in workflow["columns"]])


@pytest.fixture
async def javascript(node: Toolchain) -> AsyncIterator[NodeClient]:
    async with NodeClient(node) as client:
        yield client


async def connect(client: NodeClient, server: Server, namespace: str, token: str, options: dict[str, Any]) -> None:
    options = {"auth": {"token": token}} | options
    await client.send({"cmd": "connect", "url": server.url, "namespace": namespace, "options": options})


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_the_javascript_client_hears_the_three_item_events(
    server: Server, board: Board, javascript: NodeClient, kind: str
) -> None:
    await connect(javascript, server, "/events", board.ann.token, TRANSPORTS[kind])
    first = await javascript.receive("connect")
    assert first["transport"] == ("websocket" if kind == "websocket" else "polling")
    if kind == "default":
        await javascript.receive("upgrade")
    await javascript.send({"cmd": "emit", "event": "select-workspace", "args": [board.workspace], "ack": True, "id": 1})
    (answer,) = (await javascript.receive("ack"))["args"]
    assert (answer["ok"], answer["workspace"]) == (True, board.workspace)
    expected = await board.change_everything()
    heard = [await javascript.receive("event") for _ in expected]
    assert [brief((event["name"], event["args"])) for event in heard] == expected
    removed = next(event for event in heard if event["name"] == "item-removed")
    assert isinstance(removed["args"][0], str)
    await javascript.send({"cmd": "emit", "event": "deselect-workspace", "ack": True, "id": 2})
    await javascript.receive("ack")
    await board.ann.ok("POST", "/items", {"column_id": board.columns[0], "name": "Unheard"})
    await javascript.send({"cmd": "emit", "event": "deselect-workspace", "ack": True, "id": 3})
    await javascript.receive("ack")
    assert not [message for message in javascript.waiting if message["kind"] == "event"]


@pytest.mark.parametrize("namespace", ["/events", "/core"])
async def test_the_javascript_client_is_refused_without_a_token(
    server: Server, javascript: NodeClient, namespace: str
) -> None:
    await connect(javascript, server, namespace, "nonsense", {})
    assert (await javascript.receive("connect_error"))["message"] == "Unauthorized"


class PythonClient:
    """python-socketio's client, which keeps what it hears."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Event] = []
        self.changed = asyncio.Event()

    def hear(self, namespace: str) -> None:
        async def keep(name: str, *arguments: Any) -> None:
            self.heard.append((name, list(arguments)))
            self.changed.set()

        self.client.on("*", handler=keep, namespace=namespace)

    async def until(self, count: int) -> list[Event]:
        while len(self.heard) < count:
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), PATIENCE)
        return self.heard


@pytest.fixture
async def python() -> AsyncIterator[PythonClient]:
    made = PythonClient()
    yield made
    await made.client.disconnect()


@pytest.mark.parametrize("transports", [["polling", "websocket"], ["polling"], ["websocket"]])
async def test_the_python_client_hears_the_three_item_events(
    server: Server, board: Board, python: PythonClient, transports: list[str]
) -> None:
    python.hear("/events")
    await python.client.connect(
        server.url, namespaces=["/events"], auth={"token": board.ann.token}, transports=transports
    )
    answer = await python.client.call("select-workspace", board.workspace, namespace="/events")
    assert answer["ok"]
    expected = await board.change_everything()
    heard = await python.until(len(expected))
    assert [brief(event) for event in heard] == expected


async def test_the_core_namespace_mirrors_the_raw_socket(server: Server, javascript: NodeClient) -> None:
    ann = await server.sign_up("Ann")
    table = await ann.table(await ann.database(await ann.workspace()))
    raw = await ann.core_socket()
    await raw.subscribe("table", table_id=table)
    await connect(javascript, server, "/core", ann.token, {})
    await javascript.receive("connect")
    page = {"page": "table", "table_id": table}
    await javascript.send({"cmd": "emit", "event": "page", "args": [page], "ack": True, "id": 1})
    (answer,) = (await javascript.receive("ack"))["args"]
    assert answer["ok"]
    assert answer["parameters"] == {"table_id": table}
    assert (await javascript.receive("event"))["name"] == "page_add"
    row = await ann.ok("POST", f"/api/database/rows/table/{table}/", {})
    await ann.ok("PATCH", f"/api/database/rows/table/{table}/{row['id']}/", {})
    await ann.ok("DELETE", f"/api/database/rows/table/{table}/{row['id']}/")
    kinds = ("rows_created", "before_rows_update", "rows_updated", "before_rows_delete", "rows_deleted")
    for message in await raw.expect(*kinds):
        event = await javascript.receive("event")
        assert (event["name"], event["args"]) == (message["type"], [message])
    stranger = await server.sign_up("Eve")
    assert (await stranger.request("GET", f"/api/database/tables/{table}/")).status == 400


async def test_a_core_client_that_names_its_sid_is_left_out(server: Server, javascript: NodeClient) -> None:
    ann = await server.sign_up("Ann")
    workspace = await ann.workspace()
    other = await ann.core_socket()
    await connect(javascript, server, "/core", ann.token, {})
    sid = (await javascript.receive("connect"))["id"]
    path = f"/api/workspaces/{workspace}/"
    await ann.ok("PATCH", path, {"name": "Quiet"}, headers={"WebSocketId": sid})
    await ann.ok("PATCH", path, {"name": "Loud"})
    await other.expect("group_updated", "group_updated")
    assert (await javascript.receive("event"))["args"][0]["workspace"]["name"] == "Loud"


async def test_refused_pages_are_answered_where_an_answer_is_asked_for(server: Server, python: PythonClient) -> None:
    ann, eve = await server.sign_up("Ann"), await server.sign_up("Eve")
    table = await ann.table(await ann.database(await ann.workspace()))
    python.hear("/core")
    await python.client.connect(server.url, namespaces=["/core"], auth={"token": eve.token})
    page = {"page": "table", "table_id": table}
    refused = await python.client.call("page", page, namespace="/core")
    assert refused == {"ok": False, "page": "table", "parameters": {"table_id": table}}
    for nonsense in (None, 1, [], {"page": 1}, {"page": "nope"}, {"page": "table"}):
        assert (await python.client.call("page", nonsense, namespace="/core"))["ok"] is False
    removed = await python.client.call("remove_page", {"remove_page": "table", "table_id": table}, namespace="/core")
    assert removed["ok"] is True
    assert [name for name, _ in await python.until(1)] == ["page_discard"]
