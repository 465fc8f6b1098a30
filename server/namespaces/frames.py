"""What clients of raw-JSON sockets send: frames of one JSON object each.

Invariants: frames of one socket are handled one after the other; a malformed frame costs an error message, ten in a
minute cost the connection, nothing else does.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from server.delivery.limits import Limits, Verdict
from server.delivery.subscribers import Subscriber
from server.delivery.websocket_reader import Payload
from server.encoding import NotJson, decode
from server.errors import TOO_MANY_MESSAGES, CloseCode
from server.metrics import Limit, met

MALFORMED = "ERROR_MALFORMED_FRAME"
MALFORMED_LIMIT, MALFORMED_WINDOW = 10, 60.0  # frames, seconds
Sent: TypeAlias = dict[str, Any]


class Frames:
    """Hears a socket, and gives `handle` what is well-formed. Malformed is what is no JSON object, or has something
    else than text under one of the keys `texts`."""

    __slots__ = ("full_at", "handle", "limits", "malformed", "subscriber", "texts")

    def __init__(
        self,
        subscriber: Subscriber,
        limits: Limits,
        handle: Callable[[Sent], Awaitable[None]],
        texts: tuple[str, ...] = (),
    ) -> None:
        self.limits = limits
        self.full_at = 0.0  # see Limits
        self.subscriber = subscriber
        self.handle = handle
        self.texts = texts
        self.malformed: list[float] | None = None  # when

    async def take(self, message: Payload) -> None:
        """One message of the client."""
        verdict = self.limits.judge(self)
        if verdict:
            self.subscriber.tell("error", {"error": TOO_MANY_MESSAGES.code})
            if verdict is Verdict.ENOUGH:
                self.subscriber.link.close(CloseCode.RATE, "too many messages")
            return
        frame = parse(message, self.texts, self.limits.max_depth)
        if frame is not None:
            await self.handle(frame)
            return
        self.subscriber.tell("error", {"error": MALFORMED})
        recent = self.malformed = [*(self.malformed or ()), time.monotonic()][-MALFORMED_LIMIT:]
        if len(recent) == MALFORMED_LIMIT and recent[-1] - recent[0] < MALFORMED_WINDOW:
            self.subscriber.link.close(CloseCode.MALFORMED, "malformed frames")


def parse(message: Payload, texts: tuple[str, ...], max_depth: int) -> Sent | None:
    """The object of a text; None when it is malformed."""
    if not isinstance(message, str):
        return None
    try:
        frame = decode(message, max_depth)
    except NotJson as error:
        if error.limit:
            met(Limit.JSON_DEPTH)
        return None
    if not isinstance(frame, dict):
        return None
    return frame if all(isinstance(frame[key], str) for key in texts if key in frame) else None
