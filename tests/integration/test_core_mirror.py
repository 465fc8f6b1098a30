"""Pages of the database API in both styles (contract mirrors.md, namespace `/core`). What items and records tell in
both is compared beside their sockets, in `test_events_socket.py` and `test_ce_namespace.py`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from server.delivery.sessions import Resumption
from server.parts import SESSIONS, SOCKETIO
from tests.support.app import PATIENCE, Server, running_server
from tests.support.core_2026 import Grid, make_grid
from tests.support.core_clients import Connect, core_clients
from tests.support.socketio_client import session_client


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with core_clients() as found:
        yield found


async def test_both_styles_tell_the_same_in_the_same_order(grid: Grid, connect: Connect) -> None:
    """Workspace, table and row pages, among them a page that ends; `page_add` and the acknowledgement too."""
    ann, rows = grid.ann, f"/api/database/rows/table/{grid.table}/"
    row = await ann.ok("POST", rows, {})
    raw, client = await grid.bob.core_socket(), await connect(grid.bob)
    table = {"table_id": grid.table}
    for name, parameters in (("table", table), ("row", table | {"row_id": row["id"]})):
        added = {"type": "page_add", "page": name, "parameters": parameters}
        await raw.send({"page": name} | parameters)
        await raw.until(lambda added=added: added in raw.messages)
        answer = await client.call("page", {"page": name} | parameters)
        assert answer == {"ok": True, "page": name, "parameters": parameters, "position": answer["position"]}

    async def work(number: int) -> None:
        made = await ann.ok("POST", rows, {})
        await ann.ok("PATCH", f"{rows}{row['id']}/", {})
        await ann.ok("DELETE", f"{rows}{made['id']}/")
        await grid.rename(f"Workspace {number}")

    await asyncio.gather(*(work(number) for number in range(5)))
    await ann.ok("DELETE", f"/api/database/tables/{grid.table}/")
    await grid.rename("The end")
    for found in (raw, client):
        await found.until(lambda found=found: found.messages and "The end" in str(found.messages[-1]))
    told = [message for message in raw.messages if message["type"] != "authentication"]
    assert client.messages == told
    kinds = {"page_add", "rows_created", "rows_updated", "rows_deleted", "group_updated", "page_discard"}
    assert kinds <= {message["type"] for message in told}


async def test_what_ends_while_a_session_is_stored_ends_for_its_client(
    grid: Grid, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = grid.server.app[SESSIONS]
    open_session = sessions.open

    async def open_and_lose(*given: Any) -> Resumption:
        begun = await open_session(*given)
        await grid.remove_bob()
        await grid.delivered()
        return begun

    monkeypatch.setattr(sessions, "open", open_and_lose)
    client = await connect(grid.bob, recovery=True)
    await grid.rename("no longer Bob's")
    assert "group_updated" not in {message["type"] for message in await client.rest()}


async def test_what_happens_while_a_session_is_stored_is_told_once_at_most(
    grid: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = grid.server.app[SESSIONS]
    open_session = sessions.open

    async def open_and_change(*given: Any) -> Resumption:
        begun = await open_session(*given)
        await grid.rename("in between")
        await grid.delivered()
        return begun

    async with AsyncExitStack() as stack:
        with monkeypatch.context() as slow:
            slow.setattr(sessions, "open", open_and_change)
            coming = session_client(grid.server.url, "/core", grid.bob.token)
            client = await stack.enter_async_context(coming)
        await grid.rename("while it listens")
        await client.until(1)
        await client.drop()
        await grid.rename("while it is away")
        await client.connect()
        assert client.recovered
        await grid.rename("the end")
        names = [event[1][0]["workspace"]["name"] for event in await client.until(3)]
    assert names == ["while it listens", "while it is away", "the end"]


@pytest.mark.parametrize("ends", [False, True])
async def test_what_another_process_commits_while_a_session_is_stored(
    migrated_postgres_url: str, connect: Connect, ends: bool
) -> None:
    """Between the reading of the rooms and the position that was checked, which only PostgreSQL allows: a membership
    that begins there counts from there on, and one that ends there has ended."""
    async with running_server(database_url=migrated_postgres_url) as server:
        grid = await make_grid(server)
        namespace, loop = server.app[SOCKETIO].namespace_handlers["/core"], asyncio.get_running_loop()
        find_rooms = namespace.find_rooms

        async def change() -> None:
            if ends:
                await grid.rename("in between")
                await grid.remove_bob()
            else:
                await grid.ann.invite(grid.bob, grid.workspace)
                await grid.rename("in between")

        def find_rooms_slowly(tx: Any, actor: Any) -> Any:
            found = find_rooms(tx, actor)
            asyncio.run_coroutine_threadsafe(change(), loop).result(PATIENCE)
            return found

        if not ends:
            await grid.remove_bob()
        namespace.find_rooms = find_rooms_slowly
        client = await connect(grid.bob, recovery=True)
        told = [message["type"] for message in await client.rest()]
        assert ("group_updated" in told) is not ends
        await client.client.disconnect()
