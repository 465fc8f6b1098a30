"""Clients of the Socket.IO namespace `/ce` that keep what they hear, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import socketio

from tests.support.app import PATIENCE
from tests.support.records import RunningEndpoint

Heard = tuple[str, dict[str, Any]]


class RecordsClient:
    """One connection of the official client for Python; `heard` has name and argument of each event."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Heard] = []
        self.ended = asyncio.Event()
        self._taken = 0
        self._changed = asyncio.Condition()
        self.client.on("*", handler=self._hear, namespace="/ce")
        self.client.on("disconnect", handler=self._end, namespace="/ce")

    async def _hear(self, name: str, *arguments: Any) -> None:
        (argument,) = arguments
        async with self._changed:
            self.heard.append((name, argument))
            self._changed.notify_all()

    async def _end(self, reason: str) -> None:
        self.ended.set()

    async def call(self, event: str, *arguments: Any) -> Any:
        return await self.client.call(event, arguments, namespace="/ce", timeout=PATIENCE)

    async def subscribe(self, endpoint: RunningEndpoint, /, **more: Any) -> Any:
        """Asks for an endpoint by its name and key, unless `more` has others; returns the acknowledgement."""
        return await self.call("subscribe", {"endpoint": endpoint.shown["name"], "key": endpoint.project["key"]} | more)

    async def take(self, count: int) -> list[Heard]:
        """The next events that were not yet taken."""
        async with self._changed:
            enough = self._changed.wait_for(lambda: len(self.heard) >= self._taken + count)
            await asyncio.wait_for(enough, PATIENCE)
        self._taken += count
        return self.heard[self._taken - count : self._taken]

    async def rest(self) -> list[Heard]:
        """What else arrived: an acknowledgement comes after everything that was told before it."""
        await self.call("unsubscribe", {"endpoint": "none"})
        left, self._taken = self.heard[self._taken :], len(self.heard)
        return left


Connect = Callable[..., Awaitable[RecordsClient]]


@asynccontextmanager
async def records_clients(url: str) -> AsyncIterator[Connect]:
    """Connects clients, which end with the test; keywords are those of the official client's `connect`."""
    clients: list[RecordsClient] = []

    async def connect(**how: Any) -> RecordsClient:
        made = RecordsClient()
        clients.append(made)
        await made.client.connect(url, namespaces=["/ce"], wait_timeout=PATIENCE, **how)
        return made

    yield connect
    for each in clients:
        await each.client.disconnect()
