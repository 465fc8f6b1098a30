"""`since` where the streams are mirrored: pages of the Socket.IO namespace `/core`, and the sockets of endpoints."""

import asyncio
import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from server.delivery import relay
from server.events import rooms
from server.events.records import RecordChanged
from server.namespaces import admission, endpoint_door
from server.parts import STORE
from server.store import retention
from server.store.transaction import Transaction
from tests.support.app import RawSocket, Server
from tests.support.core_2026 import Grid, between_chunks, kinds, make_grid, newcomer
from tests.support.core_clients import Connect, core_clients
from tests.support.records import RunningEndpoint

GONE = [0, -1, "x", True, 1.5, {}, 2**62]
ONE = partial(retention.prune, keep_events=1, keep_seconds=3600)


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with core_clients() as found:
        yield found


def bare(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages without the id that raw sockets get."""
    return [{key: value for key, value in message.items() if key != "_event_id"} for message in messages]


@pytest.mark.parametrize("recovery", [False, True])
async def test_a_page_of_the_core_namespace_tells_what_it_missed(grid: Grid, connect: Connect, recovery: bool) -> None:
    position = await grid.add_row()
    await grid.add_row(), await grid.add_row()
    await grid.rename("not of the page")
    client = await connect(grid.bob, **({"recovery": True} if recovery else {}))
    answer = await client.page(grid.table, since=position)
    assert answer == {"ok": True, "page": "table", "parameters": {"table_id": grid.table}, "position": position}
    told = [each for each in await client.rest() if not each["type"].startswith("presence.")]
    assert told[:2] == bare(await grid.logged(position, grid.rooms[2])) and kinds(told[2:]) == ["page_add"]
    await grid.add_row()
    await client.until(lambda: client.messages[-1]["type"] == "rows_created")
    assert kinds(await client.rest()) == ["rows_created"]


async def test_without_since_the_answer_names_the_position_from_which_events_follow(
    grid: Grid, connect: Connect
) -> None:
    await grid.add_row()
    client = await connect(grid.bob)
    answer = await client.page(grid.table)
    assert answer["position"] == await grid.server.log_position() and "refresh" not in answer
    assert kinds(await client.rest()) == ["page_add"]
    await grid.add_row(grid.bob, headers={"WebSocketId": client.id})
    await grid.add_row()
    back = await connect(grid.bob)
    assert (await back.page(grid.table, since=answer["position"]))["ok"]
    assert kinds(await back.rest()) == ["rows_created"] * 2 + ["page_add"], "another socket, another id"
    assert kinds(await client.rest()) == ["rows_created"]


@pytest.mark.parametrize("recovery", [False, True])
async def test_a_past_that_is_gone_is_told_in_the_answer_and_as_an_event(
    grid: Grid, connect: Connect, recovery: bool
) -> None:
    pruned = await grid.add_row()
    await grid.add_row()
    await grid.server.app[STORE].write(ONE)
    for since in [*GONE, pruned - 1]:
        client = await connect(grid.bob, **({"recovery": True} if recovery else {}))
        answer = await client.page(grid.table, since=since)
        told = [each for each in await client.rest() if not each["type"].startswith("presence.")]
        named = {key: answer[key] for key in ("page", "parameters", "position")}
        assert answer["refresh"] is True and kinds(told) == ["page_add", "refresh"]
        assert told[1] == {"type": "refresh", **named}
        await grid.add_row()
        await client.until(lambda client=client: client.messages[-1]["type"] == "rows_created")
        await client.client.disconnect()


async def test_refused_pages_of_the_core_namespace_tell_nothing(
    grid: Grid, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await grid.add_row()
    await grid.record(500, grid.rooms[2])
    stranger = await connect(await newcomer(grid.server, "Eve"))
    assert not (await stranger.page(grid.table, since=position))["ok"] and await stranger.rest() == []
    monkeypatch.setattr(admission, "CHUNK", 50)
    between_chunks(monkeypatch, grid.remove_bob)
    bob = await connect(grid.bob)
    assert not (await bob.page(grid.table, since=position))["ok"]
    await grid.add_row()
    assert sorted(kinds(await bob.rest())) == ["group_user_deleted"] + ["rows_deleted"] * 50


@pytest.mark.parametrize(("recovery", "remembered"), [(False, 64), (True, 2048)])
async def test_no_gap_and_no_double_in_the_core_namespace(
    grid: Grid, connect: Connect, monkeypatch: pytest.MonkeyPatch, recovery: bool, remembered: int
) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", remembered)
    monkeypatch.setattr(admission, "CHUNK", 50)
    start = await grid.add_row()
    await grid.record(1000, grid.rooms[2])

    async def write() -> None:
        for size in range(40):
            await grid.record(size, grid.rooms[2])

    async def come(since: int) -> tuple[Any, int]:
        client = await connect(grid.bob, **({"recovery": True} if recovery else {}))
        await client.page(grid.table, since=since)
        return client, since

    writing = asyncio.create_task(write())
    clients = await asyncio.gather(*(come(random.randint(start, start + 1000)) for _ in range(6)))
    await writing
    await grid.delivered()
    for client, since in clients:
        told = [each for each in await client.rest() if each["type"] == "rows_deleted"]
        assert told == bare(await grid.logged(since, grid.rooms[2]))


async def settled(endpoint: RunningEndpoint, socket: RawSocket) -> list[Any]:
    """All messages of a socket up to a record that is made now."""
    made = await endpoint.ok("POST", "the last")
    await socket.until(lambda: any(each.get("record") == made for each in socket.messages))
    return socket.messages


async def test_an_endpoint_without_parameters_tells_as_ever(endpoint: RunningEndpoint) -> None:
    await endpoint.ok("POST", "before")
    socket, odd = await endpoint.listening(), await endpoint.listening(offsets="yes")
    made = await endpoint.ok("POST", "live")
    for each in (socket, odd):
        assert (await settled(endpoint, each))[0] == {"type": "POST", "record": made}
        assert all(set(message) == {"type", "record"} for message in each.messages)


async def test_an_endpoint_tells_what_was_missed_and_where(endpoint: RunningEndpoint) -> None:
    position = await endpoint.server.log_position()
    first = await endpoint.ok("POST", "missed")
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    other = await endpoint.manage("POST", path, {"name": "shop/orders-2"})
    await endpoint.ok("POST", "elsewhere", name=other["name"])
    second = await endpoint.ok("PUT", "changed", uniqueId=first["uniqueId"])
    plain, marked = await endpoint.socket(since=position), await endpoint.socket(since=position, offsets="true")
    expected = [{"type": "POST", "record": first}, {"type": "PUT", "record": second}]
    assert (await settled(endpoint, plain))[:2] == expected
    offsets = [each.pop("offset") for each in await settled(endpoint, marked)]
    assert marked.messages[:2] == expected and offsets == sorted(set(offsets)) and position < offsets[0]
    late = await endpoint.socket(since=offsets[0], offsets="true")
    await settled(endpoint, late)
    assert [each["offset"] for each in late.messages[: len(offsets) - 1]] == offsets[1:]


async def test_an_endpoint_whose_past_is_gone_says_refresh(endpoint: RunningEndpoint) -> None:
    await endpoint.ok("POST", "pruned")
    await endpoint.ok("POST", "kept")
    await endpoint.server.app[STORE].write(ONE)
    for since in ("0", "-1", "x", "", "1.5", "1", str(2**62), "9" * 40):
        head = await endpoint.server.log_position()
        socket = await endpoint.socket(since=since, offsets="true")
        await socket.until(lambda socket=socket: socket.messages)
        assert socket.messages == [{"type": "refresh", "position": head}], since
        assert kinds((await settled(endpoint, socket))[1:]) == ["POST"]


async def test_an_endpoint_that_is_not_for_the_visitor_tells_nothing(endpoint: RunningEndpoint) -> None:
    position = await endpoint.server.log_position()
    await endpoint.ok("POST", "secret")
    socket = await endpoint.socket(since=position, key="0" * 32)
    await socket.until(lambda: socket.closed)
    assert (socket.closed, socket.messages) == ((4000, "The API key is invalid."), [])


async def test_a_key_that_is_rotated_while_the_past_is_told(
    endpoint: RunningEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await endpoint.server.log_position()
    await endpoint.server.app[STORE].write(partial(tell_many, endpoint=endpoint.shown["id"], count=500))

    async def rotate() -> None:
        await endpoint.manage("POST", f"/api/projects/{endpoint.project['id']}/rotate-key/")

    monkeypatch.setattr(endpoint_door, "CHUNK", 50)
    between_chunks(monkeypatch, rotate)
    socket = await endpoint.socket(since=position)
    await socket.until(lambda: socket.closed)
    assert (socket.closed, len(socket.messages)) == ((4000, "The API key is invalid."), 50)


def tell_many(tx: Transaction, *, endpoint: int, count: int) -> None:
    for number in range(count):
        tx.record(RecordChanged("POST", {"uniqueId": str(number)}), rooms.endpoint(endpoint))


async def test_no_gap_and_no_double_on_an_endpoint(endpoint: RunningEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", 64)
    monkeypatch.setattr(endpoint_door, "CHUNK", 50)
    start, room = await endpoint.server.log_position(), endpoint.shown["id"]
    await endpoint.server.app[STORE].write(partial(tell_many, endpoint=room, count=1000))

    async def write() -> None:
        for size in range(40):
            await endpoint.server.app[STORE].write(partial(tell_many, endpoint=room, count=size))

    async def come(since: int) -> tuple[RawSocket, int]:
        return await endpoint.socket(since=since, offsets="true"), since

    writing = asyncio.create_task(write())
    clients = await asyncio.gather(*(come(random.randint(start, start + 1000)) for _ in range(6)))
    await writing
    for socket, since in clients:
        told = [each["offset"] for each in await settled(endpoint, socket)]
        assert told == list(range(since + 1, since + 1 + len(told)))
