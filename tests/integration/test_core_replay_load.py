"""`replay_events` while the world goes on: writers, removals and slow readers in the middle of a long replay."""

import asyncio
import random
from typing import Any

import pytest

from server.delivery import relay, replay
from server.namespaces import core_replay
from server.parts import REGISTRY
from server.rest.context import RUNNER
from tests.support.app import PATIENCE, RawSocket, Server
from tests.support.core_2026 import (
    Grid,
    Message,
    arrive,
    ask_replay,
    between_chunks,
    count,
    ids,
    kinds,
    make_grid,
    persisted,
)


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.mark.parametrize("remembered", [2048, 64])
async def test_no_gap_and_no_double_at_the_seam(grid: Grid, monkeypatch: pytest.MonkeyPatch, remembered: int) -> None:
    """However little the relay remembers, and whenever the client comes."""
    monkeypatch.setattr(core_replay, "CHUNK", 50)
    monkeypatch.setattr(relay, "REMEMBERED", remembered)
    start = await grid.rename("begin")
    await grid.record(3000)
    writers = [asyncio.create_task(rows(grid)), asyncio.create_task(bursts(grid))]
    came = [
        asyncio.create_task(come_back(grid, random.randint(start, start + 3000), page)) for page in [True, False] * 6
    ]
    clients = await asyncio.gather(*came)
    await asyncio.gather(*writers)
    for socket, last_seen, page in clients:
        expected = await grid.logged(last_seen, *(grid.rooms if page else grid.rooms[:2]))
        assert persisted(await grid.heard(socket)) == expected
        assert count(socket, "replay_events_result") == 1


async def rows(grid: Grid) -> None:
    for _ in range(60):
        await grid.add_row()


async def bursts(grid: Grid) -> None:
    for size in range(60):
        await grid.record(size)


async def come_back(grid: Grid, last_seen: int, page: bool) -> tuple[RawSocket, int, bool]:
    socket = await arrive(grid.bob)
    if page:
        await socket.send({"page": "table", "table_id": grid.table})
    await ask_replay(socket, last_seen)
    await socket.until(lambda: count(socket, "replay_events_result"))
    return socket, last_seen, page


async def test_clients_that_come_at_once_while_writers_write(grid: Grid) -> None:
    """Each asks for what it had not got on the connection before, again and again."""
    start = await grid.rename("begin")
    writer = asyncio.create_task(bursts(grid))
    told = await asyncio.gather(*(come_and_go(grid, start, writer) for _ in range(5)))
    expected = await grid.logged(start)
    assert told == [expected] * 5


async def come_and_go(grid: Grid, last_seen: int, writer: asyncio.Task[None]) -> list[Message]:
    told: list[Message] = []
    while True:
        over = writer.done()
        socket, _, _ = await come_back(grid, ids(told)[-1] if told else last_seen, page=True)
        if over:
            await grid.heard(socket)
        await socket.close()
        told += persisted(socket.messages)
        if over:
            return told


