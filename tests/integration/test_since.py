"""`since` on a page of `/ws/core/`: what the page was told above a position, in order and once, then live."""

import asyncio
import random
from functools import partial
from typing import Any

import pytest

from server.delivery import relay
from server.events import rooms
from server.events.databases import RowsDeleted
from server.namespaces import admission
from server.parts import STORE
from server.store import retention
from tests.support.app import RawSocket, Server
from tests.support.core_2026 import (
    Grid,
    Message,
    arrive,
    ask_replay,
    between_chunks,
    ids,
    kinds,
    make_grid,
    newcomer,
    persisted,
    result,
)

GONE = [0, -1, "x", "", True, 1.5, [1], {}, 2**62, 2**64 - 1, "9" * 30]


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


async def open_page(
    grid: Grid, socket: RawSocket, since: Any, table: Any = None
) -> tuple[list[Message], list[Message]]:
    """Opens the table's page: what was told before the confirmation, and from there on until now."""
    await socket.send({"page": "table", "table_id": table or grid.table, "since": since})
    told = await grid.heard(socket)
    place = kinds(told).index("page_add")
    return told[:place], told[place:]


def added(grid: Grid, position: int) -> Message:
    return {"type": "page_add", "page": "table", "parameters": {"table_id": grid.table}, "position": position}


async def test_what_was_missed_comes_first_then_the_confirmation_then_live(grid: Grid) -> None:
    position = await grid.add_row()
    missed = [await grid.add_row(), await grid.add_row()]
    await grid.rename("not of the page")
    socket = await grid.bob.core_socket()
    before, after = await open_page(grid, socket, position)
    assert before == await grid.logged(position, grid.rooms[2]) and ids(before) == missed
    assert after[0] == added(grid, position) and kinds(after[1:]) == ["presence.members"]
    live = [await grid.add_row(), await grid.rename("live")]
    assert ids(await grid.heard(socket)) == live, "the socket is one of 2026 now"


async def test_a_position_may_be_text_and_without_one_nothing_changes(grid: Grid) -> None:
    position = await grid.add_row()
    missed = await grid.add_row()
    before, after = await open_page(grid, await grid.bob.core_socket(), str(position))
    assert (ids(before), after[0]["position"]) == ([missed], position)
    socket = await grid.bob.core_socket()
    before, after = await open_page(grid, socket, None)
    assert before == [] and set(after[0]) == {"type", "page", "parameters"}


async def test_a_past_that_is_gone_is_a_refresh_and_the_page_is_live(grid: Grid) -> None:
    pruned = await grid.add_row()
    await grid.add_row()
    prune = partial(retention.prune, keep_events=1, keep_seconds=3600)
    while await grid.server.app[STORE].write(prune):
        pass
    head = await grid.add_row()
    page = {"page": "table", "parameters": {"table_id": grid.table}}
    sockets = [await grid.bob.core_socket() for _ in [*GONE, pruned]]
    for socket, since in zip(sockets, [*GONE, pruned - 1], strict=True):
        before, after = await open_page(grid, socket, since)
        assert before == [{"type": "refresh", **page, "position": head}], since
        assert after[0] == added(grid, head) and persisted(after) == []
    live = await grid.add_row()
    assert [ids(await grid.heard(socket)) for socket in sockets] == [[live]] * len(sockets)


async def test_a_member_may_not_look_behind_the_begin_of_the_membership(grid: Grid) -> None:
    position = await grid.add_row()
    await grid.add_row()
    eve = await newcomer(grid.server, "Eve")
    stranger = await eve.core_socket()
    await stranger.send({"page": "table", "table_id": grid.table, "since": position})
    assert kinds(await grid.heard(stranger)) == ["page_refused"]
    await grid.ann.invite(eve, grid.workspace)
    before, after = await open_page(grid, await eve.core_socket(), position)
    assert kinds(before) == ["refresh"] and persisted(after) == []


