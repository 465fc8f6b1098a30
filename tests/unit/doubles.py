"""Connections that only remember, for tests of delivery without sockets."""

from typing import Any

from server.delivery.rooms import Registry
from server.delivery.subscribers import Link, Subscriber
from server.delivery.wire import CORE_RAW, Frame, Wire, texts_of


class MemoryLink(Link):
    """Keeps the frames it is given and how it was closed."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed: tuple[int, str] | None = None

    def write(self, frame: Frame) -> bool:
        self.frames.append(frame)
        return self.closed is None

    def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)

    def backlog(self) -> int:
        return 0

    @property
    def alive(self) -> bool:
        return self.closed is None


def subscriber(
    sid: str, user_id: int | None = None, wire: Wire = CORE_RAW, registry: Registry | None = None
) -> Subscriber:
    """A connection in no room yet."""
    return Subscriber((registry or Registry()).progress, sid, user_id, wire, MemoryLink())


def payloads(who: Subscriber) -> list[Any]:
    """The texts of the raw frames that a connection got."""
    assert isinstance(who.link, MemoryLink)
    return [text.encode() for text in texts_of(b"".join(who.link.frames))]


def unframe(frame: bytes) -> bytes:
    """The payload of an unmasked WebSocket frame."""
    size = frame[1]
    start = {126: 4, 127: 10}.get(size, 2)
    return frame[start:]
