"""Short transactions that are asked for in great numbers at a time, such as when thousands of clients come back, or
write at once: those that wait together are answered together, by one thread and from one transaction.

A thread's turn for each would cost more than the transaction itself: a hop to it and back, and the interpreter's lock,
which the event loop has to win back after each of its own system calls as long as some thread wants it; for a write
also the wait for the disk.

Invariants: the transaction begins after all in it were asked for; they run in that order; what one raises is its own
affair.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import PeeweeException

from server.errors import Unavailable

T = TypeVar("T")
Query = Callable[[T], Any]
Together = Callable[[Sequence[Query[T]]], Awaitable[list["Outcome"]]]
MOST = 64  # in one transaction: a thread that holds the interpreter's lock for longer delays everybody else
PATIENCE = 10.0  # seconds one may wait for its turn


class Asked(NamedTuple, Generic[T]):
    """A query or an action, where its result goes, and when it was asked (monotonic seconds)."""

    query: Query[T]
    result: asyncio.Future[Any]
    at: float


class Outcome(NamedTuple):
    """What a query or an action returned or raised."""

    value: Any
    error: Exception | None


class Gathering(Generic[T]):
    """Gives what waits to `together`, at most `lanes` times at once. That runs it in one transaction and returns the
    outcomes, of the first few at least: the others then wait for the next one. Raises PeeweeException where nothing
    happened and the transaction, not a query, is at fault: then each is run in one of its own."""

    def __init__(self, together: Together[T], lanes: int) -> None:
        self._together = together
        self._free = lanes
        self._waiting: list[Asked[T]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, query: Query[T]) -> Any:
        """What `query` returns; raises what it raises, or Unavailable."""
        loop = asyncio.get_running_loop()
        asked = Asked(query, loop.create_future(), time.monotonic())
        self._waiting.append(asked)
        if self._free:
            self._free -= 1
            task = loop.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asked.result

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                wanted = [asked for asked in taken if is_waiting(asked)]
                if wanted:
                    answered = await self._answer(wanted)
                    self._waiting[:0] = wanted[answered:]
        finally:
            self._free += 1

    async def _answer(self, wanted: Sequence[Asked[T]]) -> int:
        """Answers the first of them; returns how many."""
        try:
            outcomes = await self._together([asked.query for asked in wanted])
        except Exception as error:
            if len(wanted) > 1 and isinstance(error, PeeweeException):  # perhaps the fault of one of them
                return sum([await self._answer([asked]) for asked in wanted])
            outcomes = [Outcome(None, error)] * len(wanted)
        for asked, outcome in zip(wanted, outcomes, strict=False):
            settle(asked.result, outcome)
        return len(outcomes)


def is_waiting(asked: Asked[T]) -> bool:
    """False where whoever asked has gone, or waited too long: then it is not begun."""
    if time.monotonic() - asked.at > PATIENCE:
        settle(asked.result, Outcome(None, Unavailable("the database is too busy")))
    return not asked.result.done()


def settle(result: asyncio.Future[Any], outcome: Outcome) -> None:
    """Hands over an outcome, unless whoever asked has gone."""
    if result.done():
        return
    if outcome.error is not None:
        result.set_exception(outcome.error)
    else:
        result.set_result(outcome.value)


def answer_all(tx: T, queries: Sequence[Query[T]]) -> list[Outcome]:
    """The outcomes of reads in one snapshot; raises what the database raises, which concerns all of them."""
    return [answer(tx, query) for query in queries]


def answer(tx: T, query: Query[T]) -> Outcome:
    try:
        return Outcome(query(tx), None)
    except PeeweeException:
        raise
    except Exception as error:
        return Outcome(None, error)
