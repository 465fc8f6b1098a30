"""`GET /api/events/stream` as a connection: its bytes, its silence, slow readers, and every way in which it ends."""

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from server.delivery import backlog, event_stream, replay
from server.errors import Unavailable
from server.lifecycle import close_sockets
from server.namespaces import admission
from server.parts import REGISTRY
from server.rest.context import READINESS, RUNNER
from tests.support.app import Server, database_away, running_server
from tests.support.commands import serving
from tests.support.core_2026 import Grid, make_grid
from tests.support.event_stream import PATH, StreamClient, StreamParser

PATIENCE = 20.0
Ask = Callable[..., "Wire"]


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def stream(grid: Grid) -> AsyncIterator[StreamClient]:
    """Bob's stream of the table and the workspace."""
    client = await StreamClient(grid.bob, f"table:{grid.table}", f"workspace:{grid.workspace}").connect()
    yield client
    await client.drop()


async def until(condition: Callable[[], Any]) -> None:
    """Waits until a condition of the server holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


class Wire:
    """A bare TCP connection on which one stream is asked for."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self, grid: Grid, *lines: str, method: str = "GET", version: str = "1.1", since: int = 0) -> None:
        self.address = grid.server.url.removeprefix("http://").split(":")
        target = f"{PATH}?room=workspace:{grid.workspace}" + (f"&since={since}" if since else "")
        head = [f"{method} {target} HTTP/{version}", "Host: localhost", f"Authorization: JWT {grid.bob.token}", *lines]
        self.request = "\r\n".join([*head, "", ""]).encode()

    async def open(self, receive_buffer: int | None = None) -> bytes:
        """Asks; returns the head of the answer."""
        connection = socket.socket()
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (self.address[0], int(self.address[1])))
        self.reader, self.writer = await asyncio.open_connection(sock=connection, limit=1 << 16)
        self.writer.write(self.request)
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        return await asyncio.wait_for(self.reader.read(), PATIENCE)

    async def chunk(self) -> bytes:
        """The next chunk, b"" for the last one."""
        size = int(await asyncio.wait_for(self.reader.readline(), PATIENCE), 16)
        data = await self.reader.readexactly(size + 2)
        assert data.endswith(b"\r\n")
        return data[:-2]


@pytest.fixture
async def ask(grid: Grid) -> AsyncIterator[Ask]:
    """Makes bare connections, which end with the test."""
    wires: list[Wire] = []

    def make(*lines: str, **how: Any) -> Wire:
        wires.append(Wire(grid, *lines, **how))
        return wires[-1]

    yield make
    for wire in wires:
        wire.writer.close()
        with contextlib.suppress(OSError):
            await wire.writer.wait_closed()


def event(position: int, name: str, workspace: int) -> bytes:
    """The pattern of what a renaming is told with."""
    data = rb'\{"type":"group_updated","workspace_id":%d,"workspace":\{[^\n]*"name":"%b"[^\n]*\}\}'
    return rb"id: %d\nevent: group_updated\ndata: " % position + data % (workspace, name.encode()) + rb"\n\n"


async def test_the_bytes_of_a_stream(grid: Grid, ask: Ask) -> None:
    """Each frame is a chunk of its own, and the last chunk ends the body and the connection."""
    wire = ask("Origin: https://app.example.com", "Accept: text/event-stream")
    head = (await wire.open()).decode()
    begin = await grid.server.log_position()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)
    assert headers.pop("X-Request-Id") and headers.pop("Date") and headers.pop("Server")
    assert headers == {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Stream-Offset, Retry-After, X-Request-Id",
        "Transfer-Encoding": "chunked",
        "Connection": "close",
    }
    assert await wire.chunk() == b"retry: 2000\nid: %d\n\n" % begin
    position = await grid.rename("Über")
    assert re.fullmatch(event(position, "Über", grid.workspace), await wire.chunk())
    await grid.remove_bob()
    assert (await wire.chunk()).startswith(b"id: ")
    lost = b'id: %d\nevent: room_discard\ndata: {"room":"workspace:%d"}\n\n'
    assert await wire.chunk() == lost % (await grid.server.log_position(), grid.workspace)
    assert await wire.rest() == b"0\r\n\r\n"


async def test_a_client_of_the_first_http_gets_no_chunks(grid: Grid, ask: Ask) -> None:
    begin = await grid.server.log_position()
    first = await grid.rename("first")
    wire = ask(version="1.0", since=begin)
    head = await wire.open()
    assert head.startswith(b"HTTP/1.0 200 OK\r\n") and b"chunked" not in head.lower()
    second = await grid.rename("second")
    await grid.delivered()
    await close_sockets(grid.server.app)
    expected = (
        event(first, "first", grid.workspace)
        + rb"retry: 2000\nid: %d\n\n" % first
        + event(second, "second", grid.workspace)
        + rb": restart\n"
    )
    assert re.fullmatch(expected, await wire.rest())


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_a_head_request_is_answered_and_over(grid: Grid, ask: Ask, version: str) -> None:
    wire = ask("Connection: close", method="HEAD", version=version)
    head = await wire.open()
    assert head.startswith(b"HTTP/%b 200 OK\r\n" % version.encode()) and b"Content-Type: text/event-stream" in head
    assert b"Stream-Offset: %d\r\n" % await grid.server.log_position() in head
    assert await wire.rest() == b""
    await grid.remove_bob()
    head = await ask(method="HEAD").open()
    assert head.startswith(b"HTTP/1.1 400 ")


