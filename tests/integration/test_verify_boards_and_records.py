"""As test_verify_actions, for the items and the records API: what was told makes the state that REST shows."""

import asyncio
import random
from typing import Any

import pytest
import socketio

from server.actions.shared_field_types import id_of
from tests.support.app import Person, RawSocket, Server

WRITERS, CHANGES = 8, 10
KINDS = (
    "create",
    "create",
    "create",
    "rename",
    "move",
    "state",
    "values",
    "values",
    "finalize",
    "comment",
    "delete",
    "column",
)
PATIENCE = 20.0
ACCEPTED = (200, 201, 204, 400, 404, 409)  # what a change may answer when others change the same things


class Board:
    """What a client of `/events` knows: items and columns by id."""

    def __init__(self, items: dict[str, Any], columns: dict[str, Any]) -> None:
        self.items, self.columns = items, columns
        self.heard = asyncio.Event()

    @classmethod
    async def read(cls, person: Person, collection: str, workflow: str) -> "Board":
        items = await person.ok("GET", f"/items?collection_id={collection}&limit=200")
        columns = await person.ok("GET", f"/columns?workflow_id={workflow}")
        return cls({item["id"]: item for item in items}, {column["id"]: column for column in columns})

    async def apply(self, name: str, argument: Any) -> None:
        if name == "item-updated":
            self.items[argument["id"]] = argument
        elif name == "item-removed":
            del self.items[argument]
        else:
            self.columns[argument["id"]] = self.columns.get(argument["id"], {}) | argument
        self.heard.set()

    async def until_named(self, name: str) -> None:
        while not any(item["name"] == name for item in self.items.values()):
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), PATIENCE)


async def change(person: Person, method: str, path: str, body: Any = None) -> Any:
    answer = await person.request(method, path, body)
    assert answer.status in ACCEPTED, (method, path, body, answer.status, answer.body)
    return answer.body


class Scene:
    """A workspace with a workflow, changed by Ann and Bob."""

    def __init__(self, people: list[Person], workspace: str, collection: str, workflow: dict[str, Any]) -> None:
        self.people, self.workspace, self.collection, self.workflow = people, workspace, collection, workflow
        self.columns = [column["id"] for column in workflow["columns"]]
        self.dice = random.Random(20261121)

    async def change_something(self) -> None:
        """Creates, changes, moves, finalizes, comments on, deletes an item, writes its values, or changes a column."""
        dice, person = self.dice, self.dice.choice(self.people)
        items = [item["id"] for item in await person.ok("GET", f"/items?collection_id={self.collection}&limit=200")]
        kind = dice.choice(KINDS) if items else "create"
        name = f"name {dice.randrange(10**6)}"
        if kind == "create":
            await change(person, "POST", "/items", {"column_id": dice.choice(self.columns), "name": name})
        elif kind == "rename":
            await change(person, "PATCH", f"/items/{dice.choice(items)}", {"name": name})
        elif kind == "move":
            await change(person, "PATCH", f"/items/{dice.choice(items)}", {"column_id": dice.choice(self.columns)})
        elif kind == "state":
            await change(person, "PATCH", f"/items/{dice.choice(items)}", {"state": "rejected", "error": "blurred"})
        elif kind == "values":
            values = [{"field_name": "Total", "value": f"{dice.randrange(10**6)},5", "column_index": dice.randrange(3)}]
            await change(person, "PUT", f"/items/{dice.choice(items)}/values", values)
        elif kind == "finalize":
            await change(person, "POST", f"/items/{dice.choice(items)}/finalize", {})
        elif kind == "comment":
            await change(person, "POST", f"/items/{dice.choice(items)}/comments", {"text": name})
        elif kind == "delete":
            await change(person, "DELETE", f"/items/{dice.choice(items)}")
        else:
            await change(person, "PATCH", f"/columns/{dice.choice(self.columns)}", {"name": name})


