"""The official JavaScript client comes back to its session after the server was killed, and on another process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from server.settings import Settings
from tests.support.app import Person, Server
from tests.support.boards import Board, make_board
from tests.support.commands import command, listening_url
from tests.support.node import NodeClient, Toolchain
from tests.support.processes import Child, free_port
from tests.support.socketio_client import session_client


class Node:
    """A serving process that comes back to the same port."""

    def __init__(self, port: int, environ: dict[str, str]) -> None:
        self.port = port
        self.environ = environ
        self.url = f"http://127.0.0.1:{port}"
        self._child: Child | None = None

    async def start(self) -> None:
        self._child = command("serve", "--port", str(self.port), **self.environ)
        await asyncio.to_thread(listening_url, self._child)

    async def kill(self) -> None:
        assert self._child is not None
        await asyncio.to_thread(self._child.kill)


@pytest.fixture
async def nodes(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[list[Node]]:
    """One process on SQLite, two on PostgreSQL and Redis."""
    environ = {"DATABASE_URL": database_url, "SIGNUP_CREATES_WORKSPACE": "false"}
    several = database_url.startswith("postgres")
    if several:
        environ["REDIS_URL"] = request.getfixturevalue("redis_url")
    made = [Node(free_port(), environ) for _ in range(2 if several else 1)]
    await asyncio.gather(*(node.start() for node in made))
    yield made
    await asyncio.gather(*(node.kill() for node in made))


@pytest.fixture
async def people(nodes: list[Node], database_url: str, tmp_path: Path) -> AsyncIterator[list[Person]]:
    """Ann, as she talks to each of the processes."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        settings = Settings(database_url=database_url)
        servers = [Server(web.Application(), node.url, http, settings) for node in nodes]
        ann = await servers[0].sign_up("Ann")
        yield [Person(server, ann.id, ann.email, ann.token, ann.refresh_token) for server in servers]


def names(messages: list[dict[str, Any]]) -> list[str]:
    """The items of item-updated events."""
    return [message["args"][0]["name"] for message in messages if message["name"] == "item-updated"]


async def take(client: NodeClient, count: int) -> list[dict[str, Any]]:
    return [await client.receive("event", timeout=20) for _ in range(count)]


async def test_the_javascript_client_recovers_after_kill_9(
    nodes: list[Node], people: list[Person], node: Toolchain
) -> None:
    board = await make_board(people[-1])
    async with NodeClient(node) as client:
        auth = {"token": people[0].token, "recovery": True}
        options = {"auth": auth, "transports": ["websocket"], "reconnectionDelay": 50, "reconnectionDelayMax": 200}
        await client.send({"cmd": "connect", "url": nodes[0].url, "namespace": "/events", "options": options})
        first = await client.receive("connect")
        assert first["recovered"] is False
        await client.send({"cmd": "emit", "event": "select-workspace", "args": [board.uuid], "ack": True})
        assert (await client.receive("ack"))["args"][0]["ok"]
        await board.item("before")
        assert names(await take(client, 2)) == ["before"]

        await nodes[0].kill()
        await client.receive("disconnect")
        if len(nodes) > 1:  # the other process goes on
            await board.item("meanwhile")
        await nodes[0].start()
        again = await client.receive("connect", timeout=20)
        assert again["recovered"] is True
        assert again["id"] == first["id"]
        await board.item("after")
        wanted = ["meanwhile", "after"] if len(nodes) > 1 else ["after"]
        events = await take(client, 2 * len(wanted))
        assert names(events) == wanted
        assert all(len(event["args"]) == 2 and event["args"][1].isdecimal() for event in events)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_session_goes_on_in_another_process_while_the_old_connection_is_half_open(
    nodes: list[Node], people: list[Person]
) -> None:
    board: Board = await make_board(people[0])
    async with session_client(nodes[0].url, "/events", people[0].token) as client:
        await client.call("select-workspace", board.uuid)
        await board.item("before")
        await client.until(2)
        client.leave_half_open()
        old = client._socket
        assert old is not None
        await board.item("missed")
        await client.connect(nodes[1].url)
        assert client.recovered
        await board.item("live")
        events = await client.until(6)
        assert [one["name"] for name, (one,) in events if name == "item-updated"] == ["before", "missed", "live"]
        message = await old.receive()
        while message.type != aiohttp.WSMsgType.CLOSE:
            message = await old.receive()
        assert message.data == 1012, "the log told the first process"
