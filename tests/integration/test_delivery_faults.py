"""Delivery when something is wrong: readers that do not read, a database that is away, handlers that fail."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import socketio

from server.delivery import backlog
from server.parts import REGISTRY, SOCKETIO
from server.rest.context import RUNNER
from tests.support.app import Person, Server, database_away, running_server

PATIENCE = 20.0
CELL = "x" * 8000


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Server]:
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url, signup_creates_workspace=False) as server:
        yield server


async def until(condition: Callable[[], Any]) -> None:
    """Waits until a condition of the server holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


async def large_table(ann: Person) -> tuple[int, list[dict[str, Any]]]:
    """A table, and a change of 150 of its rows that is told in some megabytes."""
    table = await ann.table(await ann.database(await ann.workspace()), data=[["Name"], ["x"]], first_row_header=True)
    (field,) = await ann.ok("GET", f"/api/database/fields/table/{table}/")
    path = f"/api/database/rows/table/{table}/batch/"
    made = await ann.ok("POST", path, {"items": [{} for _ in range(150)]})
    return table, [{"id": row["id"], f"field_{field['id']}": CELL} for row in made["items"]]


async def test_one_large_change_cuts_nobody_who_reads(sqlite: Server) -> None:
    ann = await sqlite.sign_up("Ann")
    table, items = await large_table(ann)
    raw = await ann.core_socket()
    await raw.subscribe("table", table_id=table)
    client, heard = socketio.AsyncClient(reconnection=False), []
    client.on("*", handler=lambda name, message: heard.append(name), namespace="/core")
    await client.connect(sqlite.url, namespaces=["/core"], auth={"token": ann.token}, transports=["websocket"])
    assert (await client.call("page", {"page": "table", "table_id": table}, namespace="/core"))["ok"]
    for _ in range(3):
        await ann.ok("PATCH", f"/api/database/rows/table/{table}/batch/", {"items": items})
    await until(lambda: heard.count("rows_updated") == 3)
    await raw.until(lambda: [m["type"] for m in raw.messages].count("rows_updated") == 3)
    assert raw.closed is None
    await client.disconnect()


class Deaf:
    """A WebSocket client that stops reading: its receive buffer is small and nobody empties it."""

    def __init__(self, server: Server, path: str) -> None:
        self.server, self.path = server, path
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        host, port = self.server.url.removeprefix("http://").split(":")
        self.socket.setblocking(False)
        await loop.sock_connect(self.socket, (host, int(port)))
        upgrade = (
            f"GET {self.path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await loop.sock_sendall(self.socket, upgrade.encode())
        assert (await loop.sock_recv(self.socket, 12)).startswith(b"HTTP/1.1 101")


async def test_a_reader_that_stops_reading_is_cut_and_others_are_not(
    sqlite: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 0.1)
    ann = await sqlite.sign_up("Ann")
    deaf = Deaf(sqlite, f"/ws/core/?jwt_token={ann.token}")
    await deaf.connect()
    registry = sqlite.app[REGISTRY]
    await until(lambda: len(registry.subscribers) == 1)
    (stalled,) = registry.subscribers
    hearing = await ann.core_socket()
    workspace = await ann.workspace()
    while stalled in registry.subscribers:
        stalled.tell("filler", {"text": "z" * 300_000})
        await ann.ok("PATCH", f"/api/workspaces/{workspace}/", {"name": "changed"})
        assert stalled.link.backlog() < 64 << 20, "a reader that does not read must not fill the memory"  # type: ignore[attr-defined]
    await ann.ok("PATCH", f"/api/workspaces/{workspace}/", {"name": "the last"})
    await hearing.until(lambda: any(m.get("workspace", {}).get("name") == "the last" for m in hearing.messages))
    deaf.socket.close()


async def test_closing_a_reader_that_does_not_read_ends(sqlite: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.websocket.CLOSE_TIMEOUT", 0.2)
    ann = await sqlite.sign_up("Ann")
    deaf = Deaf(sqlite, f"/ws/core/?jwt_token={ann.token}")
    await deaf.connect()
    registry = sqlite.app[REGISTRY]
    await until(lambda: len(registry.subscribers) == 1)
    (stalled,) = registry.subscribers
    while stalled.link.backlog() < 200_000:  # type: ignore[attr-defined]
        stalled.tell("filler", {"text": "z" * 100_000})
        await asyncio.sleep(0)
    stalled.link.close(1012, "restart")
    await until(lambda: not registry.subscribers)
    deaf.socket.close()


async def test_sockets_outlive_a_database_that_is_away(sqlite: Server) -> None:
    ann = await sqlite.sign_up("Ann")
    table = await ann.table(await ann.database(await ann.workspace()))
    open_socket = await ann.core_socket()

    with database_away(sqlite):
        await open_socket.send({"page": "table", "table_id": table})
        await open_socket.send({"type": "ping"})
        await open_socket.expect("pong")  # the page was refused in silence, the socket lives
        late = await sqlite.websocket(f"/ws/core/?jwt_token={ann.token}")
        await late.until(lambda: late.closed)
        assert late.closed == (1012, "The database is not available just now.")
        client = socketio.AsyncClient(reconnection=False)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(sqlite.url, namespaces=["/core"], auth={"token": ann.token})
        with contextlib.suppress(aiohttp.ClientError):
            await client.disconnect()
        assert (await ann.request("GET", "/api/workspaces/")).status == 503
    await open_socket.subscribe("table", table_id=table)
    assert len(sqlite.app[REGISTRY].subscribers) == 1


async def test_a_socket_whose_handling_fails_is_closed_properly(
    sqlite: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await sqlite.sign_up("Ann")
    socket = await ann.core_socket()

    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(sqlite.app[RUNNER], "check", broken)
    await socket.send({"page": "table", "table_id": 1})
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1012, "error")
    await until(lambda: not sqlite.app[REGISTRY].subscribers)


async def test_a_connect_handler_that_fails_leaves_nothing_behind(
    sqlite: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await sqlite.sign_up("Ann")

    async def broken(*args: Any, **kwargs: Any) -> Any:
        raise ValueError("broken")

    monkeypatch.setattr(sqlite.app[RUNNER], "check", broken)
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(sqlite.url, namespaces=["/core"], auth={"token": ann.token}, transports=["websocket"])
    await client.disconnect()
    manager = sqlite.app[SOCKETIO].manager
    await until(lambda: not (manager.clients or manager.sids or manager.registry.subscribers))


async def test_emitting_to_a_client_and_to_a_namespace_reaches_them(sqlite: Server) -> None:
    ann = await sqlite.sign_up("Ann")
    client, heard = socketio.AsyncClient(reconnection=False), []
    client.on("*", handler=lambda name, *args: heard.append((name, args)), namespace="/core")
    await client.connect(sqlite.url, namespaces=["/core"], auth={"token": ann.token}, transports=["websocket"])
    server = sqlite.app[SOCKETIO]
    await server.emit("hello", "you", to=client.get_sid("/core"), namespace="/core")
    await server.emit("hello", "all", namespace="/core")
    await until(lambda: len(heard) == 2)
    assert heard == [("hello", ("you",)), ("hello", ("all",))]
    await client.disconnect()
