"""`replay_events` on `/ws/core/`: a 2026 client that comes back is told what it missed, in order and once."""

import uuid

import pytest

from server.delivery import relay
from tests.support.app import Server
from tests.support.core_2026 import (
    Grid,
    arrive,
    ask_replay,
    ids,
    kinds,
    make_grid,
    newcomer,
    persisted,
    replayed,
    result,
)

GARBAGE = [(), (-1,), ("x",), ("",), (True,), (-5,), (1.5,), (None,), ([7],), ({"id": 7},)]


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


async def test_a_first_connect_wants_a_baseline_and_all_since(grid: Grid) -> None:
    await grid.rename("before")
    start = await grid.server.log_position()
    sockets = [await arrive(grid.bob) for _ in GARBAGE]
    for socket in sockets:
        await socket.subscribe("table", table_id=grid.table)
    await grid.rename("held")
    await grid.add_row()
    held = await grid.logged(start)
    for socket, last_seen in zip(sockets, GARBAGE, strict=True):
        assert persisted(await grid.heard(socket)) == [], "held until the client asks"
        before, answer, after = await replayed(grid, socket, *last_seen)
        assert (before, answer, after) == ([], result(start), held), last_seen
    live = await grid.rename("live")
    assert [ids(await grid.heard(socket)) for socket in sockets] == [[live]] * len(sockets)


