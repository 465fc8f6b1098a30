"""Sessions that cannot be taken up: their client begins anew, and nobody else notices."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from server.parts import RELAY, SESSIONS, STORE
from server.store import sessions
from server.store.retention import prune
from server.store.sql import run
from server.store.transaction import Transaction
from tests.faults.test_recovery import board, client, quiet, told
from tests.integration.conftest import server
from tests.support.app import Server
from tests.support.boards import Board
from tests.support.socketio_client import Refused, SessionClient, session_client

__all__ = ["board", "client", "server"]


@pytest.mark.parametrize("offset", ["0", "-1", "x", "99999999999", "1099511627776", "", "1.5", "١"])
async def test_an_offset_that_continues_nowhere_is_not_recovered(
    server: Server, client: SessionClient, board: Board, offset: str
) -> None:
    await client.drop()
    before = client.sid
    client.auth["offset"] = offset
    await client.connect()
    assert not client.recovered
    assert client.sid != before
    await board.item("not selected any more")
    await quiet(client)


async def test_a_pruned_offset_is_not_recovered(server: Server, client: SessionClient, board: Board) -> None:
    await told(client, board, await board.item("before"))
    await client.drop()
    await board.item("missed")
    await board.item("missed too")
    await server.app[RELAY].store.write(lambda tx: prune(tx, keep_events=1, keep_seconds=1e9))
    await client.connect()
    assert not client.recovered


async def test_too_many_missed_events_are_not_recovered(
    server: Server, client: SessionClient, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server.app[SESSIONS], "replay_limit", 5)
    await client.drop()
    for _ in range(3):
        await board.item("missed")  # two events each
    await client.connect()
    assert not client.recovered


async def test_what_fails_for_one_client_fails_for_nobody_else(
    server: Server, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who come within the same milliseconds share a transaction."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(session_client(server.url, "/events", board.ann.token)) for _ in range(4)
        ]
        for client in clients:
            await client.call("select-workspace", board.uuid)
            await client.drop()
        victim = clients[1].pid
        take = sessions.take

        def take_all_but_one(tx: Transaction, pid: str, *given: Any) -> Any:
            found = take(tx, pid, *given)
            if pid == victim:
                raise RuntimeError("this one cannot be read")
            return found

        monkeypatch.setattr(sessions, "take", take_all_but_one)
        came = await asyncio.gather(*(client.connect() for client in clients), return_exceptions=True)
        assert [type(one) for one in came] == [SessionClient, Refused, SessionClient, SessionClient]
        monkeypatch.undo()
        await clients[1].connect()
        assert all(client.recovered for client in clients)


@pytest.mark.parametrize("pid", ["\0", "", "x" * 44, "ünbekannt", "'", "x" * 43])
async def test_an_id_that_is_nobodys_begins_a_session(client: SessionClient, pid: str) -> None:
    await client.drop()
    client.pid = pid
    await client.connect()
    assert not client.recovered and client.pid


@pytest.mark.parametrize(
    "kept",
    [
        '{"position": 1, "rooms": {}, "subscriptions": {"x": {"of": "another version"}}, "ended": []}',
        '{"position": 1, "rooms": {}, "subscriptions": [1], "ended": []}',
        '{"position": 1, "rooms": [1], "subscriptions": {}, "ended": []}',
        '{"position": 1, "rooms": {"x": "y"}, "subscriptions": {}, "ended": []}',
        '{"position": 1, "rooms": {}, "ended": [], "subscriptions": {"x": {"name": "table", "parameters": {},'
        ' "room": "core:table:1", "workspace_id": 1, "began": 0, "table_id": 1}}}',
        '{"position": 1, "rooms": {}, "subscriptions": {}, "ended": [1]}',
        '{"rooms": {}, "subscriptions": {}, "ended": []}',
        "[]",
    ],
)
async def test_a_session_that_another_version_kept_begins_anew(
    client: SessionClient, server: Server, kept: str
) -> None:
    await client.drop()
    await server.app[STORE].write(lambda tx: run(tx, "UPDATE session SET state = ?", [kept]))
    known = client.pid
    await client.connect()
    assert not client.recovered and client.pid != known
