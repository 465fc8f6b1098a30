"""`replay_events` where what was missed cannot be told, or is not for the client, who is told to read anew."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from server.namespaces import core_replay, core_socket
from server.parts import REGISTRY, STORE
from server.store import retention
from server.store.models import User
from server.store.transaction import Transaction
from tests.support.app import Server, database_away, running_server
from tests.support.core_2026 import (
    Grid,
    Message,
    arrive,
    ask_replay,
    count,
    ids,
    kinds,
    make_grid,
    newcomer,
    persisted,
    replayed,
    result,
)

LIMIT = 5


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Grid]:
    """A server that replays a handful of events."""
    settings: dict[str, Any] = {"database_url": database_url, "signup_creates_workspace": False, "replay_limit": LIMIT}
    async with running_server(**settings) as server:
        yield await make_grid(server)


async def assert_live(grid: Grid, *sockets: Any) -> None:
    """What happens from now on is told."""
    position = await grid.rename("live")
    for socket in sockets:
        assert ids(await grid.heard(socket)) == [position]


async def test_ids_from_the_future_ask_for_a_refresh(grid: Grid) -> None:
    """The database was restored from a backup, or the client belongs to another server."""
    head = await grid.rename("seen") + 1
    future = [head + 1, head + 1000, 2**62, 2**63, 2**64 - 1, str(head + 1), "9" * 30]
    sockets = [await arrive(grid.bob) for _ in future]
    await grid.rename("held, and part of what is to be read anew")
    for socket, last_seen in zip(sockets, future, strict=True):
        assert await replayed(grid, socket, last_seen) == ([], result(head, refresh=True), []), last_seen
    await assert_live(grid, *sockets)


async def test_a_reconnect_without_an_id_asks_for_a_refresh(grid: Grid) -> None:
    await grid.rename("missed")
    socket = await arrive(grid.bob)
    held = await grid.rename("held, and part of what is to be read anew")
    assert await replayed(grid, socket, 0) == ([], result(held, refresh=True), [])
    await assert_live(grid, socket)


async def test_what_was_pruned_asks_for_a_refresh(grid: Grid) -> None:
    pruned = await grid.rename("pruned")
    kept = await grid.rename("kept")
    await grid.rename("missed")
    prune = partial(retention.prune, keep_events=2, keep_seconds=3600)
    assert await grid.server.app[STORE].write(prune) == pruned
    late, early = await arrive(grid.bob), await arrive(grid.bob)
    assert await replayed(grid, late, pruned - 1) == ([], result(kept + 1, refresh=True), [])
    before, answer, after = await replayed(grid, early, pruned)
    assert (ids(before), answer, after) == ([kept, kept + 1], result(kept + 1), [])
    await assert_live(grid, late, early)


async def test_more_than_the_limit_asks_for_a_refresh(narrow: Grid) -> None:
    last_seen = await narrow.rename("seen")
    await narrow.record(LIMIT, f"core:workspace:{narrow.workspace}")
    just, many = await arrive(narrow.bob), await arrive(narrow.bob)
    before, answer, _ = await replayed(narrow, just, last_seen)
    assert (len(before), answer) == (LIMIT, result(last_seen + LIMIT))
    last = await narrow.rename("one too many")
    assert await replayed(narrow, many, last_seen) == ([], result(last, refresh=True), [])
    await narrow.record(LIMIT, f"core:table:{narrow.table}")
    narrow_page = await arrive(narrow.bob)
    await narrow_page.subscribe("table", table_id=narrow.table)
    assert (await replayed(narrow, narrow_page, last))[1] == result(last + LIMIT)
    for socket in (just, many):
        await narrow.heard(socket)
    await assert_live(narrow, just, many, narrow_page)


async def test_a_client_that_does_not_ask_is_told_to_refresh(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_replay, "HOLD", 0.05)
    before = await grid.rename("before")
    socket = await arrive(grid.bob)
    await socket.until(lambda: count(socket, "replay_events_result"))
    assert await grid.heard(socket) == [result(before, refresh=True)]
    await assert_live(grid, socket)


async def test_a_client_that_asks_too_late_gets_all_the_same_what_it_asks_for(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two may cross: the client asks while it is being told to refresh."""
    last_seen = await grid.rename("seen")
    missed = await grid.rename("missed")
    made: list[core_replay.CoreReplay] = []

    class Waiting(core_replay.CoreReplay):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(self)

    monkeypatch.setattr(core_socket, "CoreReplay", Waiting)
    socket = await arrive(grid.bob)
    held = await grid.rename("held and given up")
    await grid.delivered()
    made[0].refresh()
    live = await grid.rename("live")
    assert kinds(await grid.heard(socket)) == ["replay_events_result", "group_updated"]
    await ask_replay(socket, last_seen)
    told = await grid.heard(socket)
    assert (ids(told), told[-1]) == ([missed, held], result(live))
    await ask_replay(socket, last_seen)
    assert await grid.heard(socket) == [result(live)]


