"""`GET /api/events/stream`: what a stream tells, to whom, and from where it goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from server.auth.tokens import Tokens
from server.events import rooms
from server.parts import REGISTRY, STORE
from server.rest.context import TOKENS
from tests.support.app import SECRET, Person, Server, running_server
from tests.support.boards import make_board
from tests.support.core_2026 import Grid, make_grid
from tests.support.event_stream import PATH, StreamClient, Told

NOT_THERE = 2**31 - 1
Connect = Callable[..., Awaitable[StreamClient]]


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def connect(grid: Grid) -> AsyncIterator[Connect]:
    """Connects streams of the table and the workspace, or of other rooms; they end with the test."""
    clients: list[StreamClient] = []

    async def connected(*names: str, by: Person | None = None, since: Any = None, **headers: str) -> StreamClient:
        client = StreamClient(by or grid.bob, *(names or both(grid)))
        clients.append(client)
        return await client.connect(since, **headers)

    yield connected
    for client in clients:
        await client.drop()


def both(grid: Grid) -> tuple[str, str]:
    return f"table:{grid.table}", f"workspace:{grid.workspace}"


def has(stream: StreamClient, count: int) -> bool:
    return len(stream.told) >= count


async def logged(grid: Grid, after: int) -> list[Told]:
    """What the log says that the table and the workspace were told."""
    messages = await grid.logged(after, rooms.table(grid.table), rooms.workspace(grid.workspace))
    return [Told(message.pop("_event_id"), message["type"], message) for message in messages]


async def test_a_stream_tells_what_a_socket_is_told(grid: Grid, connect: Connect) -> None:
    socket = await grid.bob.core_socket()
    await socket.subscribe("table", table_id=grid.table)
    begin = await grid.server.log_position()
    stream = await connect()
    for number in range(4):
        await grid.add_row()
        await grid.rename(f"Team {number}")
    told = await stream.expect(*["rows_created", "group_updated"] * 4)
    assert told == await logged(grid, begin)
    assert [each.data for each in told] == await grid.heard(socket)
    assert stream.last_id == str(await grid.server.log_position())


async def test_a_client_that_was_told_nothing_yet_has_a_cursor(grid: Grid, connect: Connect) -> None:
    stream = await connect()
    position = await grid.server.log_position()
    assert (stream.last_id, stream.told) == (str(position), [])
    await stream.drop()
    await grid.add_row()
    await stream.connect()
    await stream.expect("rows_created")


async def test_the_callers_own_changes_are_told_too(grid: Grid, connect: Connect) -> None:
    socket = await grid.ann.core_socket()
    stream = await connect(by=grid.ann)
    await grid.add_row(socket=socket)
    await stream.expect("rows_created")


async def test_an_event_in_two_rooms_is_told_once(grid: Grid, connect: Connect) -> None:
    second = await grid.ann.workspace()
    names = (f"workspace:{grid.workspace}", f"workspace:{second}", f"workspace:{second}")
    begin = await grid.server.log_position()
    live = await connect(*names, by=grid.ann)
    await grid.ann.ok("PATCH", "/api/user/account/", {"first_name": "Anna"})
    await grid.rename("the last")
    late = await connect(*names, by=grid.ann, since=begin)
    for stream in (live, late):
        await stream.expect("user_updated", "group_updated")


async def test_rooms_of_all_kinds_in_one_order(grid: Grid, connect: Connect) -> None:
    board = await make_board(grid.ann)
    await grid.add_row()
    begin = await grid.server.log_position()
    names = (f"row:{grid.table}:1", f"items:{board.uuid}", f"items:{board.workspace}", *both(grid))
    live = await connect(*names, by=grid.ann)
    item = await board.item()
    await grid.ann.ok("PATCH", f"/api/database/rows/table/{grid.table}/1/?user_field_names=true", {"Name": "x"})
    await grid.ann.ok("DELETE", f"/items/{item['id']}")
    late = await connect(*names, by=grid.ann, since=begin)
    for stream in (live, late):
        await stream.until(lambda stream=stream: any(told.type == "item-removed" for told in stream.told))
        await stream.until(lambda stream=stream: stream.told[-1].type == "column-patched")
    assert live.told == late.told
    kinds = [told.type for told in live.told if not told.type.startswith("before_")]
    assert kinds == ["item-updated", "column-patched", "rows_updated", "row_history_updated", "item-removed",
                     "column-patched"]  # fmt: skip
    assert [told.data for told in live.told if told.type == "item-removed"] == [item["id"]]


async def test_a_client_that_loses_its_connection_again_and_again_misses_nothing(grid: Grid, connect: Connect) -> None:
    """Writers go on all the time; each connection is lost after some events, and the next one brings the last id."""
    begin = await grid.server.log_position()

    async def write(number: int) -> None:
        for count in range(12):
            await (grid.add_row() if count % 2 else grid.rename(f"{number}.{count}"))

    streams = [await connect() for _ in range(3)]
    writing = asyncio.gather(*(write(number) for number in range(4)))

    async def read(stream: StreamClient, some: int) -> None:
        while len(stream.told) < 48:
            enough = min(len(stream.told) + some, 48)
            await stream.until(partial(has, stream, enough))
            await stream.drop()
            await stream.connect()

    await asyncio.gather(*(read(stream, some) for some, stream in enumerate(streams, 3)))
    await writing
    expected = await logged(grid, begin)
    assert len(expected) == 48
    for stream in streams:
        assert stream.told == expected


async def test_since_names_the_position_and_the_header_wins(grid: Grid, connect: Connect) -> None:
    begin = await grid.server.log_position()
    first = await grid.add_row()
    second = await grid.add_row()
    assert [told.id for told in await (await connect(since=begin)).expect(*["rows_created"] * 2)] == [first, second]
    stream = await connect(since=begin, **{"Last-Event-ID": str(first)})
    assert [told.id for told in await stream.expect("rows_created")] == [second]
    nothing = await connect(since=second)
    assert (nothing.last_id, nothing.told) == (str(second), [])
    third = await grid.add_row()
    for each in (stream, nothing):
        assert [told.id for told in await each.expect("rows_created")] == [third]


async def refreshed(grid: Grid, stream: StreamClient) -> None:
    """The client is told to read anew, with the position from which events follow, and is live."""
    position = await grid.server.log_position()
    assert stream.told == [Told(position, "refresh", {"position": position})]
    assert stream.last_id == str(position)
    await grid.add_row()
    await stream.expect("refresh", "rows_created")


@pytest.mark.parametrize("header", [True, False])
async def test_what_is_no_position_is_answered_with_a_refresh(grid: Grid, connect: Connect, header: bool) -> None:
    for value in ("0", "", "-1", "x", "1.5", str(await grid.server.log_position() + 99), "9" * 18, "9" * 30):
        stream = await (connect(**{"Last-Event-ID": value}) if header else connect(since=value))
        await refreshed(grid, stream)
        await stream.drop()


async def test_a_past_that_was_pruned_is_answered_with_a_refresh(grid: Grid, connect: Connect) -> None:
    begin = await grid.server.log_position()
    await grid.add_row()
    await grid.add_row()
    prune = f"DELETE FROM event WHERE id <= {begin + 1}"
    await grid.server.app[STORE].write(lambda tx: tx.db.execute_sql(prune))
    await refreshed(grid, await connect(since=begin))
    await (await connect(since=begin + 1)).expect("rows_created", "rows_created")


async def test_more_than_the_replay_limit_is_answered_with_a_refresh(database_url: str) -> None:
    async with running_server(database_url=database_url, signup_creates_workspace=False, replay_limit=500) as server:
        grid = await make_grid(server)
        begin = await server.log_position()
        await grid.record(500, rooms.table(grid.table), rooms.workspace(grid.workspace))
        await grid.delivered()
        told = await StreamClient(grid.bob, *both(grid)).connect(begin)
        await told.until(lambda: len(told.told) == 500)
        assert told.told == await logged(grid, begin)
        await grid.record(1, rooms.table(grid.table))
        await grid.delivered()
        late = await StreamClient(grid.bob, *both(grid)).connect(begin)
        await refreshed(grid, late)
        for stream in (told, late):
            await stream.drop()


async def test_nothing_from_the_time_without_membership(grid: Grid, connect: Connect) -> None:
    before = await grid.server.log_position()
    await grid.remove_bob()
    await grid.rename("between")
    between = await grid.server.log_position()
    await grid.ann.invite(grid.bob, grid.workspace)
    for since in (before, between):
        await refreshed(grid, await connect(since=since))


async def test_a_stream_ends_with_the_last_of_its_rooms(grid: Grid, connect: Connect) -> None:
    own = await grid.bob.workspace()
    stream = await connect(*both(grid), f"workspace:{own}")
    only, others = await connect(), await connect(by=grid.ann)
    await grid.remove_bob()
    last = ["group_user_deleted", "room_discard", "room_discard"]
    assert {told.data["room"] for told in (await stream.expect(*last))[1:]} == set(both(grid))
    await only.end_of_stream()
    assert [told.type for told in only.told] == last
    await grid.rename("not for Bob")
    await grid.bob.ok("PATCH", f"/api/workspaces/{own}/", {"name": "for Bob"})
    (renamed,) = await stream.expect("group_updated")
    assert renamed.data["workspace"]["name"] == "for Bob"
    await others.expect("group_user_deleted", "group_updated")
    answer = await grid.bob.request("GET", PATH, params=[("room", both(grid)[0])])
    assert (answer.status, answer.body["error"]) == (400, "ERROR_USER_NOT_IN_GROUP")


async def test_a_table_that_is_deleted_ends_its_room(grid: Grid, connect: Connect) -> None:
    await grid.add_row()
    stream = await connect(f"row:{grid.table}:1", *both(grid))
    await grid.ann.ok("DELETE", f"/api/database/tables/{grid.table}/")
    await stream.until(lambda: any(told.type == "table_deleted" for told in stream.told))
    lost = [told for told in stream.told if told.type == "room_discard"]
    assert {told.data["room"] for told in lost} == {f"row:{grid.table}:1", f"table:{grid.table}"}
    assert [told.id for told in stream.told] == sorted(told.id for told in stream.told)
    await grid.rename("goes on")
    await stream.until(lambda: stream.told[-1].type == "group_updated")


async def test_the_end_of_the_sessions_ends_the_stream(grid: Grid, connect: Connect) -> None:
    stream, other = await connect(), await connect(by=grid.ann)
    body = {"old_password": "password-1234", "new_password": "another-password-1"}
    await grid.bob.ok("POST", "/api/user/change-password/", body)
    await stream.end_of_stream()
    await grid.add_row()
    await other.expect("rows_created")
    assert stream.told == []


async def test_a_stream_ends_with_its_token_and_goes_on_with_a_new_one(grid: Grid, connect: Connect) -> None:
    token, grid.bob.token = grid.bob.token, Tokens(SECRET, 1, 1).access(grid.bob.id)
    assert grid.server.app[TOKENS].read_access(grid.bob.token)
    stream = await connect()
    await grid.add_row()
    await stream.expect("rows_created")
    await stream.end_of_stream()
    assert stream.comments == ["token expired"]
    await grid.add_row()
    grid.bob.token = token
    await stream.connect()
    await stream.expect("rows_created")


async def test_refusals_are_ordinary_answers(grid: Grid) -> None:
    zoe = await grid.server.sign_up("Zoe")
    table, workspace = both(grid)

    async def ask(who: Person | None, *names: str, **headers: str) -> tuple[int, Any]:
        params = [("room", name) for name in names]
        if who is None:
            answer = await grid.server.request("GET", PATH, params=params, headers=headers)
        else:
            answer = await who.request("GET", PATH, params=params, headers=headers)
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, answer.body.get("error", answer.body["detail"])

    assert await ask(None, table) == (401, "Authentication credentials were not provided.")
    assert await ask(None, table, Authorization="JWT nonsense") == (401, "ERROR_INVALID_ACCESS_TOKEN")
    assert await ask(zoe, table) == (400, "ERROR_USER_NOT_IN_GROUP")
    assert await ask(zoe, table, **{"Last-Event-ID": "1"}) == (400, "ERROR_USER_NOT_IN_GROUP")
    assert await ask(grid.bob, table, f"table:{NOT_THERE}") == (404, "ERROR_TABLE_DOES_NOT_EXIST")
    assert await ask(grid.bob, f"workspace:{NOT_THERE}") == (404, "ERROR_GROUP_DOES_NOT_EXIST")
    for names in ((), ("nonsense",), ("core:table:1",), (workspace,) * 201):
        assert await ask(grid.bob, *names) == (400, "ERROR_QUERY_PARAMETER_VALIDATION")
    query = f"?room={table}&token={grid.bob.token}&jwt_token={grid.bob.token}"
    assert (await grid.server.request("GET", PATH + query)).status == 401, "a token in the address is none"
    assert not grid.server.app[REGISTRY].subscribers