async def test_pages_of_other_origins_may_read_it(grid: Grid) -> None:
    headers = {"Origin": "https://app.example.com", "Access-Control-Request-Headers": "authorization,last-event-id"}
    ask = await grid.bob.request("OPTIONS", PATH, headers=headers)
    assert "last-event-id" in ask.headers["Access-Control-Allow-Headers"]
    client = await StreamClient(grid.bob, f"table:{grid.table}").connect(Origin="https://app.example.com")
    assert client.response.headers.getall("Access-Control-Allow-Origin") == ["*"]
    await client.drop()


async def test_a_listed_origin_is_echoed(tmp_path: Path) -> None:
    page = "https://app.example.com"
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url, signup_creates_workspace=False, allowed_origins=page) as server:
        grid = await make_grid(server)
        client = await StreamClient(grid.bob, f"table:{grid.table}").connect(Origin=page)
        assert client.response.headers["Access-Control-Allow-Origin"] == page
        await client.drop()


async def test_a_silent_stream_is_kept_open_and_its_cursor_young(database_url: str) -> None:
    async with running_server(
        database_url=database_url, signup_creates_workspace=False, stream_heartbeat=0.3
    ) as server:
        grid = await make_grid(server)
        clients = [await StreamClient(grid.bob, f"workspace:{grid.workspace}").connect() for _ in range(20)]
        begin = asyncio.get_running_loop().time()
        position = await grid.add_row()  # which nobody of them hears
        for client in clients:
            await client.until(lambda client=client: len(client.comments) >= 3)
            assert set(client.comments) == {""} and client.told == []
            assert client.last_id == str(position)
        assert max(len(client.comments) for client in clients) <= 5
        assert asyncio.get_running_loop().time() - begin > 0.5
        for client in clients:
            await client.drop()


async def test_a_client_that_leaves_leaves_nothing_behind(
    grid: Grid, stream: StreamClient, caplog: pytest.LogCaptureFixture
) -> None:
    registry = grid.server.app[REGISTRY]
    assert len(registry.subscribers) == 1
    with caplog.at_level(logging.INFO, "server.rest.access_log"):
        await stream.drop()
        await until(lambda: not registry.subscribers)
    assert not (registry.members or registry.users or registry.watchers)
    (line,) = [record for record in caplog.records if "stream" in record.getMessage()]
    assert (line.status, line.user) == (200, grid.bob.id)  # type: ignore[attr-defined]


