"""Webhooks and processes: two on one database never both tell a receiver, and one that dies loses nothing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from server.settings import Settings
from tests.integration.test_two_nodes import at
from tests.support.app import Server
from tests.support.boards import Board, make_board
from tests.support.commands import command, listening_url
from tests.support.processes import Child
from tests.support.receivers import Receiver, hook, names

WRITES = 15  # items that each writer makes
QUICK = {
    "WEBHOOK_PRIVATE_ADDRESSES": "true",
    "WEBHOOK_INTERVAL": "0.2",
    "WEBHOOK_RETRY": "0.05",
    "WEBHOOK_TIMEOUT": "0.5",
    "SIGNUP_CREATES_WORKSPACE": "false",
}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


async def start(stack: AsyncExitStack, **environ: str) -> tuple[Child, Server]:
    """A process of `python -m server serve`."""
    child = stack.enter_context(command("serve", "--port", "0", **QUICK | environ))
    url = await asyncio.to_thread(listening_url, child)
    http = await stack.enter_async_context(aiohttp.ClientSession())
    return child, Server(web.Application(), url, http, Settings())


async def make_items(board: Board, server: Server, name: str) -> list[str]:
    """Makes items through a node, one after the other; returns their names."""
    ann, made = at(board.ann, server), [f"{name} {number}" for number in range(WRITES)]
    for each in made:
        await ann.ok("POST", "/items", {"column_id": board.columns[0], "name": each})
    return made


async def test_two_nodes_never_both_tell_a_receiver_and_one_goes_on_after_the_other(
    migrated_postgres_url: str, redis_url: str, receiver: Receiver, stack: AsyncExitStack
) -> None:
    environ = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url}
    (first, one), (_, two) = await asyncio.gather(start(stack, **environ), start(stack, **environ))
    board = await make_board(await one.sign_up("Ann"))
    await hook(board, receiver.url, "item-updated")
    ones, twos = await asyncio.gather(make_items(board, one, "one"), make_items(board, two, "two"))
    received = names(await receiver.take(2 * WRITES))
    assert [name for name in received if name in ones] == ones
    assert [name for name in received if name in twos] == twos
    await asyncio.gather(make_items(board, one, "three"), make_items(board, two, "four"))
    await asyncio.to_thread(first.kill)
    fives = await make_items(board, two, "five")

    def told() -> set[str]:
        return set(names(receiver.received))

    while not told() >= set(fives):
        await receiver.take(len(receiver.received) + 1)
    assert len(told()) == 5 * WRITES
    keys = list(map(int, receiver.keys))
    assert len(keys) - len(set(keys)) <= 1, "only what the killed process was telling comes again"
    assert keys == sorted(keys)


async def test_a_crash_between_the_request_and_its_note_has_the_same_event_told_again(
    tmp_path: Path, receiver: Receiver, stack: AsyncExitStack
) -> None:
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    child, server = await start(stack, DATABASE_URL=url, FAULT_POINTS="webhook_delivered:kill:2")
    board = await make_board(await server.sign_up("Ann"))
    await hook(board, receiver.url, "item-updated")
    await board.item("one")
    await receiver.take(1)
    with contextlib.suppress(aiohttp.ClientError):  # it may die before it answers; the item is made all the same
        await board.item("two")
    await receiver.take(2)
    await asyncio.to_thread(child.wait, 10)
    _, server = await start(stack, DATABASE_URL=url)
    await make_items(board, server, "x")
    received = await receiver.take(3 + WRITES)
    assert names(received)[:4] == ["one", "two", "two", "x 0"]
    assert receiver.keys[1] == receiver.keys[2]
    assert received[1].body == received[2].body
