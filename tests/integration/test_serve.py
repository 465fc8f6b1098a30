"""`serve` as a real process: how it stops, how workers are looked after, what its log says."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import aiohttp
import psutil
import pytest
import socketio

from tests.support.app import Answer, Person, Server
from tests.support.commands import ROOT, serving
from tests.support.node import NodeClient, Toolchain
from tests.support.processes import Child, accepts, free_port, is_alive, wait_until

QUICK = {"SHUTDOWN_SPREAD": "0.2"}


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/test.sqlite3"


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def at(url: str, http: aiohttp.ClientSession) -> Server:
    """A server in another process, for the tests' people."""
    return Server(None, url, http, None)  # type: ignore[arg-type]


class Connection:
    """A bare TCP connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        host, port = self.url.removeprefix("http://").split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    def __init__(self, url: str) -> None:
        self.url = url

    async def head(self, *lines: str) -> bytes:
        """Sends the head of a request; returns that of the answer."""
        self.writer.write("\r\n".join([*lines, "Host: localhost", "", ""]).encode())
        return await self.reader.readuntil(b"\r\n\r\n")


class SilentSocket(Connection):
    """A WebSocket whose client reads nothing and answers nothing."""

    def __init__(self, url: str, path: str) -> None:
        super().__init__(url)
        self.path = path

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        answer = await self.head(f"GET {self.path} HTTP/1.1", *upgrade, f"Sec-WebSocket-Key: {'A' * 22}==")
        assert b"101" in answer
        return self


class SlowRequest(Connection):
    """A request whose handler runs and waits for its body."""

    def __init__(self, person: Person, path: str, value: object) -> None:
        super().__init__(person.server.url)
        self.person, self.path, self.body = person, path, json.dumps(value).encode()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        answer = await self.head(
            f"POST {self.path} HTTP/1.1",
            f"Authorization: JWT {self.person.token}",
            "Content-Type: application/json",
            f"Content-Length: {len(self.body)}",
            "Expect: 100-continue",  # answered when the handler begins
        )
        assert b"100 Continue" in answer
        return self

    async def finish(self) -> Answer:
        self.writer.write(self.body)
        head = await self.reader.readuntil(b"\r\n\r\n")
        return Answer(int(head.split()[1]), json.loads(await self.reader.read()), head)


def stop(child: Child) -> float:
    """Sends SIGTERM; returns the time at which."""
    psutil.Process(child.pid).send_signal(signal.SIGTERM)
    return time.monotonic()


async def ended(child: Child, timeout: float = 20) -> int:
    return await asyncio.to_thread(child.wait, timeout)


async def test_sigterm_ends_it_in_order(sqlite_url: str, http: aiohttp.ClientSession) -> None:
    """Sockets are told to come back, a running request is finished, nobody new is let in, status 0."""
    with serving(DATABASE_URL=sqlite_url, **QUICK) as (child, url):
        ann = await at(url, http).sign_up("Ann")
        sockets = [await ann.core_socket() for _ in range(3)]
        async with SlowRequest(ann, "/api/workspaces/", {"name": "late"}) as request:
            began = stop(child)
            for socket in sockets:
                await socket.until(lambda socket=socket: socket.closed)
                assert socket.closed == (1012, "restart")
            assert not accepts(int(url.rpartition(":")[2]))
            answer = await request.finish()
        assert (answer.status, answer.body["name"]) == (200, "late")
        assert await ended(child) == 0
        assert time.monotonic() - began < 5
        for socket in sockets:
            await socket.close()
    with serving(DATABASE_URL=sqlite_url) as (_, url):
        ann.server = at(url, http)
        names = [workspace["name"] for workspace in await ann.ok("GET", "/api/workspaces/")]
        assert names[-1] == "late"  # what was answered is kept


async def test_hanging_clients_delay_the_end_but_do_not_prevent_it(
    sqlite_url: str, http: aiohttp.ClientSession
) -> None:
    """Sockets that answer no close frame, an Engine.IO connection in no namespace, a body that never comes."""
    with serving(DATABASE_URL=sqlite_url, SHUTDOWN_TIMEOUT="4", **QUICK) as (child, url):
        ann = await at(url, http).sign_up("Ann")
        async with (
            SilentSocket(url, f"/ws/core/?jwt_token={ann.token}"),
            SilentSocket(url, "/socket.io/?EIO=4&transport=websocket"),
            SlowRequest(ann, "/api/workspaces/", {"name": "never"}),
        ):
            began = stop(child)
            assert await ended(child) == 0, child.output
            assert time.monotonic() - began < 4


async def test_a_second_signal_ends_it_at_once(sqlite_url: str, http: aiohttp.ClientSession) -> None:
    with serving(DATABASE_URL=sqlite_url) as (child, url):
        ann = await at(url, http).sign_up("Ann")
        socket = await ann.core_socket()
        async with SlowRequest(ann, "/api/workspaces/", {"name": "never"}):
            stop(child)
            await socket.until(lambda: socket.closed)
            began = stop(child)
            assert await ended(child) == -signal.SIGTERM
            assert time.monotonic() - began < 2
        await socket.close()


async def test_clients_come_back_after_a_restart(sqlite_url: str, node: Toolchain, http: aiohttp.ClientSession) -> None:
    """The official clients tell a restart from a goodbye: both reconnect by themselves, whatever their transport."""
    port = free_port()
    environ = {"DATABASE_URL": sqlite_url, **QUICK}
    arrivals: asyncio.Queue[str] = asyncio.Queue()
    clients = []
    async with NodeClient(node) as upgraded, NodeClient(node) as polling:
        with serving(port=port, **environ) as (child, url):
            token = (await at(url, http).sign_up("Ann")).token
            for client, transports in ((upgraded, {}), (polling, {"transports": ["polling"]})):
                options = {"auth": {"token": token}} | transports
                await client.send({"cmd": "connect", "url": url, "namespace": "/core", "options": options})
                await client.receive("connect")
            await upgraded.receive("upgrade")
            for transport in ("websocket", "polling"):
                client = socketio.AsyncClient(reconnection_delay=0.1)
                client.on("connect", lambda name=transport: arrivals.put_nowait(name), namespace="/core")
                await client.connect(url, namespaces=["/core"], auth={"token": token}, transports=[transport])
                clients.append(client)
                assert await asyncio.wait_for(arrivals.get(), 10) == transport
            stop(child)
            assert await ended(child) == 0
            for node_client in (upgraded, polling):
                assert (await node_client.receive("disconnect"))["reason"] != "io server disconnect"
        with serving(port=port, **environ):
            for node_client in (upgraded, polling):
                await node_client.receive("connect", timeout=20)
            returned = {await asyncio.wait_for(arrivals.get(), 20) for _ in clients}
            assert returned == {"websocket", "polling"}
            for client in clients:
                await client.disconnect()


def workers_of(child: Child) -> dict[int, psutil.Process]:
    return {process.pid: process for process in psutil.Process(child.pid).children()}


async def test_a_worker_that_dies_is_replaced(
    migrated_postgres_url: str, redis_url: str, http: aiohttp.ClientSession
) -> None:
    """Two workers on one port: while one is killed and replaced, requests are answered; SIGTERM ends them all."""
    environ = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url, **QUICK}
    with serving("--workers", "2", **environ) as (child, url):
        ann = await at(url, http).sign_up("Ann")
        before = workers_of(child)
        assert len(before) == 2
        victim = next(iter(before))
        before[victim].kill()
        wait_until(lambda: len(workers_of(child).keys() - before.keys()) == 1, 20, "a worker takes its place")
        for number in range(20):  # new connections go to either, also to the one that only begins
            async with aiohttp.ClientSession() as fresh:
                ann.server = at(url, fresh)
                await ann.ok("PATCH", "/api/user/account/", {"first_name": f"Ann {number}"})
        assert "worker ended with status -9" in child.output
        ann.server = at(url, http)
        socket = await ann.core_socket()
        workers = workers_of(child).values()
        stop(child)
        await socket.until(lambda: socket.closed)
        assert socket.closed == (1012, "restart")
        assert await ended(child) == 0
        assert not any(worker.is_running() for worker in workers)
        await socket.close()


async def test_workers_end_with_their_supervisor(migrated_postgres_url: str, redis_url: str) -> None:
    environ = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url, **QUICK}
    with serving("--workers", "2", **environ) as (child, _):
        wait_until(lambda: len(workers_of(child)) == 2, 10, "both workers run")
        workers = list(workers_of(child).values())
        psutil.Process(child.pid).kill()
        wait_until(lambda: not any(worker.is_running() for worker in workers), 20, "the workers end")


async def test_the_log_names_requests_and_hides_credentials(sqlite_url: str, http: aiohttp.ClientSession) -> None:
    with serving(DATABASE_URL=sqlite_url, LOG_LEVEL="DEBUG", LOG_FORMAT="json", **QUICK) as (child, url):
        server = at(url, http)
        ann = await server.sign_up("Ann")
        named = await ann.request(
            "GET", f"/api/workspaces/?token={ann.token}", headers={"X-Request-Id": "request-0001"}
        )
        assert named.headers["X-Request-Id"] == "request-0001"
        unnamed = await server.request("GET", "/nope?key=abcdefgh")
        socket = await ann.core_socket()
        client = socketio.AsyncClient()
        await client.connect(url, namespaces=["/core"], auth={"token": ann.token}, transports=["websocket"])
        await client.disconnect()
        await socket.close()
        stop(child)
        assert await ended(child) == 0
    assert ann.token not in child.output
    assert ann.token.rpartition(".")[2] not in child.output
    lines = [json.loads(line) for line in child.output.splitlines() if line.startswith("{")]
    by_id = {line["request_id"]: line for line in lines if line["logger"] == "server.rest.access_log"}
    first = by_id["request-0001"]
    assert (first["method"], first["status"], first["user"]) == ("GET", 200, ann.id)
    assert first["path"] == "/api/workspaces/?token=[redacted]"
    assert by_id[unnamed.headers["X-Request-Id"]]["status"] == 404
    assert [line["status"] for line in by_id.values() if line["path"].startswith("/ws/core/")] == [101]


async def test_health_tells_life_from_readiness(
    migrated_postgres_url: str, http: aiohttp.ClientSession, postgres_server: object
) -> None:
    with serving(DATABASE_URL=migrated_postgres_url, **QUICK) as (_, url):
        server = at(url, http)
        assert (await server.request("GET", "/api/_health/")).body == "OK"
        ready = await server.request("GET", "/readyz")
        assert ready.status == 200
        assert ready.body == {"ready": True, "checks": {"accepting": True, "bell": True, "database": True}}
        postgres_server.pause()  # type: ignore[attr-defined]
        ready = await server.request("GET", "/readyz")
        assert (ready.status, ready.body["checks"]["database"]) == (503, False)
        assert (await server.request("GET", "/healthz")).body == {"status": "ok"}
        postgres_server.resume()  # type: ignore[attr-defined]
        assert (await server.request("GET", "/readyz")).status == 200


async def test_the_console_format_is_for_people(sqlite_url: str, http: aiohttp.ClientSession) -> None:
    with serving(DATABASE_URL=sqlite_url, LOG_FORMAT="console") as (child, url):
        await at(url, http).sign_up("Ann")
        stop(child)
        assert await ended(child) == 0
    assert "POST /api/user/ 200" in child.output
    assert "INFO    server.cli.process stopping\n" in child.output


async def test_a_second_signal_ends_all_workers_at_once(
    migrated_postgres_url: str, redis_url: str, http: aiohttp.ClientSession
) -> None:
    environ = {"DATABASE_URL": migrated_postgres_url, "REDIS_URL": redis_url, **QUICK}
    with serving("--workers", "2", **environ) as (child, url):
        ann = await at(url, http).sign_up("Ann")
        socket = await ann.core_socket()
        workers = workers_of(child).values()
        async with SlowRequest(ann, "/api/workspaces/", {"name": "never"}):
            stop(child)
            await socket.until(lambda: socket.closed)
            stop(child)
            assert await ended(child, 2) == 128 + signal.SIGTERM
        wait_until(lambda: not any(is_alive(worker.pid) for worker in workers), 10, "the workers end")
        await socket.close()


def test_workers_that_cannot_start_end_the_supervisor() -> None:
    code = """
import socket
from server.cli import supervisor
supervisor.PAUSE = 0
raise SystemExit(supervisor.Supervisor([socket.socket()], lambda listener, leash: 3).run())
"""
    with Child([sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, cwd="/") as child:
        assert child.wait() == 1
        assert child.output.count("worker ended with status 3") == 5
        assert "giving up" in child.output
