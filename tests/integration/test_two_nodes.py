"""Two server processes on one PostgreSQL and one Redis: a change made through either reaches the clients of both."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from server.settings import Settings
from tests.support.app import Person, RawSocket, Server
from tests.support.commands import command, listening_url
from tests.support.redis_server import RedisServer

WRITES = 20  # rows each writer makes


@pytest.fixture
async def nodes(migrated_postgres_url: str, redis_url: str) -> AsyncIterator[tuple[Server, Server]]:
    """Two processes of `python -m server serve`, as a user would start them."""
    environ = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url, "SIGNUP_CREATES_WORKSPACE": "false"}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        started = [stack.enter_context(command("serve", "--port", "0", **environ)) for _ in range(2)]
        urls = await asyncio.gather(*[asyncio.to_thread(listening_url, child) for child in started])
        settings = Settings(database_url=migrated_postgres_url, redis_url=redis_url)
        one, two = (Server(web.Application(), url, http, settings) for url in urls)
        yield one, two
        for socket in one.sockets + two.sockets:
            await socket.close()


def at(person: Person, server: Server) -> Person:
    """The same person, talking to another node."""
    return Person(server, person.id, person.email, person.token, person.refresh_token)


class Scene:
    """Ann on node one and Bob on node two share a table; each has a socket on each node."""

    def __init__(self, ann: Person, bob: Person, workspace: int, table: int, sockets: list[RawSocket]) -> None:
        self.ann, self.bob, self.workspace, self.table, self.sockets = ann, bob, workspace, table, sockets

    def rows_of(self, socket: RawSocket) -> list[str]:
        """The first cell of every created row, in the order in which a socket was told."""
        created = [message for message in socket.messages if message["type"] == "rows_created"]
        return [next(iter(dict(list(row.items())[2:]).values())) for message in created for row in message["rows"]]


@pytest.fixture
async def scene(nodes: tuple[Server, Server]) -> Scene:
    one, two = nodes
    ann, bob = await one.sign_up("Ann"), at(await two.sign_up("Bob"), two)
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    table = await ann.table(await ann.database(workspace), data=[["Name"], ["first"]], first_row_header=True)
    people = [ann, at(ann, two), bob, at(bob, one)]
    sockets = [await person.core_socket() for person in people]
    for socket in sockets:
        await socket.subscribe("table", table_id=table)
    return Scene(ann, bob, workspace, table, sockets)


async def write_rows(person: Person, table: int, name: str) -> None:
    path = f"/api/database/rows/table/{table}/?user_field_names=true"
    for number in range(WRITES):
        await person.ok("POST", path, {"Name": f"{name} {number}"})


async def test_every_socket_is_told_everything_once_and_in_the_same_order(scene: Scene) -> None:
    await asyncio.gather(write_rows(scene.ann, scene.table, "ann"), write_rows(scene.bob, scene.table, "bob"))
    for socket in scene.sockets:
        await socket.until(lambda socket=socket: len(scene.rows_of(socket)) >= 2 * WRITES)
    histories = [scene.rows_of(socket) for socket in scene.sockets]
    assert histories[0] == histories[1] == histories[2] == histories[3]
    assert sorted(histories[0]) == sorted(f"{name} {number}" for name in ("ann", "bob") for number in range(WRITES))
    for name in ("ann", "bob"):
        assert [row for row in histories[0] if row.startswith(name)] == [f"{name} {n}" for n in range(WRITES)]


async def test_a_member_removed_on_one_node_hears_nothing_more_on_the_other(scene: Scene) -> None:
    members = await scene.ann.ok("GET", f"/api/workspaces/users/workspace/{scene.workspace}/")
    await scene.ann.ok("DELETE", f"/api/workspaces/users/{members[1]['id']}/")
    await write_rows(scene.ann, scene.table, "secret")
    for socket in scene.sockets[:2]:
        await socket.until(lambda socket=socket: len(scene.rows_of(socket)) == WRITES)
    for socket in scene.sockets[2:]:
        await socket.until(lambda socket=socket: any(m["type"] == "page_discard" for m in socket.messages))
        await scene.bob.ok("PATCH", "/api/user/account/", {"first_name": "Marker"})
        await socket.until(lambda socket=socket: any(m["type"] == "user_updated" for m in socket.messages))
        assert scene.rows_of(socket) == []


async def test_without_redis_the_log_alone_brings_every_change(scene: Scene, redis_server: RedisServer) -> None:
    await asyncio.to_thread(redis_server.kill)
    await write_rows(scene.ann, scene.table, "ann")
    for socket in scene.sockets:
        await socket.until(lambda socket=socket: len(scene.rows_of(socket)) == WRITES)
        assert scene.rows_of(socket) == [f"ann {number}" for number in range(WRITES)]
