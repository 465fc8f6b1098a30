"""Waits of equal length: one timer for all of them.

Invariants: what began to wait first is due first, so a queue in the order of beginning is all that is needed, and no
timer for each item; what has ended is not kept; an item whose callback fails costs the others nothing. An item
expires in the second look after its deadline at the latest, and never in the first look after the event loop stood
still: what has come meanwhile, such as the answer that was waited for, is handled before.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

LOOK = 0.25  # seconds between two looks at most

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `expired(item, deadline)` for each item that waited `delay` seconds; `deadline` is a time of the loop."""

    def __init__(self, delay: float, expired: Callable[[T, float], None]) -> None:
        self.delay = delay
        self.expired = expired
        self.pause = min(LOOK, delay / 10)
        self._waiting: OrderedDict[T, float] = OrderedDict()
        self.looked = 0.0  # when the last look was
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, item: T) -> bool:
        return item in self._waiting

    def start(self, item: T, began: float | None = None) -> None:
        """Begins, or begins anew, to wait for an item: now, or at a time not before that of the item before it."""
        loop = asyncio.get_running_loop()
        self._waiting.pop(item, None)
        self._waiting[item] = (loop.time() if began is None else began) + self.delay
        if self._timer is None:
            self.looked = loop.time()
            self._timer = loop.call_later(self.pause, self._look)

    def cancel(self, item: T) -> bool:
        """Ends a wait; False when there was none."""
        return self._waiting.pop(item, None) is not None

    def overdue(self, item: T) -> bool:
        """True for an item that waits and whose deadline has passed."""
        deadline = self._waiting.get(item)
        return deadline is not None and deadline <= asyncio.get_running_loop().time()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        before, self.looked = self.looked, loop.time()
        try:
            while self._waiting and (first := next(iter(self._waiting.items())))[1] <= before:
                del self._waiting[first[0]]
                self.expired(*first)
        finally:
            self._timer = loop.call_later(self.pause, self._look) if self._waiting else None

    def stop(self) -> None:
        """Ends all waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
