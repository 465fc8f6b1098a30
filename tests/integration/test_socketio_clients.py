"""The official JavaScript client and python-socketio's own, as people use them: item events and the core mirror."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import socketio

from tests.support.app import Server
from tests.support.boards import Board
from tests.support.node import NodeClient, Toolchain

PATIENCE = 10.0
TRANSPORTS = {
    "default": {},
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
}
Event = tuple[str, list[Any]]


async def change_everything(board: Board) -> list[tuple[str, str]]:
    """Makes, renames, moves and deletes an item, and renames a column; what all must hear, by what identifies it."""
    ann, (inbox, work, _) = board.ann, board.columns
    item = await board.item()
    await ann.ok("PATCH", f"/items/{item['id']}", {"name": "Renamed"})
    await ann.ok("PATCH", f"/items/{item['id']}", {"column_id": work})
    await ann.ok("DELETE", f"/items/{item['id']}")
    await ann.ok("PATCH", f"/columns/{work}", {"name": f"After {item['id']}"})
    updated, removed = ("item-updated", item["id"]), ("item-removed", item["id"])
    in_inbox, in_work = ("column-patched", inbox), ("column-patched", work)
    return [updated, in_inbox, updated, updated, in_inbox, in_work, removed, in_work, in_work]


def brief(event: Event) -> tuple[str, str]:
    """An event by its name and the id that it is about."""
    name, (argument,) = event
    return name, argument if isinstance(argument, str) else argument["id"]


@pytest.fixture
async def javascript(node: Toolchain) -> AsyncIterator[NodeClient]:
    async with NodeClient(node) as client:
        yield client


async def connect(client: NodeClient, server: Server, namespace: str, token: str, options: dict[str, Any]) -> None:
    options = {"auth": {"token": token}} | options
    await client.send({"cmd": "connect", "url": server.url, "namespace": namespace, "options": options})


async def select(client: NodeClient, workspace: Any) -> None:
    await client.send({"cmd": "emit", "event": "select-workspace", "args": [workspace], "ack": True, "id": 1})
    (answer,) = (await client.receive("ack"))["args"]
    assert (answer["ok"], answer["workspace"]) == (True, workspace)


async def deselect(client: NodeClient) -> None:
    await client.send({"cmd": "emit", "event": "deselect-workspace", "ack": True, "id": 2})
    await client.receive("ack")


async def test_item_updated_item_removed_and_column_patched_arrive_identically_over_every_transport(
    server: Server, board: Board, node: Toolchain
) -> None:
    """The official client, revision 4 of the protocol: polling only, WebSocket only, and upgrading, which goes on while
    the first events come."""
    async with AsyncExitStack() as stack:
        clients = {kind: await stack.enter_async_context(NodeClient(node)) for kind in TRANSPORTS}
        for kind, client in clients.items():
            await connect(client, server, "/events", board.ann.token, TRANSPORTS[kind])
            began = (await client.receive("connect"))["transport"]
            assert began == ("websocket" if kind == "websocket" else "polling")
            await select(client, board.uuid)
        expected = await change_everything(board)
        assert (await clients["default"].receive("upgrade"))["transport"] == "websocket"
        expected += await change_everything(board)
        heard = {kind: [await client.receive("event") for _ in expected] for kind, client in clients.items()}
        assert [brief((event["name"], event["args"])) for event in heard["default"]] == expected
        assert heard["polling"] == heard["websocket"] == heard["default"], "every byte of it, in the same order"
        for client in clients.values():
            await deselect(client)
        await board.item("Unheard")
        for client in clients.values():
            await deselect(client)
            assert [message for message in client.waiting if message["kind"] in ("event", "disconnect")] == []


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
    expected = await change_everything(board)
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
