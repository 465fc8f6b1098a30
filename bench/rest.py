"""How fast a change is made and told: row creates per second, and the time from PATCH to message.

Each figure is taken from a server of its own, started as a user would start it, on a fresh database: creates with
1 and 8 clients, each on one connection; then 20 PATCHes a second, each timed from its request to its message on
another user's socket. Rounds are interleaved over the databases, medians are reported.

    python -m bench.rest [--rounds 3] [--seconds 5] [--write]
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import aiohttp

from bench.results import machine, today, write_section
from tests.support.postgres_server import PostgresServer
from tests.support.processes import free_port

PASSWORD = "password-1234"
CHANGES_PER_SECOND = 20
DEADLINE = 30.0
Figures = dict[str, float]


@contextlib.asynccontextmanager
async def serving(database_url: str) -> AsyncIterator[str]:
    """A server process with default settings; yields its address once it is ready."""
    port = free_port()
    environ = os.environ | {"DATABASE_URL": database_url, "SECRET_KEY": "k" * 48, "LOG_LEVEL": "WARNING"}
    migrate = await asyncio.create_subprocess_exec(sys.executable, "-m", "server", "migrate", env=environ)
    assert await migrate.wait() == 0
    serve = (sys.executable, "-m", "server", "serve", "--host", "127.0.0.1", "--port", str(port))
    process = await asyncio.create_subprocess_exec(*serve, env=environ)
    try:
        await until_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def until_ready(address: str) -> None:
    """Asks until the server says that it is ready."""
    end = time.monotonic() + DEADLINE
    async with aiohttp.ClientSession() as http:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with http.get(address + "/readyz") as answer:
                    if answer.status == 200:
                        return
            assert time.monotonic() < end, "the server did not become ready"
            await asyncio.sleep(0.02)


class User:
    """An account with one HTTP connection of its own."""

    def __init__(self, address: str, http: aiohttp.ClientSession, token: str) -> None:
        self.address, self.http, self.token = address, http, token

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"JWT {self.token}"}
        async with self.http.request(method, self.address + path, json=body, headers=headers) as answer:
            assert answer.status in (200, 204), (path, answer.status, await answer.text())
            return await answer.json() if answer.status == 200 else None


async def sign_up(address: str, http: aiohttp.ClientSession, name: str) -> User:
    body = {"name": name, "email": f"{name}@example.com", "password": PASSWORD, "authenticate": True}
    async with http.post(address + "/api/user/", json=body) as answer:
        return User(address, http, (await answer.json())["access_token"])


async def prepare(user: User) -> tuple[int, int, str]:
    """(table, row, cell key) of a table with one text field."""
    workspace = (await user.call("GET", "/api/workspaces/"))[0]["id"]
    made = await user.call("POST", f"/api/applications/workspace/{workspace}/", {"name": "B", "type": "database"})
    body = {"name": "T", "data": [["Name"], ["first"]], "first_row_header": True}
    table = (await user.call("POST", f"/api/database/tables/database/{made['id']}/", body))["id"]
    row = (await user.call("GET", f"/api/database/rows/table/{table}/"))["results"][0]
    return table, row["id"], next(key for key in row if key.startswith("field_"))


async def creates(user: User, table: int, key: str, clients: int, seconds: float) -> float:
    """Row creates per second of so many clients, each waiting for its answer."""
    end, done = time.monotonic() + seconds, 0

    async def client() -> None:
        nonlocal done
        async with aiohttp.ClientSession() as http:
            own = User(user.address, http, user.token)
            while time.monotonic() < end:
                await own.call("POST", f"/api/database/rows/table/{table}/", {key: "some text"})
                done += 1

    start = time.monotonic()
    await asyncio.gather(*[client() for _ in range(clients)])
    return done / (time.monotonic() - start)


async def latencies(user: User, table: int, row: int, key: str, seconds: float) -> list[float]:
    """Milliseconds from sending a PATCH to receiving its message on another socket, at a steady pace."""
    sent: dict[str, float] = {}
    taken: list[float] = []
    url = f"{user.address}/ws/core/?jwt_token={user.token}"
    async with user.http.ws_connect(url) as socket:
        await socket.send_json({"page": "table", "table_id": table})
        while (await socket.receive_json())["type"] != "page_add":
            pass

        async def receive(count: int) -> None:
            while len(taken) < count:
                message = await socket.receive_json()
                if message["type"] == "rows_updated":
                    taken.append((time.perf_counter() - sent[message["rows"][0][key]]) * 1000)

        count = int(seconds * CHANGES_PER_SECOND)
        receiver = asyncio.create_task(receive(count))
        start = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / CHANGES_PER_SECOND - time.perf_counter()))
            sent[str(number)] = time.perf_counter()
            await user.call("PATCH", f"/api/database/rows/table/{table}/{row}/", {key: str(number)})
        await asyncio.wait_for(receiver, DEADLINE)
    return taken


async def measure(database_url: str, seconds: float) -> Figures:
    """All figures of one server."""
    async with serving(database_url) as address, aiohttp.ClientSession() as http:
        user = await sign_up(address, http, "ann")
        table, row, key = await prepare(user)
        await creates(user, table, key, 2, 1.0)  # warm-up
        one = await creates(user, table, key, 1, seconds)
        eight = await creates(user, table, key, 8, seconds)
        times = sorted(await latencies(user, table, row, key, seconds))
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    return {"creates1": one, "creates8": eight, "median": statistics.median(times), "p99": p99}


@contextlib.contextmanager
def databases() -> Iterator[dict[str, Any]]:
    """For each kind of database, a function that gives the URL of a fresh one."""
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as postgres:
        numbers = iter(range(1000))
        yield {
            "SQLite": lambda: f"sqlite:///{folder}/{next(numbers)}.sqlite3",
            "PostgreSQL": postgres.create_database,
        }


def table_of(rounds: dict[str, list[Figures]]) -> str:
    """The figures as a table of Markdown, each the median of its rounds."""
    lines = [
        "| database | creates/s, 1 client | creates/s, 8 clients | PATCH to message, median | p99 |",
        "|---|---|---|---|---|",
    ]
    for name, figures in rounds.items():
        middle = {key: statistics.median(each[key] for each in figures) for key in figures[0]}
        lines.append(
            f"| {name} | {middle['creates1']:.0f} | {middle['creates8']:.0f} |"
            f" {middle['median']:.1f} ms | {middle['p99']:.1f} ms |"
        )
    return "\n".join(lines)


def section(table: str, rounds: int, seconds: float) -> str:
    """What is written to RESULTS.md."""
    return (
        f"{today()}; {machine()}; {rounds} interleaved rounds of {seconds:g} s, medians; load generator and"
        f" server share the machine.\n\n{table}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--write", action="store_true", help="write the figures to RESULTS.md")
    options = parser.parse_args(arguments)
    rounds: dict[str, list[Figures]] = {}
    with databases() as kinds:
        for _ in range(options.rounds):
            for name, fresh in kinds.items():
                figures = asyncio.run(measure(fresh(), options.seconds))
                rounds.setdefault(name, []).append(figures)
                print(name, json.dumps({key: round(value, 1) for key, value in figures.items()}), flush=True)
    table = table_of(rounds)
    print(table)
    if options.write:
        write_section("rest", section(table, options.rounds, options.seconds))


if __name__ == "__main__":
    main()
