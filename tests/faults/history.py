"""What one client saw, in order: the clients write it, the checker reads it.

Payloads are kept as fingerprints: a history of an hour stays small, and a changed byte is still found.
"""

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

import orjson


@dataclass(frozen=True, slots=True)
class Told:
    """A persisted event arrived. `position` is None on wires that do not name it."""

    position: int | None
    type: str
    key: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A new connection was accepted."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The server said that from here on the room is told: everything above a position, or (None) everything that
    happens after this moment. `asked` is what the client knew when it asked: nothing up to there may be told."""

    room: str
    above: int | None = None
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The server said that the past up to a position is gone: exactly here a gap is allowed."""

    position: int


Entry: TypeAlias = Told | Connected | Joined | Refreshed


@dataclass(frozen=True, slots=True)
class Interest:
    """A room that a client wants to hear. `workspace` is the one whose members may (None: anybody who knows it);
    `follows` is true where the room is joined by the membership itself and not by a request."""

    room: str
    workspace: int | None = None
    follows: bool = False


@dataclass
class History:
    """All that a client saw. `continues` tells clients with a cursor, who have one history across all connections,
    from those whose promise ends with each connection. Nothing at or below `start` may be told. `sockets` are the
    client's own ids, whose changes it is not told."""

    client: str
    user: int | None
    interests: tuple[Interest, ...]
    start: int
    continues: bool = True
    sockets: set[str] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)

    @property
    def rooms(self) -> set[str]:
        return {interest.room for interest in self.interests}


def fingerprint(payload: Any) -> str:
    """The same text for the same JSON value, however it is spaced and ordered."""
    return blake2b(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS), digest_size=12).hexdigest()
