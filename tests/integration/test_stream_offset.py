"""Every read says from where events follow: reading, then following from there, has no gap and no double."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from server.events import rooms
from server.parts import STORE
from server.store import log
from server.store.log import LoggedEvent
from tests.support.app import Answer, Server
from tests.support.boards import make_board
from tests.support.records import running_endpoint

OFFSET = "Stream-Offset"
WRITERS, THINGS, VERSIONS = 4, 4, 5  # each writer makes so many things, one after the other, each in so many versions
State = dict[Any, int]
EXPOSED = "Access-Control-Expose-Headers"


@dataclass
class Counters:
    """Things of one API that count: `save` makes one (key None) or changes it, and returns its key."""

    room: str
    read: Callable[[], Awaitable[Answer]]
    state_of: Callable[[Any], State]
    save: Callable[[Any, int], Awaitable[Any]]
    told: Callable[[LoggedEvent], State]


async def count_rows(server: Server) -> Counters:
    ann = await server.sign_up("Ann")
    table = await ann.table(await ann.database(await ann.workspace()), data=[["Name"]], first_row_header=True)
    (field,) = await ann.ok("GET", f"/api/database/fields/table/{table}/")
    path, key = f"/api/database/rows/table/{table}/", f"field_{field['id']}"

    async def save(row: int | None, number: int) -> int:
        body = {key: str(number)}
        made = await (ann.ok("POST", path, body) if row is None else ann.ok("PATCH", f"{path}{row}/", body))
        return int(made["id"])

    def counted(found: list[dict[str, Any]]) -> State:
        return {row["id"]: int(row[key]) for row in found}

    def told(event: LoggedEvent) -> State:
        return counted(orjson.loads(event.payload)["rows"]) if event.type in ("rows_created", "rows_updated") else {}

    def read() -> Awaitable[Answer]:
        return ann.request("GET", f"{path}?size=200")

    return Counters(rooms.table(table), read, lambda body: counted(body["results"]), save, told)


async def count_items(server: Server) -> Counters:
    board = await make_board(await server.sign_up("Ann"))

    async def save(item: str | None, number: int) -> Any:
        if item is None:
            return (await board.item(str(number)))["id"]
        return (await board.ann.ok("PATCH", f"/items/{item}", {"name": str(number)}))["id"]

    def counted(found: list[dict[str, Any]]) -> State:
        return {item["id"]: int(item["name"]) for item in found}

    def told(event: LoggedEvent) -> State:
        return counted([orjson.loads(event.payload)]) if event.type == "item-updated" else {}

    def read() -> Awaitable[Answer]:
        return board.ann.request("GET", f"/items?collection_id={board.collection['id']}&limit=200")

    return Counters(rooms.items(board.workspace), read, counted, save, told)


async def count_records(server: Server) -> Counters:
    endpoint = await running_endpoint(server)

    async def save(unique_id: str | None, number: int) -> Any:
        if unique_id is None:
            return (await endpoint.ok("POST", number))["uniqueId"]
        return (await endpoint.ok("PUT", number, uniqueId=unique_id))["uniqueId"]

    def counted(found: list[dict[str, Any]]) -> State:
        return {record["uniqueId"]: record["data"] for record in found}

    def told(event: LoggedEvent) -> State:
        return counted([orjson.loads(event.payload)["record"]])

    return Counters(rooms.endpoint(endpoint.shown["id"]), lambda: endpoint.call("GET"), counted, save, told)


@pytest.mark.parametrize("api", [count_rows, count_items, count_records])
async def test_reading_then_following_has_no_gap_and_no_double(
    server: Server, api: Callable[[Server], Awaitable[Counters]]
) -> None:
    counters = await api(server)

    async def write() -> None:
        for _ in range(THINGS):
            key = None
            for number in range(VERSIONS):
                key = await counters.save(key, number)

    writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
    answers: list[Answer] = []
    while not all(writer.done() for writer in writers):
        answers.append(await counters.read())
    await asyncio.gather(*writers)
    final = counters.state_of((await counters.read()).body)
    assert list(final.values()) == [VERSIONS - 1] * (WRITERS * THINGS)
    every = await events_after(server, counters.room, 0)
    for answer in answers:
        state, offset = counters.state_of(answer.body), int(answer.headers[OFFSET])
        for event in every:
            if event.id > offset:
                follow(state, counters.told(event))
        assert state == final
    assert len({answer.headers[OFFSET] for answer in answers}) > 1


def follow(state: State, told: Mapping[Any, int]) -> None:
    """Takes an event into the state; each number is the one after the last, so nothing was missed or told again."""
    for key, number in told.items():
        assert number == state.get(key, -1) + 1, (key, number, state)
        state[key] = number


async def events_after(server: Server, room: str, position: int) -> list[LoggedEvent]:
    return await server.app[STORE].read(lambda tx: log.read_rooms(tx.db, {room: position}, 10_000))


async def test_every_api_says_it_of_every_read(server: Server) -> None:
    endpoint = await running_endpoint(server)
    ann = endpoint.admin
    board = await make_board(ann)
    table = await ann.table(await ann.database(board.workspace))
    rows = f"/api/database/rows/table/{table}/"
    item = await board.item()
    paths = [
        "/api/workspaces/", "/api/applications/", f"/api/notifications/{board.workspace}/", "/api/user/dashboard/",
        f"/api/workspaces/{board.workspace}/permissions/", f"/api/database/tables/{table}/",
        f"/api/database/fields/table/{table}/", f"/api/database/views/table/{table}/",
        rows, f"{rows}1/", f"{rows}2/adjacent/", f"{rows}1/history/", f"/api/database/rows/names/?table__{table}=1",
        "/api/projects/", f"/api/projects/{endpoint.project['id']}/", f"/api/endpoints/{endpoint.shown['id']}/",
        f"/api/projects/{endpoint.project['id']}/endpoints/", endpoint.path(),
        "/workspaces", f"/workspaces/{board.uuid}", "/collections", f"/collections/{board.collection['id']}",
        "/workflows", f"/workflows/{board.workflow['id']}", "/items", f"/items/{item['id']}",
    ]  # fmt: skip
    position = str(await server.log_position())
    for method in ("GET", "HEAD"):
        answers = {path: await ann.request(method, path) for path in paths}
        said = {path: (answer.status, answer.headers.get(OFFSET)) for path, answer in answers.items()}
        assert said == {path: (204 if "adjacent" in path else 200, position) for path in paths}


async def test_what_reads_nothing_carries_none(server: Server) -> None:
    endpoint = await running_endpoint(server)
    ann = endpoint.admin
    quiet = [
        await server.request("GET", "/healthz"),
        await server.request("GET", "/readyz"),
        await server.request("GET", "/api/_health/"),
        await server.request("GET", "/api/settings/"),
        await server.request("GET", "/api/workspaces/"),
        await server.request("OPTIONS", "/api/workspaces/"),
        await ann.request("GET", "/api/database/tables/7/"),
        await ann.request("GET", "/items/unknown"),
        await ann.request("POST", "/api/workspaces/", {"name": "Team"}),
        await endpoint.call("GET", uniqueId="unknown"),
        await endpoint.call("POST", 1),
    ]
    assert [answer.headers.get(OFFSET) for answer in quiet] == [None] * len(quiet)


async def test_pages_of_other_origins_may_read_it(server: Server) -> None:
    endpoint = await running_endpoint(server)
    page = {"Origin": "https://page.example"}
    answers = [
        await endpoint.admin.request("GET", "/api/workspaces/", headers=page),
        await endpoint.admin.request("GET", "/items", headers=page),
        await endpoint.call("GET", headers=page),
    ]
    for answer in answers:
        assert OFFSET in answer.headers and OFFSET in answer.headers[EXPOSED].split(", ")