async def test_who_is_removed_while_reading_the_past_hears_no_more(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    position = await grid.add_row()
    await grid.record(500, grid.rooms[2])
    monkeypatch.setattr(admission, "CHUNK", 50)
    between_chunks(monkeypatch, grid.remove_bob)
    socket = await grid.bob.core_socket()
    await socket.send({"page": "table", "table_id": grid.table, "since": position})
    await grid.delivered()
    await grid.add_row()
    told = await grid.heard(socket)
    assert sorted(kinds(told)) == ["group_user_deleted", "page_refused"] + ["rows_deleted"] * 50


async def test_own_changes_are_left_out(grid: Grid) -> None:
    position = await grid.add_row()
    first = await arrive(grid.bob)
    await grid.add_row(grid.bob, socket=first)
    foreign = await grid.add_row(grid.ann, socket=first)
    before, _ = await open_page(grid, await arrive(grid.bob, first.id), position)
    assert ids(before) == [foreign]


async def test_an_event_in_two_rooms_comes_once(grid: Grid) -> None:
    other = await grid.ann.table(await grid.ann.database(grid.workspace))
    position = await grid.server.log_position()

    async def tell_both() -> None:
        both = (rooms.table(grid.table), rooms.table(other))
        await grid.server.app[STORE].write(lambda tx: tx.record(RowsDeleted(0, [], []), *both))

    await tell_both()
    socket = await grid.bob.core_socket()
    await open_page(grid, socket, None)
    await tell_both()
    assert len(await grid.heard(socket)) == 1, "told live, on the first page"
    before, after = await open_page(grid, socket, position, table=other)
    assert ids(before) == [position + 1] and persisted(after) == []
    before, after = await open_page(grid, socket, position)
    assert persisted(before + after) == []
    await tell_both()
    assert ids(await grid.heard(socket)) == [position + 3]


async def test_a_page_asked_for_twice_repeats_nothing_until_it_was_left(grid: Grid) -> None:
    position = await grid.add_row()
    missed = await grid.add_row()
    socket = await grid.bob.core_socket()
    for spelled, expected in ((grid.table, [missed]), (grid.table, []), (str(grid.table), [])):
        before, after = await open_page(grid, socket, position, table=spelled)
        assert (ids(before), persisted(after)) == (expected, [])
    await socket.send({"remove_page": "table", "table_id": grid.table})
    before, _ = await open_page(grid, socket, position)
    assert ids(before) == [missed]


async def test_a_client_that_keeps_positions_of_pages_is_not_held(grid: Grid) -> None:
    position = await grid.add_row()
    missed = await grid.add_row()
    socket = await arrive(grid.bob)
    held = await grid.rename("held until the first page")
    before, _ = await open_page(grid, socket, position)
    assert ids(before) == [held, missed]
    live = await grid.rename("live")
    assert ids(await grid.heard(socket)) == [live]
    await ask_replay(socket, position)
    assert await grid.heard(socket) == [result(live)]


@pytest.mark.parametrize("remembered", [2048, 64])
async def test_no_gap_and_no_double_while_writers_write(
    grid: Grid, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", remembered)
    monkeypatch.setattr(admission, "CHUNK", 50)
    start = await grid.add_row()
    await grid.record(2000)

    async def write() -> None:
        for size in range(60):
            await grid.record(size)
            await grid.add_row()

    async def come(since: int) -> tuple[RawSocket, int]:
        socket = await grid.bob.core_socket()
        await socket.send({"page": "table", "table_id": grid.table, "since": since})
        await socket.until(lambda: "page_add" in kinds(socket.messages))
        return socket, since

    writing = asyncio.create_task(write())
    clients = await asyncio.gather(*(come(random.randint(start, start + 2000)) for _ in range(10)))
    await writing
    for socket, since in clients:
        told = persisted(await grid.heard(socket))
        pages = [each for each in told if each["type"] in ("rows_deleted", "rows_created")]
        assert pages == await grid.logged(since, grid.rooms[2])
        assert len(set(ids(told))) == len(ids(told))