async def test_a_member_that_was_removed_meanwhile_hears_only_that(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.remove_bob()
    removed = await grid.server.log_position()
    await grid.rename("secret")
    await grid.add_row()
    socket = await arrive(grid.bob)
    await socket.send({"page": "table", "table_id": grid.table})
    before, answer, after = await replayed(grid, socket, last_seen)
    assert kinds(before)[0] == "page_refused" and kinds(persisted(before)) == ["group_user_deleted"]
    assert (answer["force_refresh"], after) == (False, []) and ids(before)[0] <= removed


async def test_a_readmitted_member_hears_nothing_from_between(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.remove_bob()
    secret = [await grid.rename("secret"), await grid.add_row()]
    await grid.ann.invite(grid.bob, grid.workspace)
    await grid.rename("for Bob again")
    socket = await arrive(grid.bob)
    before, answer, after = await replayed(grid, socket, last_seen)
    assert kinds(persisted(before)).count("group_updated") == 1 and not answer["force_refresh"]
    assert set(ids(before)).isdisjoint(secret) and after == []
    with_page = await arrive(grid.bob)
    await with_page.subscribe("table", table_id=grid.table)
    before, answer, after = await replayed(grid, with_page, last_seen)
    assert (before, answer["force_refresh"], after) == ([], True, [])
    for each in (socket, with_page):
        await grid.heard(each)
    await assert_live(grid, socket, with_page)


async def test_who_becomes_a_member_while_connected_hears_nothing_from_before(grid: Grid) -> None:
    eve = await newcomer(grid.server, "Eve")
    last_seen = await grid.server.log_position()
    first, again = await arrive(eve), await arrive(eve)
    before = [await grid.add_row(), await grid.rename("secret")]
    await grid.ann.invite(eve, grid.workspace)
    began = [await grid.add_row(), await grid.rename("for Eve")]
    for socket in (first, again):
        await socket.subscribe("table", table_id=grid.table)
    told, answer, held = await replayed(grid, first, -1)
    assert persisted(told) == [] and set(before).isdisjoint(ids(held)) and began[1] in ids(held)
    told, answer, held = await replayed(grid, again, last_seen)
    assert (persisted(told), answer["force_refresh"], held) == ([], True, [])
    await assert_live(grid, first, again)


async def test_a_socket_held_while_its_member_goes_and_comes(grid: Grid) -> None:
    socket = await arrive(grid.bob)
    await socket.subscribe("table", table_id=grid.table)
    seen = [await grid.rename("held"), await grid.add_row()]
    await grid.remove_bob()
    secret = [await grid.rename("secret"), await grid.add_row()]
    await grid.ann.invite(grid.bob, grid.workspace)
    last = await grid.rename("for Bob again")
    told: list[Message] = [*await grid.heard(socket)]
    assert kinds(told) == ["presence.space_discard", "page_discard"] or kinds(told)[-1] == "page_discard"
    before, answer, held = await replayed(grid, socket, -1)
    assert before == [] and set(secret + seen).isdisjoint(ids(held)) and ids(held)[-1] == last
    assert not answer["force_refresh"]


async def test_a_database_that_is_away_sends_the_client_back(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    missed = await grid.rename("missed")
    socket = await arrive(grid.bob)

    with database_away(grid.server):
        await ask_replay(socket, last_seen)
        await socket.until(lambda: socket.closed)
        assert socket.closed is not None and socket.closed[0] == 1012
    assert socket.rest() == [] and not grid.server.app[REGISTRY].subscribers
    assert ids((await replayed(grid, await arrive(grid.bob), last_seen))[0]) == [missed]


async def test_an_account_that_ended_hears_no_more(grid: Grid) -> None:
    """Its socket is still open: the log has not closed it yet."""
    last_seen = await grid.rename("seen")
    socket = await arrive(grid.bob)
    await grid.rename("secret")

    def end(tx: Transaction) -> None:
        User.update(is_active=False).where(User.id == grid.bob.id).execute()

    await grid.server.app[STORE].write(end)
    assert await replayed(grid, socket, last_seen) == ([], result(last_seen + 1, refresh=True), [])
