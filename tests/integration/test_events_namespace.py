"""Sockets of `/events`: getting in, selecting a workspace, and losing it."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import jwt
import pytest
import socketio

from server.actions.accounts import end_account
from server.auth.tokens import ACCESS
from server.parts import STORE
from server.rest.context import TOKENS
from tests.support.app import PASSWORD, PATIENCE, SECRET, Person, Server
from tests.support.boards import Board, Connect, Listener, brief, make_board
from tests.support.core_2026 import newcomer

Headers = dict[str, str]
Happening = Callable[[Server, Person], Awaitable[Headers]]


async def test_every_place_of_the_token_is_taken(server: Server, board: Board, listen: Connect) -> None:
    token = board.ann.token
    ways: list[dict[str, Any]] = [
        {"auth": {"token": token}},
        {"auth": {"token": f"Bearer {token}"}},
        {"headers": {"Authorization": token}},
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"headers": {"Cookie": f"access_token={token}", "Origin": server.url}},
        {"query": f"/?token={token}"},
        {"auth": {"token": token}, "headers": {"Authorization": "Bearer nonsense"}},
        {"auth": {"token": token}, "headers": {"Origin": "https://page.example"}},
    ]
    for how in ways:
        socket = await listen(**how)
        assert (await socket.select(board.uuid))["workspace"] == board.uuid


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"auth": {"token": "nonsense"}},
        {"auth": {"token": 5}},
        {"auth": ["token"]},
        {"auth": "token"},
        {"headers": {"Authorization": "Bearer nonsense"}},
        {"query": "/?token=nonsense"},
    ],
)
async def test_a_refused_socket_gets_the_connect_error(server: Server, how: dict[str, Any]) -> None:
    await refused(server, how)


async def refused(server: Server, how: dict[str, Any]) -> None:
    listener = Listener(server.url)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await listener.connect(**how)
    assert listener.refusals == [{"message": "Unauthorized"}]
    await listener.client.disconnect()


def bearing(token: str) -> Headers:
    return {"Authorization": f"Bearer {token}"}


async def expired(server: Server, bob: Person) -> Headers:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(server.app[TOKENS].lifetimes, ACCESS, -60)
        return bearing(server.app[TOKENS].access(bob.id))


async def deleted(server: Server, bob: Person) -> Headers:
    await server.app[STORE].write(end_account, email=bob.email)
    return bearing(bob.token)


def with_cookie(origin: str | None) -> Happening:
    async def headers(server: Server, bob: Person) -> Headers:
        return {"Cookie": f"access_token={bob.token}"} | ({"Origin": origin} if origin else {})

    return headers


REFUSED: dict[str, tuple[int, Happening]] = {
    "token expired": (401, expired),
    "user deleted": (401, deleted),
    "the cookie, a foreign page": (403, with_cookie("https://evil.example")),
    "the cookie, a page without an origin": (403, with_cookie("null")),
    "the cookie, no origin": (403, with_cookie(None)),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_who_is_refused_stores_nothing_sends_nothing_and_hears_nothing(
    server: Server, board: Board, listen: Connect, case: str
) -> None:
    status, headers_of = REFUSED[case]
    bob, item = await newcomer(server, "Bob"), await board.item()
    await board.ann.invite(bob, board.workspace)
    headers, witness = await headers_of(server, bob), await listen(board.ann, board.uuid)
    before = await board.position()
    for method, path, body in (
        ("POST", "/items", {"column_id": board.columns[0], "name": "x"}),
        ("PATCH", f"/items/{item['id']}", {"name": "x"}),
        ("PUT", f"/items/{item['id']}/values", []),
        ("POST", f"/items/{item['id']}/comments", {"text": "x"}),
        ("POST", f"/items/{item['id']}/finalize", {}),
        ("DELETE", f"/items/{item['id']}", None),
    ):
        answer = await server.request(method, path, body, headers=headers)
        assert (answer.status, list(answer.body)) == (status, ["message"]), (method, path)
    await refused(server, {"headers": headers})
    assert await board.position() == before and await witness.rest() == []
    assert await board.ann.ok("GET", "/items") == [item]


async def test_tokens_of_ended_sessions_are_refused(server: Server, board: Board, listen: Connect) -> None:
    socket = await listen(board.ann, board.uuid)
    body = {"old_password": PASSWORD, "new_password": "another-password"}
    await board.ann.ok("POST", "/api/user/change-password/", body)
    await asyncio.wait_for(socket.ended.wait(), PATIENCE)


async def test_select_workspace_and_deselect_workspace(server: Server, board: Board, listen: Connect) -> None:
    other = await make_board(board.ann)
    socket = await listen(board.ann)
    for spelling in (board.workspace, str(board.workspace), board.uuid):
        answer = await socket.select(spelling)
        assert answer == {"ok": True, "workspace": spelling, "position": await board.position()}
    item = await board.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", board.columns[0], 1)]

    since = await other.position()
    missed = await other.item("missed")
    answer = await socket.call("select-workspace", other.uuid, {"since": since})
    assert answer == {"ok": True, "workspace": other.uuid, "position": since}
    assert brief(await socket.take(2)) == [("item-updated", missed["id"]), ("column-patched", other.columns[0], 1)]
    await board.item("not heard")
    item = await other.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", other.columns[0], 2)]

    for _ in range(2):
        assert await socket.call("deselect-workspace") == {"ok": True}
    await other.item("not heard")
    assert await socket.rest() == []


async def test_a_refused_selection_joins_nothing_and_keeps_what_was(
    server: Server, board: Board, listen: Connect
) -> None:
    stranger = await make_board(await server.sign_up("Bob"))
    socket = await listen(board.ann, board.uuid)
    refusals = [stranger.uuid, stranger.workspace, str(uuid.uuid4()), 0, -1, 2**70, 1.5, True, None, "", "x\0", [], {}]
    for wrong in refusals:
        answer = await socket.call("select-workspace", wrong)
        assert answer.keys() == {"ok", "message"} and answer["ok"] is False and answer["message"], wrong
        await socket.client.emit("select-workspace", wrong, namespace="/events")
    assert (await socket.call("select-workspace"))["ok"] is False
    assert (await socket.call("select-workspace", board.uuid, "junk", [1], None))["ok"] is True
    await stranger.item()
    item = await board.item()
    assert brief(await socket.take(2)) == [("item-updated", item["id"]), ("column-patched", board.columns[0], 1)]


async def test_names_that_are_no_events_are_said_to_be_none(board: Board, listen: Connect) -> None:
    socket = await listen(board.ann, board.uuid)
    for name in ("trigger_event", "unknown", "on_select_workspace", "__init__"):
        answer = await socket.call(name, {"HTTP_COOKIE": 5})
        assert (answer["ok"], answer["error"]) == (False, "ERROR_UNKNOWN_EVENT")
    item = await board.item()
    assert brief(await socket.take(2))[0] == ("item-updated", item["id"])


async def test_membership_lost_later_deselects(server: Server, board: Board, listen: Connect) -> None:
    ann, bob = board.ann, await server.sign_up("Bob")
    await ann.invite(bob, board.workspace)
    anns, bobs = await listen(ann, board.uuid), await listen(bob, str(board.workspace))
    members = await ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    number = next(member["id"] for member in members if member["user_id"] == bob.id)
    await ann.ok("DELETE", f"/api/workspaces/users/{number}/")
    item = await board.item()
    assert brief(await anns.take(2))[0] == ("item-updated", item["id"])
    assert await bobs.take(1) == [("workspace-deselected", str(board.workspace))]
    assert await bobs.rest() == []
    assert (await bobs.call("select-workspace", board.uuid))["ok"] is False


async def test_a_token_that_expires_disconnects(board: Board, listen: Connect) -> None:
    claims = jwt.decode(board.ann.token, SECRET, algorithms=["HS256"])
    soon = jwt.encode(claims | {"exp": int(time.time()) + 2}, SECRET, algorithm="HS256")
    socket, lasting = await listen(auth={"token": soon}), await listen(board.ann, board.uuid)
    await socket.select(board.uuid)
    await asyncio.wait_for(socket.ended.wait(), PATIENCE)
    assert not lasting.ended.is_set()
    assert await lasting.rest() == []
