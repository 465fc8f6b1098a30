"""Writers over REST that go on through every fault, and remember what the server acknowledged.

Each attempt carries a mark of its own, in the text that is written: an attempt whose answer was lost may or may not
have happened, an acknowledged one happened exactly once.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from server.events.items import ItemRemoved, ItemUpdated
from tests.faults.access import Access
from tests.faults.facts import Fact

PAUSE = 0.02  # seconds before an attempt is repeated
PATIENCE = aiohttp.ClientTimeout(total=15)  # a frozen server is as good as a dead one
Body = Callable[[str], Any]  # makes the body that carries a mark


class Stopped(Exception):
    """The writer was told to end while an attempt failed."""


class Writer:
    """Writes until it is told to stop; subclasses say what."""

    def __init__(self, name: str, access: Access, token: str, pace: float = 0.02) -> None:
        self.name = name
        self.access = access
        self.headers = {"Authorization": f"JWT {token}"}
        self.pace = pace
        self.acknowledged: list[Fact] = []
        self.things: list[str] = []
        self.uncertain = 0  # attempts whose answer was lost
        self.refused = 0  # attempts answered 503
        self.attempts = 0
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends after the attempt under way; raises what went wrong."""
        self._stopping = True
        if self._task is not None:
            await self._task

    def cancel(self) -> None:
        """Ends at once."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self.write()
            except Stopped:
                return
            await asyncio.sleep(self.pace * self.access.chance.uniform(0.5, 1.5))  # writers are people, not a flood

    async def write(self) -> None:
        """Creates, changes or deletes one thing, by chance; things pile up slowly."""
        chance = self.access.chance
        if not self.things or chance.random() < 0.5:
            await self.create()
        elif chance.random() < 0.6:
            await self.change(chance.choice(self.things))
        else:
            await self.remove(self.things.pop(chance.randrange(len(self.things))))

    async def create(self) -> None:
        raise NotImplementedError

    async def change(self, thing: str) -> None:
        raise NotImplementedError

    async def remove(self, thing: str) -> None:
        raise NotImplementedError

    async def ask(self, method: str, path: str, body: Body | None = None) -> tuple[str, Any]:
        """Repeats a request until it is answered; returns the acknowledged attempt's mark and the answer's body, None
        where an attempt whose answer was lost has already done it."""
        uncertain = False
        while True:
            self.attempts += 1
            mark = f"{self.name}-{self.attempts}"
            try:
                status, answer = await self.attempt(method, path, body(mark) if body else None)
                if status < 300:
                    return mark, answer
                if uncertain and status in (400, 404):
                    return mark, None
                if status != 503:
                    raise AssertionError(f"{self.name}: {method} {path}: {status} {answer}")
                uncertain = True  # the database may have gone while it committed
                self.refused += 1
            except (aiohttp.ClientError, OSError, TimeoutError):
                uncertain = True
                self.uncertain += 1
            if self._stopping:
                raise Stopped
            await asyncio.sleep(PAUSE)

    async def attempt(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """One request to one of the servers."""
        url = self.access.url() + path
        async with self.access.http.request(method, url, json=body, headers=self.headers, timeout=PATIENCE) as response:
            text = await response.read()
            assert response.status != 503 or response.headers["Retry-After"], "whoever is to come back is told when"
            return response.status, await response.json() if text else {}

    def acknowledge(self, kind: str, about: Any, mark: str = "") -> None:
        self.acknowledged.append(Fact(kind, str(about), mark))


class RowsWriter(Writer):
    """Rows of a table."""

    def __init__(self, name: str, access: Access, token: str, table: int, field: int, **more: Any) -> None:
        super().__init__(name, access, token, **more)
        self.path = f"/api/database/rows/table/{table}/"
        self.field = f"field_{field}"

    async def create(self) -> None:
        mark, row = await self.ask("POST", self.path, lambda mark: {self.field: mark})
        self.acknowledge("rows_created", row["id"], mark)
        self.things.append(str(row["id"]))

    async def change(self, thing: str) -> None:
        mark, _ = await self.ask("PATCH", f"{self.path}{thing}/", lambda mark: {self.field: mark})
        self.acknowledge("rows_updated", thing, mark)

    async def remove(self, thing: str) -> None:
        _, answer = await self.ask("DELETE", f"{self.path}{thing}/")
        if answer is not None:
            self.acknowledge("rows_deleted", thing)


class ItemsWriter(Writer):
    """Items on a board."""

    def __init__(self, name: str, access: Access, token: str, column: str, **more: Any) -> None:
        super().__init__(name, access, token, **more)
        self.column = column

    async def create(self) -> None:
        mark, item = await self.ask("POST", "/items", lambda mark: {"column_id": self.column, "name": mark})
        self.acknowledge(ItemUpdated.type, item["id"], mark)
        self.things.append(item["id"])

    async def change(self, thing: str) -> None:
        mark, _ = await self.ask("PATCH", f"/items/{thing}", lambda mark: {"name": mark})
        self.acknowledge(ItemUpdated.type, thing, mark)

    async def remove(self, thing: str) -> None:
        _, answer = await self.ask("DELETE", f"/items/{thing}")
        if answer is not None:
            self.acknowledge(ItemRemoved.type, thing)


class RecordsWriter(Writer):
    """Records of an endpoint; `path` carries the key."""

    def __init__(self, name: str, access: Access, token: str, path: str, **more: Any) -> None:
        super().__init__(name, access, token, **more)
        self.path = path

    async def create(self) -> None:
        mark, record = await self.ask("POST", self.path, lambda mark: mark)
        self.acknowledge("POST", record["uniqueId"], mark)
        self.things.append(record["uniqueId"])

    async def change(self, thing: str) -> None:
        mark, _ = await self.ask("PUT", f"{self.path}&uniqueId={thing}", lambda mark: mark)
        self.acknowledge("PUT", thing, mark)

    async def remove(self, thing: str) -> None:
        _, answer = await self.ask("DELETE", f"{self.path}&uniqueId={thing}")
        if answer is not None:
            self.acknowledge("DELETE", thing)


class NamesWriter(Writer):
    """The name of a workspace, which all its members hear of."""

    def __init__(self, name: str, access: Access, token: str, workspace: int, **more: Any) -> None:
        super().__init__(name, access, token, **more)
        self.workspace = workspace

    async def write(self) -> None:
        mark, _ = await self.ask("PATCH", f"/api/workspaces/{self.workspace}/", lambda mark: {"name": mark})
        self.acknowledge("group_updated", self.workspace, mark)