@pytest.fixture
async def scene(server: Server) -> Scene:
    ann, bob = await server.sign_up("Ann"), await server.sign_up("Bob")
    await ann.invite(bob, await ann.workspace())
    (workspace,) = await ann.ok("GET", "/workspaces")
    collection = await ann.ok("POST", "/collections", {"workspace_id": workspace["id"], "name": "Invoices"})
    body = {"collection_id": collection["id"], "workspace_id": workspace["id"], "name": "Incoming"}
    workflow = await ann.ok("POST", "/workflows", body | {"classification": "SUPPLIER_INVOICE"})
    field = {"workflow_id": workflow["id"], "field_type_id": id_of("Amount"), "name": "Total"}
    await ann.ok("POST", "/fields", field)
    return Scene([ann, bob], workspace["id"], collection["id"], workflow)


@pytest.mark.parametrize("writers", [1, WRITERS])
async def test_item_events_make_the_state(server: Server, scene: Scene, writers: int) -> None:
    reader = scene.people[1]
    client = socketio.AsyncClient(reconnection=False)
    board = await Board.read(reader, scene.collection, scene.workflow["id"])
    client.on("*", handler=board.apply, namespace="/events")
    await client.connect(server.url, namespaces=["/events"], auth={"token": reader.token})
    assert (await client.call("select-workspace", scene.workspace, namespace="/events"))["ok"]

    async def write() -> None:
        for _ in range(CHANGES):
            await scene.change_something()

    await asyncio.gather(*[write() for _ in range(writers)])
    await change(scene.people[0], "POST", "/items", {"column_id": scene.columns[0], "name": "the last"})
    await board.until_named("the last")
    while not board.columns[scene.columns[0]].get("subscribed_items"):
        board.heard.clear()
        await asyncio.wait_for(board.heard.wait(), PATIENCE)
    await client.disconnect()
    truth = await Board.read(reader, scene.collection, scene.workflow["id"])
    assert board.items == truth.items
    assert board.columns == truth.columns


class Endpoint:
    """An endpoint's records, as one of its sockets knows them."""

    def __init__(self, person: Person, url: str) -> None:
        self.person, self.url = person, url
        self.dice = random.Random(7)

    async def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.person.ok("GET", self.url)
        return found

    async def change_something(self) -> None:
        known = [record["uniqueId"] for record in await self.records()]
        kind = self.dice.choice(["POST", "POST", "PUT", "DELETE"]) if known else "POST"
        data = {"number": self.dice.randrange(1000), "nested": {"list": [1, None, "ä"]}}
        target = self.url if kind == "POST" else f"{self.url}&uniqueId={self.dice.choice(known)}"
        await change(self.person, kind, target, None if kind == "DELETE" else data)


@pytest.mark.parametrize("writers", [1, WRITERS])
async def test_record_messages_make_the_state(server: Server, writers: int) -> None:
    ann = await server.sign_up("Ann")
    project = await ann.ok("POST", "/api/projects/", {"workspace_id": await ann.workspace(), "name": "Project"})
    body = {"name": "orders/open", "description": ""}
    await ann.ok("POST", f"/api/projects/{project['id']}/endpoints/", body)
    endpoint = Endpoint(ann, f"/api/1/ce/orders/open?key={project['key']}")
    socket: RawSocket = await server.websocket(endpoint.url)
    first = await subscribed(endpoint, socket)

    async def write() -> None:
        for _ in range(CHANGES):
            await endpoint.change_something()

    await asyncio.gather(*[write() for _ in range(writers)])
    await change(ann, "POST", endpoint.url, "the last")
    await socket.until(lambda: any(message["record"]["data"] == "the last" for message in socket.messages))
    state = {first["uniqueId"]: first}
    for message in socket.rest():
        if message["type"] == "DELETE":
            assert state.pop(message["record"]["uniqueId"]) == message["record"]
        else:
            state[message["record"]["uniqueId"]] = message["record"]
    assert state == {record["uniqueId"]: record for record in await endpoint.records()}


async def subscribed(endpoint: Endpoint, socket: RawSocket) -> dict[str, Any]:
    """Waits until an endpoint socket, which says nothing when it is let in, hears: posts until something arrives."""
    made: dict[str, Any] = {}
    while not socket.messages:
        for record in await endpoint.records():
            await change(endpoint.person, "DELETE", f"{endpoint.url}&uniqueId={record['uniqueId']}")
        made = await endpoint.person.ok("POST", endpoint.url, "the first")
        await asyncio.sleep(0)
    await socket.until(lambda: any(message["record"] == made for message in socket.messages))
    socket.rest()
    return made