async def test_a_client_that_leaves_before_the_answer_leaves_nothing_behind(
    grid: Grid, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, runner, readiness = grid.server.app[REGISTRY], grid.server.app[RUNNER], grid.server.app[READINESS]
    look_at, may_look = runner.look_at, asyncio.Event()

    async def slow(*args: Any, **kwargs: Any) -> Any:
        await may_look.wait()
        return await look_at(*args, **kwargs)

    monkeypatch.setattr(runner, "check", slow)
    wire = ask()
    opening = asyncio.create_task(wire.open())
    await until(lambda: registry.subscribers)
    (entering,) = registry.subscribers
    wire.writer.close()
    await until(lambda: entering.link.transport.is_closing())
    may_look.set()
    await until(lambda: not readiness.running)
    assert not registry.subscribers and not registry.members
    with pytest.raises(asyncio.IncompleteReadError):
        await opening


async def test_a_stop_while_a_stream_begins_ends_it(grid: Grid, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = grid.server.app[RUNNER]
    look_at = runner.look_at

    async def stopping(*args: Any, **kwargs: Any) -> Any:
        await close_sockets(grid.server.app)
        return await look_at(*args, **kwargs)

    monkeypatch.setattr(runner, "check", stopping)
    wire = ask("Connection: close")
    assert (await wire.open()).startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert await wire.rest() == b"0\r\n\r\n"
    assert not grid.server.app[REGISTRY].subscribers


async def test_what_a_client_says_on_its_stream_is_ignored(grid: Grid, ask: Ask) -> None:
    wire = ask()
    await wire.open()
    await wire.chunk()
    wire.writer.write(b"GET /api/workspaces/ HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    await wire.writer.drain()
    await grid.rename("goes on")
    assert b"goes on" in await wire.chunk()
    await close_sockets(grid.server.app)
    assert await wire.chunk() == b": restart\n"
    assert await wire.rest() == b"0\r\n\r\n"


async def test_a_connection_survives_a_refusal(grid: Grid, ask: Ask) -> None:
    """A refused stream is an ordinary answer, also while the database is away; the next request may follow it."""
    wire = ask()
    params = [("room", f"table:{grid.table}"), ("since", "1")]

    with database_away(grid.server):
        answer = await grid.bob.request("GET", PATH, params=params)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert answer.body["error"] == "ERROR_UNAVAILABLE"
        head = await wire.open()
        assert head.startswith(b"HTTP/1.1 503 ") and b"close" not in head.lower()
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
    await wire.reader.readexactly(length)
    wire.writer.write(wire.request)
    assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
    assert (await wire.chunk()).startswith(b"retry: ")


@pytest.mark.parametrize("failure", [Unavailable, ValueError])  # an instance would keep what it was raised through
async def test_a_replay_that_fails_ends_the_stream_in_order(
    grid: Grid, failure: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is sent, so there is no other answer; the client goes on where it was told."""
    begin = await grid.server.log_position()
    for number in range(5):
        await grid.rename(f"Team {number}")
    runner, looks = grid.server.app[RUNNER], 0
    look_at = runner.look_at

    async def failing(*args: Any, **kwargs: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise failure("away")
        return await look_at(*args, **kwargs)

    monkeypatch.setattr(runner, "look_at", failing)
    monkeypatch.setattr(admission, "CHUNK", 2)
    monkeypatch.setattr("server.delivery.relay.Relay.recent", lambda relay, cursor: None)
    stream = await StreamClient(grid.bob, f"workspace:{grid.workspace}").connect(begin)
    await stream.end_of_stream()
    assert len(stream.told) == 2 and stream.comments == ["error"]
    assert not grid.server.app[REGISTRY].subscribers
    monkeypatch.undo()
    await stream.connect()
    await stream.until(lambda: len(stream.told) == 5)
    assert [told.data["workspace"]["name"] for told in stream.told] == [f"Team {number}" for number in range(5)]
    await stream.drop()


async def test_a_reader_that_stops_reading_is_cut_and_goes_on_later(
    grid: Grid, ask: Ask, stream: StreamClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PATIENCE", 0.1)
    monkeypatch.setattr(event_stream, "CLOSE_TIMEOUT", 0.2)
    registry = grid.server.app[REGISTRY]
    deaf, got = ask(), StreamParser()
    await deaf.open(receive_buffer=4096)
    begin = int(stream.last_id)
    await until(lambda: len(registry.subscribers) == 2)
    (stalled,) = [each for each in registry.subscribers if each.link.request.path_qs.count("room") == 1]
    while stalled in registry.subscribers:
        await grid.ann.ok("PATCH", f"/api/workspaces/{grid.workspace}/", {"name": "x" * 100})
        stalled.link.write(stalled.link.wire.comment("z" * 300_000))
        assert stalled.link.backlog() < 64 << 20, "a reader that does not read must not fill the memory"
    assert stalled.link.transport.is_closing() or stalled.link.ended.is_set()
    try:
        while size := int(await asyncio.wait_for(deaf.reader.readline(), PATIENCE) or b"0", 16):
            got.feed((await deaf.reader.readexactly(size + 2))[:-2])
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # what was not read in time is gone
    got.end()
    last = await grid.rename("the last")
    await stream.until(lambda: stream.last_id == str(last))
    back = StreamClient(grid.bob, f"workspace:{grid.workspace}")
    back.told, back.last_id = got.told, got.last_id or str(begin)
    await back.connect()
    await back.until(lambda: back.last_id == str(last))
    assert back.told == stream.told
    await back.drop()


async def test_a_history_is_told_at_the_pace_of_its_reader(
    grid: Grid, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "CHUNK", 20)
    monkeypatch.setattr(replay, "PACE", 4096)
    begin = await grid.server.log_position()
    await grid.record(3000, f"core:workspace:{grid.workspace}")
    wire, got = ask(since=begin), StreamParser()
    await wire.open(receive_buffer=4096)
    registry = grid.server.app[REGISTRY]
    while len(got.told) < 3000:
        got.feed(await wire.chunk())
        for subscriber in registry.subscribers:
            assert subscriber.link.backlog() < 1 << 16
    assert [told.id for told in got.told] == list(range(begin + 1, begin + 3001))


async def test_a_stop_ends_streams_in_order(tmp_path: Path) -> None:
    """After SIGTERM each stream ends with its last chunk, so that the client knows that nothing was cut off."""
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/test.sqlite3", "SHUTDOWN_SPREAD": "0.2"}
    with serving(**environ) as (child, url):
        async with aiohttp.ClientSession() as http:
            ann = await Server(None, url, http, None).sign_up("Ann")  # type: ignore[arg-type]
            workspace = await ann.workspace()
            streams = [await StreamClient(ann, f"workspace:{workspace}").connect() for _ in range(5)]
            await ann.ok("PATCH", f"/api/workspaces/{workspace}/", {"name": "the last"})
            psutil.Process(child.pid).terminate()
            for stream in streams:
                await stream.end_of_stream()
                assert [told.type for told in stream.told] == ["group_updated"]
                assert stream.comments == ["restart"]
            assert await asyncio.to_thread(child.wait, 20) == 0, child.output
    assert "Traceback" not in child.output
