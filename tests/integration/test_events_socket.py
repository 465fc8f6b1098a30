"""`/ws/events/`: the items of a selected workspace as raw JSON."""

import asyncio
import gc
import json
import random
import time
import uuid
import weakref
from functools import partial
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from server.delivery import relay
from server.events import rooms
from server.events.items import ItemUpdated
from server.namespaces import admission
from server.parts import REGISTRY, STORE
from server.store import log, retention
from server.store.transaction import Transaction
from tests.support.app import PASSWORD, PATIENCE, SECRET, Person, RawSocket, Server, database_away
from tests.support.boards import Board, Connect, make_board
from tests.support.core_2026 import between_chunks, kinds

Message = dict[str, Any]
ERROR = {"type": "error", "error": "ERROR_MALFORMED_FRAME"}
GONE = [0, -1, "x", "", True, 1.5, [1], {}, 2**62, "9" * 30]


async def arrive(who: Person, token: str | None = None, **query: str) -> RawSocket:
    """A socket that was let in."""
    given = {"jwt_token": token or who.token} | query
    socket = await who.server.websocket(f"/ws/events/?{urlencode(given)}")
    welcome = await socket.next()
    socket.id = welcome["web_socket_id"]
    assert welcome == {"type": "authentication", "success": True, "web_socket_id": str(uuid.UUID(socket.id))}
    return socket


async def select(socket: RawSocket, workspace: Any, *since: Any) -> list[Message]:
    """Asks for a selection; what came until it was confirmed."""
    await socket.send({"select-workspace": workspace} | ({"since": since[0]} if since else {}))
    told = [await socket.next()]
    while told[-1]["type"] not in ("workspace-selected", "workspace-refused"):
        told.append(await socket.next())
    return told


async def rest(socket: RawSocket) -> list[Message]:
    """What else arrived: a refusal comes after everything that was told before it."""
    return (await select(socket, "nonsense"))[:-1]


def selected(workspace: Any, position: int) -> Message:
    return {"type": "workspace-selected", "workspace": workspace, "position": position}


async def logged(board: Board, after: int) -> list[Message]:
    """What the log says that sockets with offsets are told above a position."""
    places = {rooms.items(board.workspace): after}
    events = await board.ann.server.app[STORE].read(lambda tx: log.read_rooms(tx.db, places, 1_000_000))
    return [{"type": event.type, "data": json.loads(event.payload), "offset": event.id} for event in events]


def bare(messages: list[Message]) -> list[Message]:
    """Messages as sockets without offsets get them."""
    return [{"type": message["type"], "data": message["data"]} for message in messages]


async def test_refused_tokens_are_told_so_and_closed(server: Server, board: Board) -> None:
    unsigned = jwt.encode({"token_type": "access", "user_id": board.ann.id, "exp": 2**31}, "", algorithm="none")
    for query in ["", *(f"?jwt_token={each}" for each in ("", "x", "anonymous", board.ann.refresh_token, unsigned))]:
        socket = await server.websocket(f"/ws/events/{query}")
        await socket.until(lambda socket=socket: socket.closed)
        assert socket.messages == [{"type": "authentication", "success": False, "web_socket_id": None}]
        assert socket.closed == (4401, "token refused")
    assert (await server.request("GET", f"/ws/events/?jwt_token={board.ann.token}")).status == 404
    assert not server.app[REGISTRY].subscribers


async def test_select_workspace_and_deselect_workspace(board: Board) -> None:
    other = await make_board(board.ann)
    plain, marked = await arrive(board.ann), await arrive(board.ann, offsets="true")
    await board.item("before any selection")
    start = await board.position()
    for socket in (plain, marked):
        for spelling in (str(board.workspace), board.workspace, board.uuid):
            assert await select(socket, spelling) == [selected(spelling, start)], "the same again changes nothing"
    item = await board.item()
    await board.ann.ok("DELETE", f"/items/{item['id']}")
    expected = await logged(board, start)
    assert kinds(expected) == ["item-updated", "column-patched", "item-removed", "column-patched"]
    assert (expected[0]["data"], expected[2]["data"]) == (item, item["id"])
    assert await rest(marked) == expected and await rest(plain) == bare(expected)

    now = await board.position()
    assert await select(plain, other.uuid) == [selected(other.uuid, now)]
    await board.item("not heard")
    item = await other.item("heard")
    assert [each["data"]["id"] for each in await rest(plain)] == [item["id"], other.columns[0]]
    for _ in range(2):
        await plain.send({"deselect-workspace": True})
    await other.item("not heard")
    assert await rest(plain) == [{"type": "workspace-deselected"}] * 2


