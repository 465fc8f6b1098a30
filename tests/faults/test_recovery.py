"""Socket.IO connection state recovery, case by case (contract items.md, mirrors.md)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.parts import RELAY, SESSIONS, SOCKETIO
from server.store.history import History, read_history
from tests.integration.conftest import server
from tests.support.app import PASSWORD, PATIENCE, Person, Server
from tests.support.boards import Board, make_board
from tests.support.socketio_client import Event, Refused, SessionClient, session_client

__all__ = ["server"]


@pytest.fixture
async def board(server: Server) -> Board:
    return await make_board(await server.sign_up("Ann"))


@pytest.fixture
async def client(board: Board) -> AsyncIterator[SessionClient]:
    """A client of `/events` that has selected the board's workspace."""
    async with session_client(board.ann.server.url, "/events", board.ann.token) as connected:
        assert (await connected.call("select-workspace", board.uuid))["ok"]
        yield connected


def ids(events: list[Event]) -> list[Any]:
    """What items and columns the events are about."""
    return [argument if isinstance(argument, str) else argument["id"] for _, (argument,) in events]


async def told(client: SessionClient, board: Board, *items: Any) -> None:
    """Waits for these items, each followed by its column, and for nothing else."""
    expected = [one for item in items for one in (item["id"], board.columns[0])]
    assert ids(await client.until(len(expected))) == expected
    client.events.clear()


async def quiet(client: SessionClient) -> None:
    """An acknowledged call comes after everything that was told before it."""
    await client.call("select-workspace", "nonsense")
    assert client.events == []


async def test_missed_events_come_in_order_and_once_and_the_identity_stays(client: SessionClient, board: Board) -> None:
    await told(client, board, await board.item("before"))
    before = client.sid, client.pid
    await client.drop()
    missed = [await board.item(f"missed {number}") for number in range(3)]
    await client.connect()
    assert client.recovered and (client.sid, client.pid) == before
    await told(client, board, *missed)
    await told(client, board, await board.item("live"))


async def test_recovery_after_zero_events_begins_with_the_session(client: SessionClient, board: Board) -> None:
    """socketio/socket.io#5538: the client sends its pid without an offset, since it has received nothing."""
    await client.drop()
    missed = await board.item("missed")
    assert client.offset is None
    await client.connect()
    assert client.recovered
    await told(client, board, missed)


async def test_recovery_after_only_item_removed(server: Server, client: SessionClient, board: Board) -> None:
    """The one event whose argument is a text, which a client without an offset after it would take for the offset."""
    item = await board.item("gone soon")
    await told(client, board, item)
    client.offset = None
    await board.ann.ok("DELETE", f"/items/{item['id']}")
    assert [name for name, _ in await client.until(2)] == ["item-removed", "column-patched"]
    assert client.offset == str(await server.log_position())
    client.events.clear()
    await client.drop()
    missed = await board.item("missed")
    await client.connect()
    assert client.recovered
    await told(client, board, missed)


async def removed_member(server: Server, board: Board) -> tuple[Person, int]:
    """Bob, and the id of his membership."""
    bob = await server.sign_up("Bob")
    await board.ann.invite(bob, board.workspace)
    members = await board.ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    return bob, members[1]["id"]


async def test_recovery_after_only_workspace_deselected(server: Server, board: Board) -> None:
    bob, membership = await removed_member(server, board)
    async with session_client(server.url, "/events", bob.token) as client:
        await client.call("select-workspace", board.uuid)
        await board.ann.ok("DELETE", f"/api/workspaces/users/{membership}/")
        assert await client.until(1) == [("workspace-deselected", [board.uuid])]
        await client.drop()
        await board.item("secret")
        await client.connect()
        assert client.recovered
        client.events.clear()
        await quiet(client)


async def test_a_selection_that_ended_meanwhile_is_told_at_its_place(server: Server, board: Board) -> None:
    """What the connection would have been told: the item before the removal, its end, nothing of the time after."""
    bob, membership = await removed_member(server, board)
    async with session_client(server.url, "/events", bob.token) as client:
        await client.call("select-workspace", board.uuid)
        await client.drop()
        item = await board.item("still a member")
        await board.ann.ok("DELETE", f"/api/workspaces/users/{membership}/")
        await board.item("secret")
        await board.ann.invite(bob, board.workspace)
        await board.item("a member again, but nothing is selected")
        await client.connect()
        assert client.recovered
        names = [name for name, _ in await client.until(1)]
        assert names == ["workspace-deselected"], "no longer entitled when it is read: the item is not told either"
        assert item
        client.events.clear()
        await quiet(client)


