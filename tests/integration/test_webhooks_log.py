"""Webhooks, the log and the processes: a pruned past, a lost lease, a stop."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from server.parts import STORE, WEBHOOKS
from server.store import leases, retention
from server.store.sql import run
from server.store.transaction import Transaction
from tests.support.app import Server, running_server
from tests.support.boards import Board, make_board
from tests.support.core_2026 import newcomer
from tests.support.receivers import (
    QUICK,
    Receiver,
    documented_verify,
    hook,
    idle,
    names,
    shown,
    until,
)

WEEK = 7 * 86400


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=database_url, **QUICK) as running:
        yield running


async def test_a_past_that_was_pruned_is_told_with_a_refresh(server: Server, board: Board, receiver: Receiver) -> None:
    receiver.answers.append(500)
    store = server.app[STORE]
    server.app[WEBHOOKS].patience = server.app[WEBHOOKS].patience._replace(retry=0.3)
    webhook = await hook(board, receiver.url, "item-updated")
    await board.item("lost")
    await receiver.take(1)
    await board.item("lost too")
    while await store.write(retention.prune, keep_events=1, keep_seconds=WEEK):
        pass
    position = await board.position()
    received = (await receiver.take(2))[1]
    assert received.event == ("refresh", {"workspace_id": board.uuid, "position": position})
    assert received.key == f"refresh-{position}"
    assert documented_verify()(webhook["secret"], received.headers, received.body)
    await idle(server)
    item = await board.item("next")
    assert (await receiver.take(3))[2].event == ("item-updated", item)


async def test_a_webhook_that_missed_nothing_is_not_refreshed_by_pruning(
    server: Server, board: Board, receiver: Receiver
) -> None:
    store = server.app[STORE]
    webhook = await hook(board, receiver.url, "item-updated")
    for number in range(5):
        await board.ann.workspace(f"Another {number}")
    while await store.write(retention.prune, keep_events=1, keep_seconds=WEEK):
        pass
    assert (await shown(board, webhook))["position"] == await board.position()
    await board.item("first")
    await receiver.take(1)
    await idle(server)
    assert names(receiver.received) == ["first"]


async def test_who_lost_the_lease_notes_nothing_and_another_goes_on(
    server: Server, board: Board, receiver: Receiver
) -> None:
    """A process that stands still while it makes a request: the event comes again from its successor, in order."""
    store, arrived, released = server.app[STORE], asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await released.wait()
        return web.Response()

    receiver.answers.append(stall)
    webhook = await hook(board, receiver.url, "item-updated")
    name = f"webhook:{webhook['id']}"
    await board.item("one")
    await board.item("two")
    await arrived.wait()

    def rob(tx: Transaction) -> None:
        run(tx, "UPDATE lease SET holder = 'successor' WHERE name = ?", (name,))

    await store.write(rob)
    before = (await shown(board, webhook))["position"]
    released.set()
    await idle_or_waiting(server)
    assert (await shown(board, webhook))["position"] == before, "it was not the successor's to move"
    await store.write(leases.release_all, holder="successor")
    assert names(await receiver.take(3)) == ["one", "one", "two"]
    assert receiver.keys[0] == receiver.keys[1]


async def idle_or_waiting(server: Server) -> None:
    """Waits until no request is being made: nothing holds one of the slots."""

    async def condition() -> bool:
        slots = server.app[WEBHOOKS]._slots
        return slots._value == server.settings.webhook_concurrency

    await until(condition)


async def test_a_stop_gives_the_running_request_its_time_and_the_lease_back(
    database_url: str, receiver: Receiver
) -> None:
    async def answer_late(request: web.Request) -> web.StreamResponse:
        await stopping.wait()
        return web.Response()

    stopping = asyncio.Event()
    receiver.answers.append(answer_late)
    async with running_server(database_url=database_url, **QUICK) as server:
        board = await make_board(await newcomer(server, "Ann"))
        await hook(board, receiver.url, "item-updated")
        await board.item("one")
        await board.item("two")
        await receiver.take(1)
        server.app[WEBHOOKS].wind_up()
        stopping.set()
    assert names(receiver.received) == ["one"], "the next one is for the next process"
    async with running_server(database_url=database_url, **QUICK) as server:
        assert names(await receiver.take(2)) == ["one", "two"]
        await idle(server)
    assert len(set(receiver.keys)) == 2


async def test_a_stop_does_not_wait_for_ever(database_url: str, receiver: Receiver) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answers.append(hang)
    async with running_server(database_url=database_url, **QUICK | {"webhook_timeout": 0.3}) as server:
        board = await make_board(await newcomer(server, "Ann"))
        await hook(board, receiver.url, "item-updated")
        await board.item()
        await receiver.take(1)
        server.app[WEBHOOKS].sender.timeout = 60.0
        server.app[WEBHOOKS].wind_up()
        server.app[WEBHOOKS]._deadline = 0.0
    async with running_server(database_url=database_url, **QUICK):
        await receiver.take(2)
    assert len(set(receiver.keys)) == 1
    assert json.loads(receiver.received[0].body) == json.loads(receiver.received[1].body)
