"""The servers and clients of the tests: they start, answer, freeze, come back, and leave nothing behind."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
import socketio
from aiohttp import web

from tests.support.node import NodeClient, Toolchain, carried_toolchain
from tests.support.postgres_binaries import carried_binaries
from tests.support.postgres_server import PostgresServer
from tests.support.processes import Child, accepts, free_port, is_alive, wait_until
from tests.support.redis_server import RedisServer, carried_executable
from tests.support.reused_database import ReusedDatabase

ROOT = Path(__file__).parents[2]


def test_a_child_tells_its_lines_and_its_end() -> None:
    child = Child([sys.executable, "-c", "print('one'); print('two'); raise SystemExit(3)"])
    assert child.wait_line("tw") == "two"
    assert child.wait() == 3
    with pytest.raises(TimeoutError, match="no line with 'three'"):
        child.wait_line("three")


def test_a_program_that_does_not_exist_is_named() -> None:
    child = Child(["no-such-program"])
    assert child.wait() == 1
    assert "cannot run no-such-program" in child.output


def test_a_child_that_ignores_signals_is_gone_all_the_same_with_its_children() -> None:
    script = "trap '' TERM INT; sleep 600 & setsid sleep 601 & echo up; wait; wait"
    child = Child(["sh", "-c", script])
    child.wait_line("up")
    wait_until(lambda: len(psutil.Process(child.pid).children()) == 2, 10, "both children run")
    pids = [child.pid, *(process.pid for process in psutil.Process(child.pid).children())]
    child.terminate(timeout=0.1)
    assert not any(map(is_alive, pids))


def test_a_port_is_waited_for() -> None:
    port = free_port()
    with Child([sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]) as child:
        child.wait_port(port)
    assert not accepts(port)


def test_children_die_with_the_test_runner() -> None:
    script = """
import sys
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
redis, postgres = RedisServer().start(), PostgresServer().start()
print(redis.child.pid, postgres.child.pid, postgres.directory, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as runner:
        assert runner.stdout is not None
        *pids, directory = runner.stdout.readline().split()
        runner.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids), 10, "the servers of a dead runner end")
    subprocess.run(["rm", "-rf", directory], check=True)


@pytest.mark.parametrize("program", [None, carried_executable()], ids=["found", "carried"])
def test_redis_answers_freezes_crashes_and_leaves_nothing(program: Path | None) -> None:
    with RedisServer(program) as server:
        pid = server.child.pid
        with redis.Redis.from_url(server.url, socket_timeout=10) as client:
            assert client.set("key", "value")
            server.pause()
            with socket.create_connection(("127.0.0.1", server.port)) as frozen:
                frozen.sendall(b"PING\r\n")
                frozen.settimeout(0.05)
                with pytest.raises(TimeoutError):
                    frozen.recv(1)
            server.resume()
            assert client.get("key") == b"value"
        server.kill()
        assert not is_alive(pid)
        server.reset()
        with redis.Redis.from_url(server.url, socket_timeout=10) as client:
            assert client.dbsize() == 0
        pid = server.child.pid
    assert not is_alive(pid)
    assert not accepts(server.port)


