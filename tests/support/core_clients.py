"""Clients of the Socket.IO namespace `/core` that keep what they hear, in order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import socketio

from tests.support.app import PATIENCE, Person

Message = dict[str, Any]


class CoreClient:
    """One connection; `messages` has the raw message of each event, `offsets` what stood behind it."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.messages: list[Message] = []
        self.offsets: list[tuple[Any, ...]] = []
        self._taken = 0
        self._changed = asyncio.Condition()
        self.client.on("*", handler=self._hear, namespace="/core")

    async def _hear(self, name: str, message: Message, *more: Any) -> None:
        assert message["type"] == name
        async with self._changed:
            self.messages.append(message)
            self.offsets.append(more)
            self._changed.notify_all()

    @property
    def id(self) -> str:
        """What requests name in `WebSocketId`."""
        return str(self.client.get_sid("/core"))

    async def call(self, event: str, argument: Any) -> Any:
        return await self.client.call(event, argument, namespace="/core", timeout=PATIENCE)

    async def page(self, table: int, **more: Any) -> Message:
        """Subscribes the page of a table; returns the acknowledgement."""
        return dict(await self.call("page", {"page": "table", "table_id": table} | more))

    async def until(self, condition: Callable[[], Any]) -> None:
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(condition), PATIENCE)

    async def rest(self) -> list[Message]:
        """What was not yet taken: an acknowledgement comes after everything that was told before it."""
        await self.call("page", {"page": "no page"})
        left, self._taken = self.messages[self._taken :], len(self.messages)
        return left


Connect = Callable[..., Awaitable[CoreClient]]


@asynccontextmanager
async def core_clients() -> AsyncIterator[Connect]:
    """Connects clients, which end with the test; keywords go into `auth`."""
    clients: list[CoreClient] = []

    async def connect(who: Person, **auth: Any) -> CoreClient:
        made = CoreClient()
        clients.append(made)
        given = {"auth": {"token": who.token} | auth, "namespaces": ["/core"], "transports": ["websocket"]}
        await made.client.connect(who.server.url, wait_timeout=PATIENCE, **given)
        return made

    yield connect
    for each in clients:
        await each.client.disconnect()