async def test_a_reader_who_is_removed_in_the_middle_hears_no_more(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    start = await grid.rename("begin")
    await grid.record(1000)

    async def removal() -> None:
        await grid.remove_bob()
        await grid.delivered()

    monkeypatch.setattr(core_replay, "CHUNK", 50)
    between_chunks(monkeypatch, removal)
    socket, _, _ = await come_back(grid, start, page=True)
    await grid.rename("secret")
    told = await grid.heard(socket)
    discarded = kinds(told).index("page_discard")
    assert ids(told[:discarded]) == ids((await grid.logged(start))[:50])
    assert kinds(told[discarded:]) == ["page_discard", "replay_events_result", "group_user_deleted"]
    assert not told[-2]["force_refresh"]


async def test_a_reader_who_is_removed_and_readmitted_in_the_middle(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = await grid.rename("begin")
    await grid.record(1000)
    places: list[int] = []

    async def removal_and_return() -> None:
        await grid.remove_bob()
        await grid.rename("secret")
        await grid.record(100)
        places.append(await grid.server.log_position())
        await grid.ann.invite(grid.bob, grid.workspace)
        await grid.rename("for Bob again")
        await grid.delivered()

    monkeypatch.setattr(core_replay, "CHUNK", 50)
    between_chunks(monkeypatch, removal_and_return)
    socket, _, _ = await come_back(grid, start, page=True)
    last = await grid.rename("live")
    told = await grid.heard(socket)
    discarded = kinds(told).index("page_discard")
    assert ids(told[:discarded]) == ids((await grid.logged(start))[:50])
    later = persisted(told[discarded:])
    names = [each["workspace"]["name"] for each in later if each["type"] == "group_updated"]
    assert names == ["for Bob again", "live"] and ids(later)[-1] == last and ids(later) == sorted(set(ids(later)))
    between = [each for each in later if each["_event_id"] <= places[0]]
    assert kinds(between) == ["group_user_deleted"]


async def test_a_removal_between_reading_and_telling(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    start = await grid.rename("begin")
    await grid.rename("no longer for Bob")
    await grid.add_row()
    runner = grid.server.app[RUNNER]
    look_at, removed = runner.look_at, asyncio.Event()

    async def read_then_remove(*args: Any, **kwargs: Any) -> Any:
        found = await look_at(*args, **kwargs)
        if not removed.is_set():
            removed.set()
            await grid.remove_bob()
        return found

    socket = await arrive(grid.bob)
    await socket.subscribe("table", table_id=grid.table)
    monkeypatch.setattr(runner, "look_at", read_then_remove)
    await ask_replay(socket, start)
    told = await grid.heard(socket)
    assert kinds(told)[-2:] == ["replay_events_result", "group_user_deleted"] and len(persisted(told)) == 1


async def test_the_page_of_a_table_that_is_trashed_in_the_middle(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    start = await grid.rename("begin")
    await grid.record(1000)

    async def trash() -> None:
        await grid.ann.ok("DELETE", f"/api/database/tables/{grid.table}/")
        await grid.delivered()

    monkeypatch.setattr(core_replay, "CHUNK", 50)
    between_chunks(monkeypatch, trash)
    socket, _, _ = await come_back(grid, start, page=True)
    told = await grid.heard(socket)
    discarded = kinds(told).index("page_discard")
    assert "rows_deleted" in kinds(told[:discarded]) and "rows_deleted" not in kinds(told[discarded:])
    assert persisted(told[discarded:]) == await grid.logged(ids(told[:discarded])[-1], *grid.rooms[:2])


async def test_a_client_that_goes_in_the_middle_leaves_nothing(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    start = await grid.rename("begin")
    await grid.record(1000)
    socket = await arrive(grid.bob)

    async def drop() -> None:
        transport: Any = socket.connection._response.connection.transport  # type: ignore[union-attr]
        transport.abort()
        await socket.until(lambda: socket.closed)

    monkeypatch.setattr(core_replay, "CHUNK", 50)
    between_chunks(monkeypatch, drop)
    await ask_replay(socket, start)
    async with asyncio.timeout(PATIENCE):
        while grid.server.app[REGISTRY].subscribers:
            await asyncio.sleep(0.01)


async def test_a_reader_that_takes_its_time_costs_no_memory_and_misses_nothing(grid: Grid) -> None:
    start = await grid.rename("begin")
    await grid.record(6000, grid.rooms[2], size=2000)
    path = f"/ws/core/?jwt_token={grid.bob.token}&web_socket_id=4ea9d6a6-7a5c-4a5a-9e6a-0d8b3c1f2a10"
    connection = await grid.server.http.ws_connect(grid.server.url + path)
    await connection.send_json({"page": "table", "table_id": grid.table})
    await connection.send_json({"type": "replay_events", "last_seen_id": start})
    async with asyncio.timeout(PATIENCE):
        while not (found := list(grid.server.app[REGISTRY].subscribers)) or found[0].link.backlog() <= replay.PACE:
            await asyncio.sleep(0.01)
    (subscriber,) = found
    await grid.record(100, grid.rooms[2])
    await grid.delivered()
    assert subscriber.behind is not None and subscriber.link.backlog() < 1 << 20
    slow = RawSocket(connection)
    grid.server.sockets.append(slow)
    assert persisted(await grid.heard(slow)) == await grid.logged(start)
