"""Whose call is next: that of another party in turn, so that who makes a thousand delays only the own.

Invariant: a place is free only while nobody waits.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class Turns:
    """A number of places, for which each party waits in a line of its own."""

    def __init__(self, places: int) -> None:
        self.free = places
        self.lines: dict[str, deque[asyncio.Future[None]]] = {}  # the party that had its turn last is the last

    @contextlib.asynccontextmanager
    async def turn(self, whose: str) -> AsyncIterator[None]:
        """One of the places, as soon as it is this party's turn."""
        await self._wait(whose)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, whose: str) -> None:
        if self.free:
            self.free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self.lines.setdefault(whose, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():  # it was given the place meanwhile
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Gives a place to the next party; those who stopped waiting do not count."""
        while self.lines:
            whose = next(iter(self.lines))
            line = self.lines.pop(whose)
            while line:
                place = line.popleft()
                if not place.done():
                    place.set_result(None)
                    if line:
                        self.lines[whose] = line
                    return
        self.free += 1
