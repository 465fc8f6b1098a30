"""`presence.focus` on real sockets: at most 1 KiB, ten a second and as many at once, and no word about the rest."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from server.delivery.presence_focus import MAX_FOCUS, RATE
from tests.support.app import Person, RawSocket, running_server
from tests.support.core_2026 import Grid, arrive, ask_replay, kinds, make_grid

FLOOD = 300


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    async with running_server(database_url=f"sqlite:///{tmp_path}/test.sqlite3") as server:
        yield await make_grid(server)


async def on_page(grid: Grid, who: Person) -> RawSocket:
    socket = await arrive(who)
    await ask_replay(socket, -1)
    await socket.send({"page": "table", "table_id": grid.table})
    await socket.until(lambda: "presence.members" in kinds(socket.messages))
    return socket


async def say(socket: RawSocket, grid: Grid, focus: Any) -> None:
    await socket.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": focus})


async def test_a_flood_and_a_large_focus_reach_nobody_and_cost_nothing_else(grid: Grid) -> None:
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    await grid.heard(ann), await grid.heard(bob)
    began = time.monotonic()
    await say(ann, grid, "x" * MAX_FOCUS)
    await say(ann, grid, "x" * (MAX_FOCUS - 100))
    for number in range(FLOOD):
        await say(ann, grid, number)
    assert await grid.heard(ann) == [], "nothing is said about it, and she is served on"
    told = [message["focus"] for message in await grid.heard(bob)]
    most = RATE + (time.monotonic() - began) * RATE
    assert told[:3] == ["x" * (MAX_FOCUS - 100), 0, 1] and RATE - 1 <= len(told) <= most < FLOOD
    assert ann.closed is None