async def test_a_frame_that_deselects_and_selects_replaces_the_selection(board: Board) -> None:
    other = await make_board(board.ann)
    socket = await arrive(board.ann)
    await select(socket, board.workspace)
    await socket.send({"deselect-workspace": True, "select-workspace": other.workspace})
    await socket.expect("workspace-deselected", "workspace-selected")
    await socket.send({"deselect-workspace": False})
    await board.item()
    await other.item()
    assert kinds(await rest(socket)) == ["item-updated", "column-patched"]


async def test_a_refused_selection_joins_nothing_and_keeps_what_was(server: Server, board: Board) -> None:
    stranger = await make_board(await server.sign_up("Bob"))
    socket = await arrive(board.ann)
    await select(socket, board.uuid)
    for wrong in [stranger.uuid, stranger.workspace, str(uuid.uuid4()), 0, -1, 2**63, True, "", "x\0"]:
        assert await select(socket, wrong) == [{"type": "workspace-refused", "workspace": wrong}]
        assert await select(socket, wrong, 1) == [{"type": "workspace-refused", "workspace": wrong}]
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    for wrong in (None, 1.5, [], {}, deep):
        assert await select(socket, wrong) == [{"type": "workspace-refused", "workspace": None}]
    await stranger.item()
    item = await board.item()
    assert [each["data"]["id"] for each in await rest(socket)] == [item["id"], board.columns[0]]


async def test_malformed_frames_are_answered_and_the_tenth_closes(board: Board) -> None:
    socket = await arrive(board.ann)
    await select(socket, board.uuid)
    for frame in ("", "nonsense", "[]", "5", '"select-workspace"', "null", '{"a":'):
        await socket.send(frame)
    await socket.connection.send_bytes(b'{"select-workspace": 1}')
    for ignored in ({}, {"page": 5}, {"type": "ping"}, {"since": 1}, {"deselect-workspace": "yes"}):
        await socket.send(ignored)
    assert await rest(socket) == [ERROR] * 8
    item = await board.item()
    assert (await rest(socket))[0]["data"] == item
    await socket.send("ninth")
    await socket.send("tenth")
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1008, "malformed frames") and socket.rest() == [ERROR] * 2


async def test_what_was_missed_comes_before_the_confirmation(board: Board) -> None:
    await board.item("seen")
    since = await board.position()
    await board.item("missed")
    missed = await logged(board, since)
    for given in (since, str(since)):
        plain, marked = await arrive(board.ann), await arrive(board.ann, offsets="true")
        assert await select(plain, board.uuid, given) == [*bare(missed), selected(board.uuid, since)]
        assert await select(marked, board.uuid, given) == [*missed, selected(board.uuid, since)]
        assert await select(marked, board.uuid, given) == [selected(board.uuid, since)], "told once"
    await board.item("live")
    assert await rest(marked) == (await logged(board, since))[len(missed) :]


async def test_a_past_that_is_gone_is_a_refresh_and_the_selection_is_live(board: Board) -> None:
    pruned = await board.position()
    await board.item()
    await board.item()
    await board.ann.server.app[STORE].write(partial(retention.prune, keep_events=1, keep_seconds=3600))
    for since in [*GONE, pruned]:
        head = await board.position()
        socket = await arrive(board.ann)
        refresh = {"type": "refresh", "workspace": board.uuid, "position": head}
        assert await select(socket, board.uuid, since) == [refresh, selected(board.uuid, head)], since
        item = await board.item()
        assert (await rest(socket))[0]["data"] == item


