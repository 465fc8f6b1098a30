"""Short reads that are asked for in great numbers at a time, such as when thousands of clients come back: those that
wait together are answered together, by one thread and from one snapshot.

A thread of its own for each would cost more than the read itself: a hop to it and back, and the interpreter's lock,
which the event loop has to win back after each of its own system calls as long as some thread wants it.

Invariants: the snapshot of a read begins after it was asked for; what one read raises is its own affair.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import PeeweeException

from server.errors import Unavailable

T = TypeVar("T")
Query = Callable[[T], Any]
MOST = 64  # reads in one snapshot: a thread that holds the interpreter's lock for longer delays everybody else


class Asked(NamedTuple, Generic[T]):
    """A read, and where its result goes."""

    query: Query[T]
    result: asyncio.Future[Any]


class Outcome(NamedTuple):
    """What a read returned or raised."""

    value: Any
    error: Exception | None


class Gathering(Generic[T]):
    """Gives reads to `read`, which runs a function in a snapshot; at most `lanes` times at once."""

    def __init__(self, read: Callable[..., Awaitable[list[Outcome]]], lanes: int) -> None:
        self._read = read
        self._free = lanes
        self._waiting: list[Asked[T]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, query: Query[T]) -> Any:
        """What `query` returns; raises what it raises, or Unavailable."""
        loop = asyncio.get_running_loop()
        asked = Asked(query, loop.create_future())
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
                await self._answer([asked for asked in taken if not asked.result.done()])
        finally:
            self._free += 1

    async def _answer(self, taken: Sequence[Asked[T]]) -> None:
        try:
            outcomes = await self._read(answer_all, [asked.query for asked in taken])
        except Exception as error:
            if len(taken) > 1 and not isinstance(error, Unavailable):  # a database may end a snapshot with an error
                for asked in taken:
                    await self._answer([asked])
                return
            outcomes = [Outcome(None, error)] * len(taken)
        for asked, outcome in zip(taken, outcomes, strict=True):
            if asked.result.done():  # whoever asked has gone
                continue
            if outcome.error is not None:
                asked.result.set_exception(outcome.error)
            else:
                asked.result.set_result(outcome.value)


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