async def test_an_end_that_did_not_arrive_is_told_again(server: Server, board: Board) -> None:
    """Though the session was kept after it, and on the first connection that it has."""
    bob, membership = await removed_member(server, board)
    async with session_client(server.url, "/events", bob.token) as client:
        await client.call("select-workspace", board.uuid)
        await told(client, board, await board.item("before"))
        arrived = client.offset
        await board.ann.ok("DELETE", f"/api/workspaces/users/{membership}/")
        assert await client.until(1) == [("workspace-deselected", [board.uuid])]
        assert (await client.call("deselect-workspace"))["ok"]
        await client.drop()
        client.events.clear()
        client.offset = arrived
        await client.connect()
        assert client.recovered
        assert await client.until(1) == [("workspace-deselected", [board.uuid])]


async def test_the_old_connection_is_half_open(server: Server, client: SessionClient, board: Board) -> None:
    manager = server.app[SOCKETIO].manager
    await told(client, board, await board.item("before"))
    client.leave_half_open()
    old = manager.clients[client.sid].eio_sid
    missed = await board.item("missed")
    await client.connect()
    assert client.recovered
    await told(client, board, missed)
    assert manager.clients[client.sid].eio_sid != old
    async with asyncio.timeout(PATIENCE):
        while old in server.app[SOCKETIO].eio.sockets:
            await asyncio.sleep(0)
    await told(client, board, await board.item("live"))


async def test_a_stolen_pid_opens_nothing(server: Server, client: SessionClient, board: Board) -> None:
    eve = await server.sign_up("Eve")
    async with session_client(server.url, "/events", eve.token) as thief:
        thief.pid, thief.offset = client.pid, "1"
        await thief.drop()
        await board.item("secret")
        await thief.connect()
        assert not thief.recovered
        assert thief.sid != client.sid
        await quiet(thief)
    await client.until(2)  # the owner's connection was not touched
    thief = SessionClient(server.url, "/events", "nonsense", pid=client.pid)
    with pytest.raises(Refused, match="Unauthorized"):
        await thief.connect()
    await thief.end()


async def test_a_client_that_said_goodbye_begins_anew(client: SessionClient, board: Board) -> None:
    await told(client, board, await board.item("before"))
    await client.say_goodbye()
    await quiet_end(client)
    await client.connect()
    assert not client.recovered


async def quiet_end(client: SessionClient) -> None:
    """Waits until the server has taken the goodbye: a second CONNECT on the same connection is no second client."""
    await client.drop()


async def test_sessions_that_were_ended_are_not_recovered(client: SessionClient, board: Board) -> None:
    await client.drop()
    body = {"old_password": PASSWORD, "new_password": "another-password"}
    await board.ann.ok("POST", "/api/user/change-password/", body)
    with pytest.raises(Refused, match="Unauthorized"):
        await client.connect()
    login = {"email": board.ann.email, "password": "another-password"}
    answer = await board.ann.server.request("POST", "/api/user/token-auth/", login)
    client.auth["token"] = answer.body["access_token"]
    await client.connect()
    assert not client.recovered


async def test_a_thousand_missed_events_while_others_write(server: Server, client: SessionClient, board: Board) -> None:
    await client.drop()
    path = f"/workflows/{board.workflow['id']}"
    for number in range(30):
        await board.item(f"missed {number}")

    async def write() -> None:
        for number in range(40):
            await board.item(f"during {number}")

    writer = asyncio.create_task(write())
    for _ in range(8):
        await client.connect()
        assert client.recovered
        await client.until(len(client.events) + 1)
        await client.drop()
    await writer
    await client.connect()
    events = await client.until(140)
    names = [argument["name"] for name, (argument,) in events if name == "item-updated"]
    assert names == [f"missed {n}" for n in range(30)] + [f"during {n}" for n in range(40)]
    assert path
    client.events.clear()
    await quiet(client)


async def test_connections_that_do_not_ask_get_no_pid_and_no_offset(server: Server, board: Board) -> None:
    async with session_client(server.url, "/events", board.ann.token, recovery=False) as client:
        assert client.pid is None
        await client.call("select-workspace", board.uuid)
        await board.item()
        assert [len(arguments) for _, arguments in await client.until(2)] == [1, 1]


async def test_core_pages_and_workspaces_are_recovered(server: Server, board: Board) -> None:
    """Pages, the rooms of the user and the workspaces; a workspace that came meanwhile; own changes stay left out."""
    ann = board.ann
    table = await ann.table(await ann.database(board.workspace))
    rows = f"/api/database/rows/table/{table}/"
    async with session_client(server.url, "/core", ann.token) as client:
        answer = await client.call("page", {"page": "table", "table_id": table})
        assert answer["ok"]
        assert [name for name, _ in await client.until(2)] == ["page_add", "presence.members"]
        client.events.clear()
        await client.drop()
        await ann.ok("POST", rows, {})
        await ann.ok("POST", rows, {}, headers={"WebSocketId": client.sid})
        new = await ann.workspace("New")
        await ann.database(new, "In it")
        await client.connect()
        assert client.recovered
        wanted = ["rows_created", "group_created", "application_created", "presence.members"]
        names = [name for name, _ in await client.until(len(wanted))]
        assert [name for name in names if name != "row_history_updated"][: len(wanted)] == wanted


