"""Presence on real sockets: 2026 clients of `/ws/core/` and recovering clients of `/core` see who is on a table."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.parts import STORE
from server.store import log
from tests.support.app import Person, RawSocket, Server
from tests.support.core_2026 import Grid, Message, arrive, ask_replay, kinds, make_grid, newcomer
from tests.support.core_clients import Connect, CoreClient, core_clients
from tests.support.socketio_client import session_client

Here = RawSocket | CoreClient


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with core_clients() as found:
        yield found


async def told(grid: Grid, here: Here) -> list[Message]:
    """What a client was told of presence and its pages until now and that was not yet taken."""
    messages = await grid.heard(here) if isinstance(here, RawSocket) else await here.rest()
    return [each for each in messages if each["type"].startswith(("presence.", "page_"))]


def about(grid: Grid, messages: list[Message], *names: tuple[str, Person]) -> list[tuple[Any, ...]]:
    """Presence messages in short: what happened, and the people it is about."""
    people = {person.id: name for name, person in names}
    short: list[tuple[Any, ...]] = []
    for each in messages:
        if not each["type"].startswith("presence."):
            continue
        assert each["space"] == f"table-{grid.table}"
        users = [entry["user_id"] for entry in each.get("entries", ())] or [each.get("user_id")]
        short.append((each["type"].removeprefix("presence."), *[people[user] for user in users if user is not None]))
    return short


async def on_page(grid: Grid, who: Person) -> RawSocket:
    socket = await arrive(who)
    await ask_replay(socket, -1)
    await socket.expect("replay_events_result")
    await socket.send({"page": "table", "table_id": grid.table})
    await socket.until(lambda: "presence.members" in kinds(socket.messages))
    return socket


async def test_who_comes_looks_and_goes_is_told_on_both_kinds_of_sockets(grid: Grid, connect: Connect) -> None:
    eve = await newcomer(grid.server, "Eve")
    await grid.ann.invite(eve, grid.workspace)
    names = ("ann", grid.ann), ("bob", grid.bob), ("eve", eve)
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    client = await connect(eve, recovery=True)
    await client.page(grid.table)
    assert about(grid, await told(grid, ann), *names) == [("members",), ("join", "bob"), ("join", "eve")]
    assert about(grid, await told(grid, bob), *names) == [("members", "ann"), ("join", "eve")]
    seen = await told(grid, client)
    assert kinds(seen) == ["page_add", "presence.members"]
    assert about(grid, seen, *names) == [("members", "ann", "bob")]

    focus = {"page": "table", "table_id": grid.table, "focus": {"row_id": 7, "field_id": 3}}
    await bob.send({"type": "presence.focus", **focus})
    assert await told(grid, bob) == []
    (of_bob,) = await told(grid, ann)
    bob_is = {"user_id": grid.bob.id, "presence_id": of_bob["presence_id"]}
    assert of_bob == {"type": "presence.focus", "space": f"table-{grid.table}", **bob_is, **focus}
    assert await told(grid, client) == [of_bob] and bob_is["presence_id"] not in (bob.id, ann.id)
    await client.client.emit("presence.focus", focus, namespace="/core")
    await client.rest()
    assert [about(grid, await told(grid, each), *names) for each in (ann, bob)] == [[("focus", "eve")]] * 2

    await bob.close()
    await ann.until(lambda: ann.messages[-1]["type"] == "presence.leave")
    (left,) = await told(grid, ann)
    assert left == {"type": "presence.leave", "space": f"table-{grid.table}", **bob_is}
    assert about(grid, await told(grid, client), *names) == [("leave", "bob")]
    await client.client.disconnect()
    await ann.until(lambda: ann.messages[-1].get("user_id") == eve.id)
    assert about(grid, await told(grid, ann), *names) == [("leave", "eve")]


async def test_leaving_the_page_leaves(grid: Grid) -> None:
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    await told(grid, ann), await told(grid, bob)
    await bob.send({"remove_page": "table", "table_id": grid.table})
    assert kinds(await told(grid, bob)) == ["presence.space_discard", "page_discard"]
    await bob.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": 1})
    await told(grid, bob)
    assert about(grid, await told(grid, ann), ("bob", grid.bob)) == [("leave", "bob")]


async def test_who_loses_the_page_leaves_and_cannot_speak_there(grid: Grid, connect: Connect) -> None:
    names = ("ann", grid.ann), ("bob", grid.bob)
    ann, bob, client = (
        await on_page(grid, grid.ann),
        await on_page(grid, grid.bob),
        await connect(grid.bob, recovery=True),
    )
    await client.page(grid.table)
    await told(grid, ann), await told(grid, bob), await told(grid, client)
    await grid.remove_bob()
    for each in (bob, client):
        await each.until(lambda each=each: "page_discard" in kinds(each.messages))
        gone = await told(grid, each)
        assert kinds(gone)[-2:] == ["presence.space_discard", "page_discard"]
    assert about(grid, await told(grid, ann), *names) == [("leave", "bob")] * 2
    focus = {"page": "table", "table_id": grid.table, "focus": "I am still here"}
    await bob.send({"type": "presence.focus", **focus})
    await bob.send({"page": "table", "table_id": grid.table})
    await client.client.emit("presence.focus", focus, namespace="/core")
    assert not (await client.page(grid.table))["ok"]
    assert kinds(await told(grid, bob)) == ["page_refused"]
    assert await told(grid, ann) == []


async def test_the_end_of_the_table_ends_the_space(grid: Grid) -> None:
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    await grid.ann.ok("DELETE", f"/api/database/tables/{grid.table}/")
    for each in (ann, bob):
        gone = kinds(await told(grid, each))
        assert gone.count("presence.space_discard") == gone.count("page_discard") == 1


async def test_classic_sockets_are_neither_seen_nor_told(grid: Grid, connect: Connect) -> None:
    classic, other = await grid.bob.core_socket(), await connect(grid.bob)
    await classic.subscribe("table", table_id=grid.table)
    await other.page(grid.table)
    await other.client.emit("presence.focus", {"page": "table", "table_id": grid.table, "focus": 1}, namespace="/core")
    ann = await on_page(grid, grid.ann)
    await ann.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": 1})
    assert about(grid, await told(grid, ann)) == [("members",)]
    await ann.close()
    await classic.send({"remove_page": "table", "table_id": grid.table})
    assert kinds(await told(grid, classic)) == ["page_discard"]
    assert kinds(await told(grid, other)) == ["page_add"]


async def test_a_classic_socket_that_speaks_of_presence_is_present_on_its_pages(grid: Grid) -> None:
    ann, bob = await on_page(grid, grid.ann), await grid.bob.core_socket()
    await bob.subscribe("table", table_id=grid.table)
    await told(grid, ann)
    await bob.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": 1})
    assert about(grid, await told(grid, bob), ("ann", grid.ann)) == [("members", "ann")]
    assert about(grid, await told(grid, ann), ("bob", grid.bob)) == [("join", "bob"), ("focus", "bob")]


async def test_two_tabs_of_one_user_are_two(grid: Grid) -> None:
    first, second = await on_page(grid, grid.bob), await on_page(grid, grid.bob)
    names = (("bob", grid.bob),)
    assert about(grid, await told(grid, second), *names) == [("members", "bob")]
    assert about(grid, await told(grid, first), *names) == [("members",), ("join", "bob")]


async def test_a_page_of_a_row_and_a_second_spelling_are_no_second_presence(grid: Grid) -> None:
    position = await grid.add_row()
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    await told(grid, ann), await told(grid, bob)
    await bob.send({"page": "row", "table_id": grid.table, "row_id": 1})
    await bob.send({"page": "table", "table_id": str(grid.table), "since": position})
    assert kinds(await told(grid, bob)) == ["page_add", "page_add"]
    assert await told(grid, ann) == []


async def test_strangers_and_visitors_are_not_present(grid: Grid) -> None:
    ann = await on_page(grid, grid.ann)
    await told(grid, ann)
    eve = await newcomer(grid.server, "Eve")
    for socket in (await arrive(eve), await arrive(eve, jwt_token="anonymous")):
        await socket.send({"page": "table", "table_id": grid.table})
        await socket.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": "boo"})
        assert kinds(await grid.heard(socket)) == ["page_refused"]
    assert await told(grid, ann) == []


async def test_a_recovered_client_is_present_again(grid: Grid) -> None:
    ann = await on_page(grid, grid.ann)
    async with session_client(grid.server.url, "/core", grid.bob.token) as client:
        await client.call("page", {"page": "table", "table_id": grid.table})
        await told(grid, ann)
        await client.drop()
        await ann.until(lambda: ann.messages[-1]["type"] == "presence.leave")
        await client.connect()
        assert client.recovered
        (_, [added]), (_, [before]), (_, [again]) = await client.until(3)
        assert kinds([added, before, again]) == ["page_add", "presence.members", "presence.members"]
        assert before == again and [entry["user_id"] for entry in again["entries"]] == [grid.ann.id]
    await ann.until(lambda: kinds(ann.messages).count("presence.leave") == 2)
    assert kinds(await told(grid, ann)) == ["presence.leave", "presence.join", "presence.leave"]


async def test_presence_is_in_no_log(grid: Grid) -> None:
    position = await grid.server.log_position()
    ann, bob = await on_page(grid, grid.ann), await on_page(grid, grid.bob)
    await bob.send({"type": "presence.focus", "page": "table", "table_id": grid.table, "focus": 1})
    await told(grid, ann)
    await bob.close()
    events = await grid.server.app[STORE].read(lambda tx: log.read_after(tx.db, position, 100))
    assert events == [] and all("_event_id" not in each for each in ann.messages)
