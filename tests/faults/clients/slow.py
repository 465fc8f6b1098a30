"""Clients that stop reading and still answer pings, as a frozen browser tab or a stuck consumer does."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from tests.faults.clients.base import Client
from tests.faults.clients.core_raw import CoreRaw
from tests.faults.clients.engineio import PONG
from tests.faults.clients.sessions import CoreSession
from tests.faults.clients.streams import EventStream

BEAT = 0.5  # seconds between two answers to pings that were not read
BUFFER = 1 << 16  # bytes that the kernel takes for the client; by itself it would take tens of megabytes


def small_socket(address: Any) -> socket.socket:
    """A socket for which the kernel takes little."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return made


class Gated:
    """A connection that is read only while the gate is open; whatever else is asked of it passes."""

    def __init__(self, connection: Any, gate: asyncio.Event) -> None:
        self._connection = connection
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def receive(self) -> Any:
        await self._gate.wait()
        return await self._connection.receive()

    @property
    async def content(self) -> AsyncIterator[bytes]:
        async for line in self._connection.content:
            await self._gate.wait()
            yield line


class Slow(Client):
    """A client that can be told to stop reading."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.gate = asyncio.Event()
        self.gate.set()

    async def stall(self) -> None:
        """Stops reading, and answers pings until the gate opens again."""
        stalled = self.connection
        assert stalled is not None
        self.gate.clear()
        while not self.gate.is_set() and stalled is self.connection:
            if isinstance(stalled, aiohttp.ClientWebSocketResponse) and not stalled.closed:
                await self.pong(stalled)
            await asyncio.sleep(BEAT)

    async def pong(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        """Answers a ping that may or may not have come."""
        await connection.pong()

    async def open_socket(self, path: str, **query: Any) -> Any:
        return Gated(await super().open_socket(path, **query), self.gate)


class SlowCoreRaw(Slow, CoreRaw):
    style = "slow core socket"


class SlowCoreSession(Slow, CoreSession):
    style = "slow Socket.IO /core"

    async def pong(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        await connection.send_str(PONG)


class SlowEventStream(Slow, EventStream):
    style = "slow event stream"

    async def get(self, path: str, query: list[tuple[str, str]], **headers: str) -> Any:
        return Gated(await super().get(path, query, **headers), self.gate)
