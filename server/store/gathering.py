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
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from peewee import PeeweeException

from server.errors import Unavailable
from server.store.threads import Threads

T = TypeVar("T")
Query = Callable[[T], Any]
MOST = 64  # in one transaction: a thread that holds the interpreter's lock for longer delays everybody else
CROWD = 16  # of which as many ask in as many pauses
PATIENCE = 10.0  # seconds one may wait for its turn


class Asked(NamedTuple, Generic[T]):
    """A query or an action, where its result goes, when it was asked (monotonic seconds), and whether it is to have a
    transaction of its own."""

    query: Query[T]
    result: asyncio.Future[Any]
    at: float
    alone: bool = False


class Outcome(NamedTuple):
    """What a query or an action returned or raised."""

    value: Any
    error: BaseException | None


class Outcomes(NamedTuple):
    """Those of the first few queries of a transaction at least; the others then wait for the next one. `then` is called
    on the event loop before whoever asked goes on."""

    each: Sequence[Outcome]
    then: Callable[[], object] | None = None


Together = Callable[[float, Sequence[Query[T]]], Outcomes]
"""Runs queries in one transaction, wanted since a time (monotonic seconds). Raises PeeweeException where nothing
happened and the transaction, not a query, is at fault: then each is run in one of its own."""


class Gathering(Generic[T]):
    """Gives what waits to `together`, in one of the threads, at most `lanes` times at once. While a crowd asks, what
    waits first waits `pause` seconds for others to join it, as long as some do."""

    def __init__(self, together: Together[T], threads: Threads, lanes: int, pause: float = 0.0) -> None:
        self._together = together
        self._threads = threads
        self._free = lanes
        self._pause = pause
        self._waiting: deque[Asked[T]] = deque()
        self._times = deque[float](maxlen=CROWD)  # when the last ones asked

    def ask(self, query: Query[T], *, alone: bool = False) -> asyncio.Future[Any]:
        """What `query` returns; raises what it raises, or Unavailable. One that takes long asks for a transaction
        `alone`, so that those before it need not wait for its end."""
        loop, now = asyncio.get_running_loop(), time.monotonic()
        asked = Asked(query, loop.create_future(), now, alone)
        self._waiting.append(asked)
        self._times.append(now)
        if self._free:
            self._free -= 1
            self._begin_soon(loop)
        return asked.result

    def _begin_soon(self, loop: AbstractEventLoop) -> None:
        times = self._times
        if len(times) == CROWD and times[-1] - times[0] < self._pause * CROWD and len(self._waiting) < MOST:
            loop.call_later(self._pause, self._begin, loop, True)
        else:
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: AbstractEventLoop, paused: bool = False) -> None:
        """Has a thread run what waits, as far as it may go together; or gives up the lane."""
        taken = self._take()
        if not taken:
            self._free += 1
            return
        if paused and len(taken) == 1:
            self._times.clear()  # it was one client, who asks for one thing after the other
        try:
            self._threads.run(partial(self._run, loop, time.monotonic(), taken))
        except Unavailable as error:
            self._end(loop, taken, Outcomes([Outcome(None, error)] * len(taken)))

    def _take(self) -> list[Asked[T]]:
        taken: list[Asked[T]] = []
        while self._waiting and len(taken) < MOST and not (taken and self._waiting[0].alone):
            asked = self._waiting.popleft()
            if is_waiting(asked):
                taken.append(asked)
                if asked.alone:
                    break
        return taken

    def _run(self, loop: AbstractEventLoop, since: float, taken: Sequence[Asked[T]]) -> None:
        """In a thread."""
        try:
            outcomes = self._together(since, [asked.query for asked in taken])
        except BaseException as error:  # whatever it is, the thread goes on, and nobody waits for ever
            apart = len(taken) > 1 and isinstance(error, PeeweeException)  # perhaps the fault of one of them
            outcomes = Outcomes([] if apart else [Outcome(None, error)] * len(taken))
        with suppress(RuntimeError):  # of a loop that has ended: nobody waits for it any more
            loop.call_soon_threadsafe(self._end, loop, taken, outcomes)

    def _end(self, loop: AbstractEventLoop, taken: Sequence[Asked[T]], outcomes: Outcomes) -> None:
        each = outcomes.each
        rest = [asked if each else asked._replace(alone=True) for asked in taken[len(each) :]]
        self._waiting.extendleft(reversed(rest))
        for asked, outcome in zip(taken, each, strict=False):
            settle(asked.result, outcome)
        if self._waiting:
            self._begin_soon(loop)
        else:
            self._free += 1
        if outcomes.then is not None:  # last, for whatever it raises; whoever asked goes on in a turn of its own
            outcomes.then()


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
        result.set_exception(tellable(outcome.error))
    else:
        result.set_result(outcome.value)


def tellable(error: BaseException) -> Exception:
    """The error as one that a future takes, and that does not end the event loop."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    failure = RuntimeError(f"the query ended with {error!r}")
    failure.__cause__ = error
    return failure


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
