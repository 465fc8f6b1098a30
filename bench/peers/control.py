"""The control port of the Python servers: each line `turn FIRST COUNT AT` has so many changes published."""

import asyncio
from collections.abc import Awaitable, Callable


async def control(port: int, publish: Callable[[int, int, int], Awaitable[None]]) -> asyncio.Server:
    """Listens; `publish(first, count, at)` is awaited before the next line is read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            first, count, at = map(int, line.split()[1:])
            await publish(first, count, at)
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port)
