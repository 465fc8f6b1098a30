"""What a member of a presence space says it looks at, and how often it may say so."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from server.encoding import encode

MAX_FOCUS = 1 << 10  # bytes of the encoded focus
MAX_PAGE = 32  # characters of a page's name
RATE = 10.0  # messages a second, and as many at once


class Focus(NamedTuple):
    """A checked `presence.focus`: `focus` is any JSON value, None where nothing is in focus any more."""

    page: str
    table_id: int
    focus: Any


def read_focus(frame: Mapping[str, Any]) -> Focus | None:
    """The focus of a frame; None when it is incomplete, misspelled or too large."""
    page, table_id, focus = frame.get("page"), table_number(frame.get("table_id")), frame.get("focus")
    if not isinstance(page, str) or len(page) > MAX_PAGE or table_id is None:
        return None
    try:
        size = len(encode([page, focus])) - len(page)
    except (ValueError, TypeError, RecursionError):  # what JSON can say but not repeat: half a character, a deep nest
        return None
    return Focus(page, table_id, focus) if size <= MAX_FOCUS else None


def table_number(value: Any) -> int | None:
    """A table id as a frame may spell it, a number or decimal text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Allowance:
    """A bucket of RATE messages that fills up again within a second; times are seconds of any steady clock."""

    __slots__ = ("left", "seen")

    def __init__(self, now: float) -> None:
        self.left = RATE
        self.seen = now

    def take(self, now: float) -> bool:
        """Takes one message out; False when there is none."""
        self.left = min(RATE, self.left + (now - self.seen) * RATE)
        self.seen = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