async def test_more_is_held_than_the_relay_remembers(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", 2)
    socket = await arrive(grid.bob)
    start = await grid.server.log_position()
    await grid.record(9, f"core:workspace:{grid.workspace}")
    await grid.add_row()
    await socket.subscribe("table", table_id=grid.table)
    before, answer, after = await replayed(grid, socket, -1)
    assert (before, answer, after) == ([], result(start), await grid.logged(start)), "the row before the page too"


async def test_a_baseline_of_a_log_that_is_empty(server: Server) -> None:
    eve = await newcomer(server, "Eve")
    assert await server.log_position() == 0
    socket, late = await arrive(eve), await arrive(eve)
    await ask_replay(socket, -1)
    await socket.expect("replay_events_result")
    await eve.workspace()
    await ask_replay(late, -1)
    assert await late.expect("replay_events_result", "group_created") == [
        result(0),
        *await socket.expect("group_created"),
    ]


async def test_a_baseline_when_nothing_happened_names_the_end(grid: Grid) -> None:
    socket = await arrive(grid.bob)
    assert await replayed(grid, socket, -1) == ([], result(await grid.server.log_position()), [])


async def test_missed_events_come_in_order_then_the_result_then_the_held(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    for number in range(3):
        await grid.add_row()
        await grid.rename(f"missed {number}")
    await grid.ann.ok("PATCH", "/api/user/account/", {"first_name": "Anna"})
    missed = await grid.logged(last_seen)
    socket = await arrive(grid.bob)
    await socket.subscribe("table", table_id=grid.table)
    await grid.add_row()
    await grid.rename("held")
    before, answer, after = await replayed(grid, socket, last_seen)
    assert (before, answer["force_refresh"]) == (missed, False)
    assert after == (await grid.logged(last_seen))[len(missed) :] and kinds(after)[-1] == "group_updated"
    assert ids(missed)[-1] <= answer["latest_event_id"] < ids(after)[0]
    await grid.add_row()
    assert ids(await grid.heard(socket)) == [await grid.server.log_position()]


async def test_one_that_missed_nothing_is_told_so(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    socket = await arrive(grid.bob)
    assert await replayed(grid, socket, last_seen) == ([], result(last_seen), [])


async def test_an_id_may_come_as_text(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.rename("missed")
    before, answer, _ = await replayed(grid, await arrive(grid.bob), str(last_seen))
    assert (ids(before), answer["force_refresh"]) == ([last_seen + 1], False)


async def test_only_the_rooms_of_the_client_are_replayed(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    other = await grid.ann.workspace("Private")
    await grid.ann.ok("PATCH", f"/api/workspaces/{other}/", {"name": "Secret"})
    await grid.add_row()  # the page is not subscribed
    missed = await grid.rename("missed")
    before, _, after = await replayed(grid, await arrive(grid.bob), last_seen)
    assert (ids(before), after) == ([missed], [])


async def test_a_page_that_was_subscribed_before_gets_what_it_missed(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.add_row()
    socket = await arrive(grid.bob)
    await grid.add_row()
    for spelled in (grid.table, str(grid.table)):  # one room, whose events come once
        await socket.subscribe("table", table_id=spelled)
    before, _, after = await replayed(grid, socket, last_seen)
    assert before + after == await grid.logged(last_seen)
    assert kinds(before + after) == ["rows_created"] * 2


async def test_own_changes_are_left_out_and_what_others_do_in_my_name_is_not(grid: Grid) -> None:
    last_seen, mine = await grid.rename("seen"), str(uuid.uuid4())
    socket = await arrive(grid.bob, mine)
    await socket.subscribe("table", table_id=grid.table)
    await replayed(grid, socket, -1)
    await grid.add_row(grid.bob, socket=socket)
    await socket.close()
    await grid.add_row(grid.bob, socket=socket)
    foreign = await grid.add_row(grid.ann, socket=socket)
    other = await grid.add_row(grid.bob)
    back = await arrive(grid.bob, mine)
    await back.subscribe("table", table_id=grid.table)
    await grid.add_row(grid.bob, socket=back)
    held = await grid.add_row(grid.ann, socket=back)
    before, _, after = await replayed(grid, back, last_seen)
    assert (ids(before), ids(after)) == ([foreign, other], [held])


async def test_another_tab_of_mine_hears_what_this_one_did(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    here = await arrive(grid.ann)
    await grid.rename("mine", socket=here)
    before, _, _ = await replayed(grid, await arrive(grid.ann), last_seen)
    assert kinds(before) == ["group_updated"]
    assert await replayed(grid, here, last_seen) == ([], result(last_seen + 1), [])


async def test_asking_again_repeats_nothing(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.rename("missed")
    socket = await arrive(grid.bob)
    await socket.subscribe("table", table_id=grid.table)
    await grid.rename("held")
    await replayed(grid, socket, last_seen)
    live = await grid.add_row()
    assert ids(await grid.heard(socket)) == [live]
    for again in (last_seen, live, -1):
        assert await replayed(grid, socket, again) == ([], result(live), [])
    await grid.rename("still live")
    assert ids(await grid.heard(socket)) == [live + 1]


async def test_two_replays_in_one_breath_repeat_nothing(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    missed = await grid.rename("missed")
    socket = await arrive(grid.bob)
    await ask_replay(socket, last_seen)
    await ask_replay(socket, last_seen)
    told = await grid.heard(socket)
    assert (ids(told), kinds(told)[1:]) == ([missed], ["replay_events_result"] * 2)


async def test_a_page_opened_later_is_replayed_when_asked_for(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    missed = await grid.add_row()
    socket = await arrive(grid.bob)
    await replayed(grid, socket, last_seen)
    await socket.subscribe("table", table_id=grid.table)
    before, _, after = await replayed(grid, socket, last_seen)
    assert (ids(before), after) == ([missed], [])


async def test_a_client_without_an_own_id_may_ask_too(grid: Grid) -> None:
    last_seen = await grid.rename("seen")
    await grid.rename("missed")
    socket = await grid.bob.core_socket()
    await grid.rename("told at once, as to a classic client")
    (classic,) = await grid.heard(socket)
    assert "_event_id" not in classic
    before, answer, after = await replayed(grid, socket, last_seen)
    assert (ids(before), answer, after) == ([last_seen + 1], result(last_seen + 2), [])
    await grid.rename("live")
    assert ids(await grid.heard(socket)) == [last_seen + 3]


async def test_an_anonymous_visitor_has_missed_nothing(grid: Grid) -> None:
    socket = await arrive(grid.bob, jwt_token="anonymous")
    await socket.send({"page": "table", "table_id": grid.table})
    last_seen = await grid.rename("not for visitors")
    await socket.expect("page_refused")
    assert await replayed(grid, socket, -1) == ([], result(last_seen - 1), [])
    assert await replayed(grid, socket, last_seen - 1) == ([], result(last_seen, refresh=True), [])
    await grid.rename("nor this")
    assert await grid.heard(socket) == []


async def test_a_classic_socket_sees_nothing_of_2026(grid: Grid) -> None:
    socket = await grid.server.websocket(f"/ws/core/?jwt_token={grid.bob.token}&web_socket_id=not-a-uuid")
    (welcome,) = await socket.expect("authentication")
    assert set(welcome) == {"type", "success", "web_socket_id"} and welcome["web_socket_id"] != "not-a-uuid"
    await socket.subscribe("table", table_id=grid.table)
    await (await arrive(grid.ann)).subscribe("table", table_id=grid.table)
    await socket.send({"page": "table", "table_id": 2**31 - 1})
    await socket.send({"page": "unknown"})
    await grid.rename("told")
    await grid.add_row()
    told = await grid.heard(socket)
    assert kinds(told) == ["group_updated", "rows_created"] and persisted(told) == []
    await socket.send({"remove_page": "table", "table_id": grid.table})
    assert kinds(await grid.heard(socket)) == ["page_discard"]
