"""A new password and the end of an account close the user's sockets of every kind on every node within a second."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from server.parts import BELL, REGISTRY
from server.rest.context import TOKENS
from tests.support.app import PASSWORD, Person, RawSocket, Server, running_server
from tests.support.boards import make_board
from tests.support.clients import authenticated, make_client
from tests.support.commands import run
from tests.support.core_2026 import arrive, newcomer
from tests.support.event_stream import StreamClient

AT_ONCE = 1.0  # seconds
CHANGE = {"old_password": PASSWORD, "new_password": PASSWORD + "X"}
ENGINE = "/socket.io/?EIO=4&transport="


@pytest.fixture
def environ(tmp_path: Path, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{tmp_path}/test.sqlite3", "REDIS_URL": redis_url}


@pytest.fixture
async def nodes(environ: dict[str, str]) -> AsyncIterator[list[Server]]:
    """Two nodes that look at the log by themselves only once in a while: what they hear at once comes by the bell."""
    settings = {name.lower(): value for name, value in environ.items()}
    async with AsyncExitStack() as stack:
        starting = [running_server(**settings, poll_interval=30.0, polling_affinity=True) for _ in range(2)]
        started = [await stack.enter_async_context(each) for each in starting]
        async with asyncio.timeout(10):
            while not all(node.app[BELL].connected for node in started):
                await asyncio.sleep(0.01)
        yield started


@dataclass
class Open:
    """What a user has open: raw sockets, and what ends with each connection of another kind."""

    sockets: dict[str, RawSocket] = field(default_factory=dict)
    endings: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def alive(self) -> int:
        raw = sum(socket.closed is None for socket in self.sockets.values())
        return raw + sum(not task.done() for task in self.endings.values())

    async def all_closed(self, *, but: RawSocket | None = None) -> None:
        """Waits until every connection has ended, at once."""
        waiting = [socket.until(lambda s=socket: s.closed) for socket in self.sockets.values() if socket is not but]
        async with asyncio.timeout(AT_ONCE):
            await asyncio.gather(*waiting, *self.endings.values())

    def codes(self) -> set[int | None]:
        return {socket.closed[0] for socket in self.sockets.values() if socket.closed is not None}


async def open_everything(who: Person, nodes: list[Server], workspace: int) -> Open:
    """A connection of every kind on every node."""
    found = await open_items(who, nodes)
    for number, node in enumerate(nodes):
        here = replace(who, server=node)
        found.sockets[f"classic {number}"] = await here.core_socket()
        found.sockets[f"2026 {number}"] = await arrive(here)
        await enter(found, here, "/core", number)
        stream = await StreamClient(here, f"workspace:{workspace}").connect()
        found.endings[f"stream {number}"] = asyncio.create_task(stream.end_of_stream())
    return found


async def open_items(who: Person, nodes: list[Server]) -> Open:
    """A connection of every kind of the items API on every node."""
    found = Open()
    for number, node in enumerate(nodes):
        found.sockets[f"items {number}"] = await node.websocket(f"/ws/events/?jwt_token={who.token}")
        await found.sockets[f"items {number}"].expect("authentication")
        await enter(found, replace(who, server=node), "/events", number)
    return found


async def enter(found: Open, who: Person, namespace: str, number: int) -> None:
    """Enters a namespace in every way."""
    for recovery in (False, True):
        found.endings[f"{namespace} {recovery} {number}"] = await by_websocket(who, namespace, recovery)
    found.endings[f"{namespace} polling {number}"] = await by_polling(who, namespace)


async def by_websocket(who: Person, namespace: str, recovery: bool) -> asyncio.Task[None]:
    """Enters a namespace; the task ends when the server says that it is left."""
    socket = await who.server.http.ws_connect(who.server.url + ENGINE + "websocket")
    await socket.receive_str()
    await socket.send_str(f"40{namespace},{json.dumps({'token': who.token, 'recovery': recovery})}")
    assert (await socket.receive_str()).startswith(f"40{namespace},")

    async def read() -> None:
        while await socket.receive_str() != f"41{namespace},":
            pass
        await socket.close()

    return asyncio.create_task(read())


async def by_polling(who: Person, namespace: str) -> asyncio.Task[None]:
    """The same without a WebSocket."""
    http, url = who.server.http, who.server.url + ENGINE + "polling"
    async with http.get(url) as answer:
        url += "&sid=" + json.loads((await answer.text())[1:])["sid"]
    async with http.post(url, data=f"40{namespace},{json.dumps({'token': who.token})}") as answer:
        assert answer.status == 200
    async with http.get(url) as answer:
        assert (await answer.text()).startswith(f"40{namespace},")

    async def poll() -> None:
        packets: list[str] = []
        while f"41{namespace}," not in packets:
            async with http.get(url) as answer:
                packets = (await answer.text()).split("\x1e")

    return asyncio.create_task(poll())


def known(nodes: list[Server], who: Person) -> int:
    """How many connections of a user the nodes know."""
    return sum(len(node.app[REGISTRY].users.get(who.id, ())) for node in nodes)


async def test_a_new_password_closes_everything_on_all_nodes_but_the_acting_socket(nodes: list[Server]) -> None:
    ann, bob = await newcomer(nodes[0], "Ann"), await newcomer(nodes[0], "Bob")
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    opened, others = await open_everything(ann, nodes, workspace), await bob.core_socket()
    assert known(nodes, ann) == opened.alive() == 20
    await ann.ok("POST", "/api/user/change-password/", CHANGE, socket=(acting := opened.sockets["2026 0"]))
    await opened.all_closed(but=acting)
    assert opened.codes() == {1000} and known(nodes, ann) == opened.alive() == 1
    assert acting.closed is None and others.closed is None
    for node in nodes:
        assert (await replace(ann, server=node).request("GET", "/api/workspaces/")).status == 401
        socket = await node.websocket(f"/ws/core/?jwt_token={ann.token}")
        assert not (await socket.expect("authentication"))[0]["success"]


async def test_the_end_of_an_account_closes_everything_on_all_nodes(
    nodes: list[Server], environ: dict[str, str]
) -> None:
    ann = await newcomer(nodes[0], "Ann")
    opened = await open_everything(ann, nodes, await ann.workspace())
    said = await asyncio.to_thread(run, "end-account", ann.email.upper(), **environ)
    await opened.all_closed()
    assert said == f"account {ann.id} has ended"
    assert opened.codes() == {4403} and known(nodes, ann) == opened.alive() == 0
    for node in nodes:
        here = replace(ann, server=node)
        assert (await here.request("GET", "/api/workspaces/")).body == {"detail": "User not found"}
        login = {"email": ann.email, "password": PASSWORD}
        assert (await here.server.request("POST", "/api/user/token-auth/", login)).status == 401
        refresh = {"refresh_token": ann.refresh_token}
        assert (await here.server.request("POST", "/api/user/token-refresh/", refresh)).status == 401
    assert "there is no account" in await asyncio.to_thread(run, "end-account", ann.email, status=1, **environ)


async def test_the_end_of_a_client_closes_its_sockets_on_all_nodes(nodes: list[Server]) -> None:
    """Another client of the same workspace goes on."""
    board = await make_board(await newcomer(nodes[0], "Ann"))
    client, program = await make_client(board), await authenticated(nodes[0], await make_client(board))
    doomed = await authenticated(nodes[1], client)
    opened, others = await open_items(doomed, nodes), await open_items(program, nodes)
    assert known(nodes, doomed) == known(nodes, program) == opened.alive() == 8
    await board.ann.ok("DELETE", f"/clients/{client['client_id']}")
    await opened.all_closed()
    assert opened.codes() == {4403} and known(nodes, doomed) == opened.alive() == 0
    assert known(nodes, program) == others.alive() == 8
    for node in nodes:
        assert (await replace(doomed, server=node).request("GET", "/workspaces")).status == 401
        socket = await node.websocket(f"/ws/events/?jwt_token={doomed.token}")
        assert not (await socket.expect("authentication"))[0]["success"]
    for task in others.endings.values():
        task.cancel()
    await asyncio.gather(*others.endings.values(), return_exceptions=True)


async def test_signing_out_closes_what_was_opened_with_the_token_on_all_nodes(nodes: list[Server]) -> None:
    """Another token of the same user, that of another browser, goes on."""
    ann = await newcomer(nodes[0], "Ann")
    elsewhere = replace(ann, token=nodes[0].app[TOKENS].access(ann.id))
    opened, other = await open_everything(ann, nodes, await ann.workspace()), await elsewhere.core_socket()
    assert known(nodes, ann) == 21
    bearer = {"Authorization": f"Bearer {ann.token}"}
    assert (await nodes[0].request("POST", "/authenticate/logout", headers=bearer)).status == 204
    await opened.all_closed()
    assert opened.codes() == {1000} and known(nodes, ann) == 1
    assert other.closed is None
    for headers in (bearer, {}, {"Authorization": "Bearer nonsense"}):
        assert (await nodes[0].request("POST", "/authenticate/logout", headers=headers)).status == 204


async def test_signing_a_refresh_token_out_leaves_sockets_as_they_are(nodes: list[Server]) -> None:
    """As recorded: it ends the refresh token alone (contract database.md, b)."""
    ann = await newcomer(nodes[0], "Ann")
    socket = await replace(ann, server=nodes[1]).core_socket()
    out = {"refresh_token": ann.refresh_token}
    assert (await nodes[0].request("POST", "/api/user/token-blacklist/", out)).status == 204
    await ann.ok("PATCH", "/api/user/account/", {"first_name": "Anna"})
    await socket.expect("user_updated")
    assert socket.closed is None
