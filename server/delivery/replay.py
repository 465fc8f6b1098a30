"""Replay: a connection reads from the log what it missed, until it has met the relay.

Invariants: every chunk is read in the snapshot in which its permission was checked, and told only when no change of
entitlement lies between that snapshot and now; the last chunk and what the relay remembers since are told in one turn
of the event loop, in which the caller lets the connection in, so there is neither a gap nor a double at the seam.
What is told is paced by what the reader takes, so a long history costs no memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar

from server import faults
from server.delivery.relay import Relay
from server.delivery.subscribers import Subscriber
from server.store.history import History
from server.store.log import LoggedEvent

T = TypeVar("T")
Told: TypeAlias = LoggedEvent
Part: TypeAlias = History | None  # of what was missed; None: the past is gone
CHUNK = 200  # events read at once
PACE = 256 << 10  # unsent bytes above which the next chunk waits
TICK = 0.01  # seconds between two looks at a reader that is behind
Read = Callable[[int], Awaitable[tuple[tuple[T, Part], int]]]


async def catch_up(
    relay: Relay, subscriber: Subscriber, cursor: int, read: Read[T], take: Callable[[T, LoggedEvent], None]
) -> tuple[T, bool]:
    """Gives `take` what happened above the cursor, in order, until nothing lies between it and live delivery.

    `read(cursor)` checks the permission and reads a chunk in one snapshot: it answers ((what the check found, the
    chunk), the log position of the snapshot). Returns what the check found at last, and whether the past is gone; the
    caller must act on it without awaiting. What `take` gets at last, from the relay's memory, is of all rooms."""
    while True:
        found, history = await relay.admit(partial(read, cursor))
        if history is None:
            return found, True
        for event in history.events:
            take(found, event)
            faults.reach("mid_replay")
        cursor = history.position
        if not subscriber.link.alive:
            return found, False
        tail = relay.recent(cursor) if history.complete else None
        if tail is not None:
            for event in tail:
                take(found, event)
            return found, False
        await pace(subscriber)


def meet(relay: Relay, subscriber: Subscriber) -> bool:
    """Tells a connection that was kept behind what the relay remembers since, and lets it be live, in one turn of the
    event loop; False where the relay no longer remembers that much."""
    if subscriber.behind is None:
        return True
    tail = relay.recent(subscriber.behind)
    if tail is None:
        return False
    for event in tail:
        if subscriber.hears(event):
            subscriber.write(event)
    subscriber.behind = None
    return True


async def pace(subscriber: Subscriber) -> None:
    """Waits until a connection has taken most of what it was sent, or has gone."""
    while subscriber.link.backlog() > PACE:  # noqa: ASYNC110 (a transport tells nobody when it has sent something)
        await asyncio.sleep(TICK)


def position_of(value: Any) -> int:
    """A position as a client sent it, as a number or as decimal text; 0, which continues nowhere, for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 18:
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else 0
