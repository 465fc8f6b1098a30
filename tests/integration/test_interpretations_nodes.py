"""Interpretation and processes: of several on one database exactly one interprets a document, and what one of them
leaves behind another one takes up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from server.settings import Settings
from tests.integration.test_two_nodes import at
from tests.support.app import RawSocket, Server
from tests.support.boards import Board, make_board
from tests.support.commands import command, listening_url
from tests.support.interpreters import install_interpreters, post_item, until_exists, until_state
from tests.support.pdfs import pdf
from tests.support.processes import Child

DOCUMENTS = 6
QUICK = {
    "INTERPRETATION_TIMEOUT": "1",
    "INTERPRETATION_INTERVAL": "0.1",
    "SIGNUP_CREATES_WORKSPACE": "false",
}
STATES = ["uploaded", "interpreting", "interpreted"]


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


async def hear(board: Board, stack: AsyncExitStack) -> RawSocket:
    """A socket that is told what happens on a board."""
    raw = await board.ann.server.websocket(f"/ws/events/?jwt_token={board.ann.token}")
    stack.push_async_callback(raw.close)
    await raw.send({"select-workspace": board.uuid})
    await raw.until(lambda: raw.messages and raw.messages[-1]["type"] == "workspace-selected")
    return raw


def told(socket: RawSocket, item_id: str) -> list[str]:
    """The states of an item as a socket was told of them."""
    told = [message["data"] for message in socket.messages if message["type"] == "item-updated"]
    return [item["state"] for item in told if item["id"] == item_id]


async def hears(socket: RawSocket, item_id: str, *states: str) -> None:
    """Waits until a socket was told these states of an item, and no others."""
    await socket.until(lambda: told(socket, item_id)[-1:] == [states[-1]])
    assert told(socket, item_id) == list(states)


async def test_a_document_is_taken_up_again_after_a_crash(tmp_path: Path, stack: AsyncExitStack) -> None:
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    child, server = await start(stack, DATABASE_URL=url, FAULT_POINTS="interpretation_begun:kill:1")
    board = await make_board(await server.sign_up("Ann"))
    number = await board.field("Invoice number")
    sending = asyncio.gather(post_item(board, pdf(["Invoice number: 17"])), return_exceptions=True)
    await asyncio.to_thread(child.wait, 10)  # it may die before it answers
    await sending
    _, server = await start(stack, DATABASE_URL=url)
    board.ann = at(board.ann, server)
    (item,) = await board.ann.ok("GET", "/items")
    assert (item["state"], item["values"]) == ("interpreting", [])
    socket = await hear(board, stack)
    shown = await until_state(board, item["id"], "interpreted", "error")
    assert [(value["field_id"], value["value"]) for value in shown["values"]] == [(number["id"], "17")]
    await hears(socket, item["id"], "interpreted")  # what it was before was told before


async def test_two_nodes_interpret_each_document_once_and_one_goes_on_after_the_other(
    migrated_postgres_url: str, redis_url: str, tmp_path: Path, stack: AsyncExitStack
) -> None:
    site = install_interpreters(tmp_path)
    environ = {
        "DATABASE_URL": migrated_postgres_url,
        "REDIS_URL": redis_url,
        "FILE_STORAGE": (tmp_path / "files").as_uri(),
        "INTERPRETATION_TIMEOUT": "3",
        "PYTHONPATH": f"{Path(__file__).parents[2]}:{site}",
    }
    (first, one), (_, two) = await asyncio.gather(start(stack, **environ), start(stack, **environ))
    board = await make_board(await one.sign_up("Ann"))
    await board.field("Name")
    other = replace(board, ann=at(board.ann, two))
    socket = await hear(other, stack)

    async def post(number: int) -> dict[str, Any]:
        return await post_item((board, other)[number % 2], f"Name={number}".encode(), "text/x-letter")

    items = await asyncio.gather(*(post(number) for number in range(DOCUMENTS)))
    for item in items:
        await hears(socket, item["id"], *STATES)
    gates = await begin_gated(board, site)
    await asyncio.to_thread(first.kill)
    for _, key in gates:
        key.touch()
    for item, _ in gates:
        await hears(socket, item["id"], *STATES)
        assert [value["value"] for value in (await until_state(other, item["id"], "interpreted"))["values"]] == ["read"]
    for item in items:
        assert told(socket, item["id"]) == STATES


async def begin_gated(board: Board, folder: Path) -> list[tuple[dict[str, Any], Path]]:
    """Documents of which each of two nodes has one, and the files that let them go on."""
    begun = []
    for number in range(2):
        sign, key = folder / f"sign-{number}", folder / f"gate-{number}"
        item = await post_item(board, f"{key}\n{sign}\nName=read".encode(), "text/x-gated")
        begun.append((item, key))
    for number in range(2):
        await until_exists(folder / f"sign-{number}", 1)
    return begun