@pytest.mark.parametrize("binaries", [None, carried_binaries()], ids=["found", "carried"])
def test_postgres_keeps_committed_rows_through_crash_and_restart_and_leaves_nothing(binaries: Path | None) -> None:
    with PostgresServer(binaries=binaries) as server:
        url = server.create_database()
        assert url.startswith("postgres://")
        with psycopg.connect(url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
            connection.execute("CREATE TABLE kept (word text)")
            connection.execute("INSERT INTO kept VALUES ('Grüße')")
        server.kill()
        server.start()
        server.restart()
        server.pause()
        server.resume()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT word, lower('ÄÖ') FROM kept").fetchone() == ("Grüße", "äö")
        server.drop_database(url)
        family = [server.child.pid, *(child.pid for child in psutil.Process(server.child.pid).children())]
        directory = server.directory
    assert not any(map(is_alive, family))
    assert not directory.exists()


def test_postgres_can_be_told_not_to_wait_for_the_disk() -> None:
    with (
        PostgresServer(fsync=False, options={"work_mem": "8MB"}) as server,
        psycopg.connect(server.url("postgres")) as connection,
    ):
        assert connection.execute("SHOW fsync").fetchone() == ("off",)
        assert connection.execute("SHOW work_mem").fetchone() == ("8MB",)


def test_each_postgres_url_is_a_new_database(postgres_server: PostgresServer, postgres_url: str) -> None:
    other = postgres_server.create_database()
    assert other != postgres_url
    postgres_server.drop_database(other)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(other)


def test_a_reused_database_is_as_empty_as_a_new_one(reused_database: ReusedDatabase) -> None:
    """No table of a user, no row, no id that was taken, no lock that somebody holds."""
    reused_database.empty()
    refuse = "INSERT INTO refused_token (jti, expires_at) VALUES ('x', 1) RETURNING id"
    before = psycopg.connect(reused_database.url)
    before.execute("CREATE TABLE table_1 (id serial PRIMARY KEY, word text)")
    assert before.execute(refuse).fetchone() == (1,)
    before.commit()
    before.execute("LOCK TABLE refused_token")
    reused_database.empty()
    with psycopg.connect(reused_database.url) as connection:
        assert connection.execute("SELECT to_regclass('table_1')").fetchone() == (None,)
        assert connection.execute("SELECT FROM schema_migration").rowcount > 0
        assert connection.execute(refuse).fetchone() == (1,)
    before.close()


def test_redis_url_is_an_empty_server(redis_server: RedisServer, redis_url: str) -> None:
    assert redis_url == redis_server.url


@pytest.fixture
async def echo_url() -> AsyncIterator[str]:
    """A small python-socketio server that answers `echo`, and can be asked to call back."""
    server = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins="*")

    @server.event
    async def echo(sid: str, *args: object) -> tuple[object, ...]:
        await server.emit("echoed", args, to=sid)
        return args

    @server.event
    async def call_me(sid: str, value: object) -> object:
        return await server.call("called", value, to=sid)

    @server.on("connect", namespace="/closed")
    async def refuse(sid: str, environ: object) -> None:
        raise socketio.exceptions.ConnectionRefusedError("closed today", {"until": "Monday"})

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, shutdown_timeout=0.2)  # seconds; a cut client leaves its long poll hanging
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    yield f"http://127.0.0.1:{port}"
    await server.shutdown()
    await runner.cleanup()


async def test_the_official_client_polls_upgrades_talks_and_comes_back(node: Toolchain, echo_url: str) -> None:
    async with NodeClient(node) as client:
        await client.send({"cmd": "connect", "url": echo_url, "options": {"reconnectionDelay": 10}})
        first = await client.receive("connect")
        assert (first["transport"], first["recovered"]) == ("polling", False)
        assert (await client.receive("upgrade"))["transport"] == "websocket"

        await client.send({"cmd": "emit", "event": "echo", "args": ["a", {"b": 1}], "ack": True, "id": 7})
        assert await client.receive("event") == {"kind": "event", "name": "echoed", "args": ["a", {"b": 1}]}
        assert await client.receive("ack") == {"kind": "ack", "id": 7, "args": ["a", {"b": 1}]}
        await client.send({"cmd": "emit", "event": "call_me", "args": [5], "ack": True})
        assert (await client.receive("ack"))["args"] == [5]

        await client.send({"cmd": "close_transport"})
        assert (await client.receive("disconnect"))["reason"] == "transport close"
        assert (await client.receive("connect"))["id"] != first["id"]
        await client.send({"cmd": "disconnect"})
        assert (await client.receive("disconnect"))["reason"] == "io client disconnect"
        assert [message for message in client.waiting if message["kind"] == "error"] == []
        pid = client.pid
    assert not is_alive(pid)


async def test_the_official_client_drops_long_polling_without_a_goodbye(node: Toolchain, echo_url: str) -> None:
    options = {"transports": ["polling"], "reconnectionDelay": 10}
    async with NodeClient(node) as client:
        await client.send({"cmd": "connect", "url": echo_url, "options": options})
        first = await client.receive("connect")
        await client.send({"cmd": "close_transport"})
        assert (await client.receive("disconnect"))["reason"] == "transport close"
        assert (await client.receive("connect"))["id"] != first["id"]


async def test_a_refused_connection_is_reported(node: Toolchain, echo_url: str) -> None:
    async with NodeClient(node) as client:
        await client.send({"cmd": "connect", "url": echo_url, "namespace": "/closed"})
        refusal = await client.receive("connect_error")
        assert refusal == {"kind": "connect_error", "message": "closed today", "data": {"until": "Monday"}}
        with pytest.raises(TimeoutError, match="no connect within"):
            await client.receive("connect", timeout=0.05)


def test_the_carried_node_runs() -> None:
    tools = carried_toolchain()
    assert tools is not None
    for command in ([str(tools.node)], list(tools.npm)):
        path = {"PATH": f"{tools.node.parent}{os.pathsep}{os.defpath}"}
        shown = subprocess.run([*command, "--version"], capture_output=True, text=True, env=path, check=True).stdout
        assert shown.strip("v\n").split(".")[0].isdigit()
