"""What is said on a WebSocket of Engine.IO before it takes over from polling."""

import asyncio
from collections.abc import Callable

from engineio.packet import PING, PONG, UPGRADE

from server.delivery.websocket import WebSocket
from server.delivery.wire import websocket_frame

PROBE_TIMEOUT = 10.0  # seconds a client has for it
ANSWER = websocket_frame(f"{PONG}probe".encode())


async def agree(link: WebSocket, probed: Callable[[], None]) -> bool:
    """Answers the probe, calls `probed`, and waits for the word to take over; False where the client says something
    else, or nothing."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            if not await says(link, f"{PING}probe"):
                return False
            link.write(ANSWER)
            probed()
            return await says(link, str(UPGRADE))
    except TimeoutError:
        return False


async def says(link: WebSocket, text: str) -> bool:
    """True where this is what the client sends next."""
    return await link.receive() == text