async def test_presence_between_two_events_does_not_turn_the_offset_back(server: Server, board: Board) -> None:
    ann = board.ann
    table = await ann.table(await ann.database(board.workspace))
    rows = f"/api/database/rows/table/{table}/"
    page = {"page": "table", "table_id": table}
    async with (
        session_client(server.url, "/core", ann.token) as client,
        session_client(server.url, "/core", ann.token) as other,
    ):
        await client.call("page", page)
        await ann.ok("POST", rows, {})
        await other.call("page", page)
        await other.call("remove_page", page)
        await ann.ok("POST", rows, {})
        await until_named(client, "rows_created", 2)
        names = [name for name, _ in client.events]
        assert names.index("presence.join") < names.index("presence.leave") < len(names) - 1
        await other.call("page", page)
        await until_named(client, "presence.join", 2)
        assert client.offset == str(await server.log_position())
        await client.drop()
        await ann.ok("POST", rows, {})
        await client.connect()
        assert client.recovered
        await until_named(client, "rows_created", 3)
        assert [name for name, _ in client.events].count("rows_created") == 3


async def test_the_acknowledgement_comes_before_what_follows_it(
    server: Server, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something happens while the selection is made durable: it is told after the answer that names the position."""
    kept = server.app[SESSIONS].keep

    async def keep(who: Any) -> bool:
        await board.item("meanwhile")
        await server.app[RELAY].reached(await server.log_position())
        return await kept(who)

    async with session_client(server.url, "/events", board.ann.token) as client:
        monkeypatch.setattr(server.app[SESSIONS], "keep", keep)
        before = await server.log_position()
        assert (await client.call("select-workspace", board.uuid))["position"] == before
        await client.until(2)
        assert client.came == ["ack", "item-updated", "column-patched"]


async def test_what_the_client_has_is_neither_read_again_nor_counted(
    server: Server, client: SessionClient, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The story: a client that had long been connected to a busy page was told to begin anew, or waited until all that
    it had been told since it came had been read once more."""
    await told(client, board, *[await board.item(f"had {number}") for number in range(5)])
    monkeypatch.setattr(server.app[SESSIONS], "replay_limit", 4)
    monkeypatch.setattr(server.app[RELAY], "recent", lambda cursor: None if cursor < server.app[RELAY].cursor else [])
    read: list[str] = []
    monkeypatch.setattr(
        "server.delivery.sessions.read_history",
        lambda *args, **how: noted(read, read_history(*args, **how)),
    )
    await client.drop()
    missed = await board.item("missed")
    await client.connect()
    assert client.recovered
    await told(client, board, missed)
    assert set(read) == {"item-updated", "column-patched"} and len(read) == 3, (
        "one to know that there is any, then both"
    )


def noted(read: list[str], history: History | None) -> History | None:
    assert history is not None
    read.extend(event.type for event in history.events)
    return history


async def test_a_page_in_two_spellings_of_which_one_was_left(server: Server, board: Board) -> None:
    """Its room was left, yet the other spelling stays listed: the session must not trip over that."""
    table = await board.ann.table(await board.ann.database(board.workspace))
    async with session_client(server.url, "/core", board.ann.token) as client:
        for spelling in (table, str(table)):
            assert (await client.call("page", {"page": "table", "table_id": spelling}))["ok"]
        assert (await client.call("remove_page", {"page": "table", "table_id": table}))["ok"]
        await client.drop()
        await client.connect()
        assert client.recovered
        client.events.clear()
        await board.ann.ok("POST", f"/api/database/rows/table/{table}/", {})
        await board.ann.workspace("Marker")
        assert [name for name, _ in await client.until(1)] == ["group_created"]


async def test_a_recovery_that_fails_ends_the_connection(
    server: Server, client: SessionClient, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is welcome before it is told what it missed: it must not stay, hear nothing and not know."""
    await client.drop()
    item = await board.item("missed")
    with monkeypatch.context() as fault:
        fault.setattr("server.delivery.sessions.Recovery.meet", lambda *_: 1 / 0)
        await client.connect()
        await asyncio.wait_for(client.ended.wait(), PATIENCE)
    assert not server.app[SOCKETIO].manager.clients
    await client.connect()
    assert client.recovered
    await told(client, board, item)


async def until_named(client: SessionClient, name: str, count: int) -> None:
    """Waits for so many events of a name."""
    while [seen for seen, _ in client.events].count(name) < count:
        await client.until(len(client.events) + 1)
