"""Changes that are made through the REST API at a steady pace, by a thread that the measurement does not wait for."""

import asyncio
import threading
import time
from types import TracebackType
from typing import Any, Self

import aiohttp

from bench import change
from bench.roomcast import ACTOR_SOCKET, Roomcast

CONNECTIONS = 32


class Pace:
    """PATCHes one row of a table so many times a second; use as a context manager. With `first` the changes are
    numbered and timed from when they were due, and the actor's socket is left out of them."""

    def __init__(
        self, server: Roomcast, table: int, per_second: float, count: int | None = None, first: int | None = None
    ) -> None:
        self.server, self.table, self.per_second, self.count, self.first = server, table, per_second, count, first
        self.row, self.key = first_row(server, table)
        self.failures: list[str] = []
        self.taken: list[float] = []  # seconds of each request
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="changes")

    def text(self, number: int, due: float) -> str:
        if self.first is None:
            return f"some text {number}"
        return change.text(change.MARKER.format(self.first + number, int(due * 1e9)))

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        headers = {"Authorization": f"JWT {self.server.actor.token}", "WebSocketId": ACTOR_SOCKET}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as http, asyncio.TaskGroup() as tasks:
            start, number = time.monotonic(), 0
            while not self._stop.is_set() and (self.count is None or number < self.count):
                due = start + number / self.per_second
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                tasks.create_task(self._change(http, {self.key: self.text(number, due)}))
                number += 1

    async def _change(self, http: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        url = f"http://127.0.0.1:{self.server.port}/api/database/rows/table/{self.table}/{self.row}/"
        began = time.monotonic()
        async with http.patch(url, json=body) as answer:
            if answer.status != 200:
                self.failures.append(f"{answer.status} {await answer.text()}")
        self.taken.append(time.monotonic() - began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self.failures and error is None:
            raise RuntimeError(f"{len(self.failures)} changes were refused, first: {self.failures[0]}")


def first_row(server: Roomcast, table: int) -> tuple[int, str]:
    """The id of a row and the key of its text field."""
    row = server.actor.call("GET", f"/api/database/rows/table/{table}/")["results"][0]
    return int(row["id"]), next(key for key in row if key.startswith("field_"))


class Imports:
    """Imports tables, one after the other, each from so many lines of CSV."""

    def __init__(self, server: Roomcast, lines: int) -> None:
        self.server = server
        self.data = [["Name", "Notes", "Amount"], *([f"name {n}", f"notes about {n}", str(n)] for n in range(lines))]
        self.done = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="imports")

    def _run(self) -> None:
        actor = self.server.another_connection()
        path = f"/api/database/tables/database/{self.server.database}/"
        while not self._stop.is_set():
            actor.call("POST", path, {"name": f"Import {self.done}", "data": self.data, "first_row_header": True})
            self.done += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