@pytest.mark.parametrize("remembered", [2048, 64])
async def test_no_gap_and_no_double_while_writers_write(
    board: Board, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", remembered)
    monkeypatch.setattr(admission, "CHUNK", 50)
    start, store = await board.position(), board.ann.server.app[STORE]
    await store.write(partial(tell_many, workspace=board.workspace, count=1000))

    async def write() -> None:
        for size in range(40):
            await store.write(partial(tell_many, workspace=board.workspace, count=size))
            await board.item()

    async def come(since: int) -> tuple[RawSocket, list[Message], int]:
        socket = await arrive(board.ann, offsets="true")
        return socket, await select(socket, board.uuid, since), since

    writing = asyncio.create_task(write())
    clients = await asyncio.gather(*(come(random.randint(start, start + 1000)) for _ in range(6)))
    await writing
    for socket, told, since in clients:
        assert told.pop() == selected(board.uuid, since)
        assert told + await rest(socket) == await logged(board, since)


def tell_many(tx: Transaction, *, workspace: int, count: int) -> None:
    for number in range(count):
        tx.record(ItemUpdated({"id": str(number)}), rooms.items(workspace))


async def test_both_styles_tell_the_same_in_the_same_order(board: Board, listen: Connect) -> None:
    socketio = await listen(board.ann, board.uuid)
    raw = await arrive(board.ann, offsets="true")
    (confirmed,) = await select(raw, board.workspace)

    async def work(number: int) -> None:
        item = await board.item(str(number))
        await board.ann.ok("PATCH", f"/items/{item['id']}", {"column_id": board.columns[1], "name": "moved"})
        await board.ann.ok("DELETE", f"/items/{item['id']}")

    await asyncio.gather(*(work(number) for number in range(10)))
    expected = await logged(board, confirmed["position"])
    assert await rest(raw) == expected and len(expected) == 70
    assert await socketio.take(70) == [(each["type"], each["data"]) for each in expected]
    missed = await arrive(board.ann)
    assert (await select(missed, board.uuid, confirmed["position"]))[:-1] == bare(expected)


async def test_the_originators_own_socket_is_left_out(board: Board) -> None:
    own, other = await arrive(board.ann), await arrive(board.ann)
    for socket in (own, other):
        await select(socket, board.uuid)
    body = {"column_id": board.columns[0], "name": "mine"}
    await board.ann.ok("POST", "/items", body, socket=own)
    assert await rest(own) == [] and kinds(await rest(other)) == ["item-updated", "column-patched"]


async def test_membership_lost_deselects_and_nothing_comes_after(server: Server, board: Board) -> None:
    bob = await server.sign_up("Bob")
    await board.ann.invite(bob, board.workspace)
    socket, idle = await arrive(bob), await arrive(bob)
    await select(socket, board.uuid)
    members = await board.ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    number = next(member["id"] for member in members if member["user_id"] == bob.id)
    await board.ann.ok("DELETE", f"/api/workspaces/users/{number}/")
    await board.item()
    assert await rest(socket) == [{"type": "workspace-deselected"}] and await rest(idle) == []
    position = await board.position()
    await board.item()
    await board.ann.invite(bob, board.workspace)
    assert kinds(await select(socket, board.uuid, position)) == ["refresh", "workspace-selected"]
    await board.ann.ok("DELETE", f"/api/workspaces/{board.workspace}/")
    assert await rest(socket) == [{"type": "workspace-deselected"}]


async def test_who_is_removed_while_reading_the_past_hears_no_more(
    server: Server, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await server.sign_up("Bob")
    await board.ann.invite(bob, board.workspace)
    position = await board.position()
    await server.app[STORE].write(partial(tell_many, workspace=board.workspace, count=500))

    async def delete() -> None:
        await board.ann.ok("DELETE", f"/api/workspaces/{board.workspace}/")

    monkeypatch.setattr(admission, "CHUNK", 50)
    between_chunks(monkeypatch, delete)
    socket = await arrive(bob)
    told = await select(socket, board.uuid, position)
    assert kinds(told) == ["item-updated"] * 50 + ["workspace-refused"]
    assert await rest(socket) == []


async def test_a_socket_ends_with_its_token_or_with_the_sessions_of_its_account(board: Board) -> None:
    claims = jwt.decode(board.ann.token, SECRET, algorithms=["HS256"])
    soon = jwt.encode(claims | {"exp": int(time.time()) + 2}, SECRET, algorithm="HS256")
    expiring, lasting, own = await arrive(board.ann, soon), await arrive(board.ann), await arrive(board.ann)
    await expiring.until(lambda: expiring.closed)
    assert expiring.closed == (4401, "token expired")
    assert kinds(await select(lasting, board.uuid)) == ["workspace-selected"]
    body = {"old_password": PASSWORD, "new_password": "another-password"}
    await board.ann.ok("POST", "/api/user/change-password/", body, socket=own)
    await lasting.until(lambda: lasting.closed)
    assert (lasting.closed, lasting.rest()) == ((1000, ""), [])
    assert kinds(await select(own, board.uuid)) == ["workspace-selected"], "the socket that changed the password stays"


async def test_a_socket_that_went_is_not_kept_until_its_token_expires(board: Board) -> None:
    socket = await arrive(board.ann)
    await select(socket, board.uuid)
    registry = board.ann.server.app[REGISTRY]
    (kept,) = [weakref.ref(subscriber) for subscriber in registry.subscribers]
    await socket.close()
    async with asyncio.timeout(PATIENCE):
        while gc.collect() >= 0 and kept() is not None:
            await asyncio.sleep(0.05)
    assert not registry.members and not registry.watchers


async def test_a_socket_outlives_a_database_that_is_away(board: Board) -> None:
    socket = await arrive(board.ann)
    server = board.ann.server

    with database_away(server):
        assert kinds(await select(socket, board.uuid)) == ["workspace-refused"]
        late = await server.websocket(f"/ws/events/?jwt_token={board.ann.token}")
        await late.until(lambda: late.closed)
        assert (late.closed, late.messages) == ((1012, "The database is not available just now."), [])
    assert kinds(await select(socket, board.uuid)) == ["workspace-selected"]
    await server.app.shutdown()
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1012, "restart")
