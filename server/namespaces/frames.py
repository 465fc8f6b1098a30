"""What clients of raw-JSON sockets send: frames of one JSON object each.

Invariants: frames of one socket are handled one after the other; a malformed frame costs an error message, ten in a
minute cost the connection, nothing else does.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import orjson
from aiohttp import WSMsgType

from server.delivery.raw_sockets import RawLink
from server.delivery.subscribers import Subscriber
from server.errors import CloseCode

MALFORMED = "ERROR_MALFORMED_FRAME"
MALFORMED_LIMIT, MALFORMED_WINDOW = 10, 60.0  # frames, seconds
Sent: TypeAlias = dict[str, Any]


async def read_frames(
    link: RawLink, subscriber: Subscriber, handle: Callable[[Sent], Awaitable[None]], texts: tuple[str, ...] = ()
) -> None:
    """Gives `handle` one frame after the other until the connection ends. Malformed is what is no JSON object, or has
    something else than text under one of the keys `texts`."""
    malformed: list[float] = []  # when; a deque would be 600 bytes of every idle socket
    async for message in link.socket:
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            break
        frame = parse(message, texts)
        if frame is not None:
            await handle(frame)
            continue
        malformed.append(time.monotonic())
        subscriber.tell("error", {"error": MALFORMED})
        del malformed[:-MALFORMED_LIMIT]
        if len(malformed) == MALFORMED_LIMIT and malformed[-1] - malformed[0] < MALFORMED_WINDOW:
            link.close(CloseCode.MALFORMED, "malformed frames")


def parse(message: Any, texts: tuple[str, ...]) -> Sent | None:
    """The object of a text frame; None when it is malformed."""
    if message.type is not WSMsgType.TEXT:
        return None
    try:
        frame = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(frame, dict):
        return None
    return frame if all(isinstance(frame[key], str) for key in texts if key in frame) else None
