"""A cable between clients and a server, which a test can cut and mend."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Cable:
    """Connections to `url` lead to the server, until they are cut; then there is nobody there."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own_port = 0  # the same after mending
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._own_port}"

    async def mend(self) -> None:
        """Takes connections."""
        self._listener = await asyncio.start_server(self._connect, "127.0.0.1", self._own_port)
        self._own_port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Ends all connections without a goodbye, and takes no more."""
        assert self._listener is not None
        self._listener.close()
        for end in self._ends:
            end.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._carry(reader, far_writer))
            both.create_task(self._carry(far_reader, writer))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        self._ends.add(target)
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()
        self._ends.discard(target)


@asynccontextmanager
async def cable_to(url: str) -> AsyncIterator[Cable]:
    """A cable to a server, whole at first."""
    cable = Cable(urlsplit(url).port or 80)
    await cable.mend()
    try:
        yield cable
    finally:
        await cable.cut()
