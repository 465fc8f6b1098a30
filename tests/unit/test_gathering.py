"""Reads that wait together are answered together, each with what is its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from peewee import DataError

from server.errors import CONFLICT, Refused, Unavailable
from server.store import gathering
from server.store.gathering import CROWD, Gathering, Outcomes, answer_all
from server.store.threads import Threads


class Reader:
    """A store of one number; `open` lets snapshots go on."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.value = 0
        self.sizes: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None
        self.most: int | None = None  # of what is asked at once
        self.then: Callable[[], object] | None = None

    def gathering(self, lanes: int = 1, pause: float = 0.0) -> Gathering[int]:
        return Gathering(self.read, self.threads, lanes, pause)

    def read(self, since: float, queries: Sequence[Any]) -> Outcomes:
        value = self.value
        self.sizes.append(len(queries))
        assert self.open.wait(10)
        if self.error is not None:
            raise self.error
        return Outcomes(answer_all(value, queries)[: self.most], self.then)

    async def has_begun(self, *sizes: int) -> None:
        """Waits until so many were asked together, each time."""
        async with asyncio.timeout(10):
            while self.sizes != [*sizes]:
                await asyncio.sleep(0.001)


def started(count: int) -> Threads:
    return Threads("test", count, begin=list, end=list)


@pytest.fixture
def reader() -> Iterator[Reader]:
    threads = started(4)
    yield Reader(threads)
    threads.close()


def same(tx: int) -> int:
    return tx


def refused(tx: int) -> int:
    raise Refused(CONFLICT, "no")


def broken(tx: int) -> int:
    raise DataError("this one cannot be asked")


async def test_those_that_wait_share_a_snapshot_that_begins_after_they_were_asked(reader: Reader) -> None:
    reader.open.clear()
    reads = reader.gathering()
    first = asyncio.gather(*[reads.ask(same) for _ in range(3)])
    await reader.has_begun(3)
    reader.value = 1
    later = asyncio.gather(*[reads.ask(same) for _ in range(2)])
    reader.value = 2
    reader.open.set()
    assert (await first, await later, reader.sizes) == ([0, 0, 0], [2, 2], [3, 2])


async def test_one_after_the_other_is_answered_too(reader: Reader) -> None:
    reads = reader.gathering()
    async with asyncio.timeout(5):
        assert [await reads.ask(same) for _ in range(50)] == [0] * 50


async def test_a_lane_more_does_not_wait_for_the_first(reader: Reader) -> None:
    reads = reader.gathering(2)
    reader.open.clear()
    slow = reads.ask(same)
    await reader.has_begun(1)
    other = reads.ask(same)
    await reader.has_begun(1, 1)
    reader.open.set()
    assert (await slow, await other) == (0, 0)


async def test_no_snapshot_takes_more_than_its_share(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", 4)
    reads = reader.gathering()
    await asyncio.gather(*[reads.ask(same) for _ in range(10)])
    assert reader.sizes == [4, 4, 2]


async def test_what_one_read_raises_is_its_own_affair(reader: Reader) -> None:
    reads = reader.gathering()
    results = await asyncio.gather(*map(reads.ask, (same, refused, same, broken, same)), return_exceptions=True)
    assert [type(result) for result in results] == [int, Refused, int, DataError, int]


class Panic(BaseException):
    """What no handler of exceptions catches."""


def stopped(tx: int) -> int:
    return next(iter(()))


def panicking(tx: int) -> int:
    raise Panic


@pytest.mark.parametrize("query", [stopped, panicking])
async def test_whatever_a_query_ends_with_the_next_one_is_answered(reader: Reader, query: Callable[[int], int]) -> None:
    reads = reader.gathering()
    for _ in range(5):  # more than there are threads
        with pytest.raises(RuntimeError, match=r"Panic|StopIteration"):
            await reads.ask(query)
    assert await reads.ask(same) == 0


async def test_a_database_that_is_away_is_away_for_all_and_asked_once(reader: Reader) -> None:
    reads = reader.gathering()
    reader.error = Unavailable("away")
    results = await asyncio.gather(reads.ask(same), reads.ask(same), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 2 and reader.sizes == [2]
    reader.error = None
    assert await reads.ask(same) == 0


async def test_who_gives_up_costs_nobody_else_anything(reader: Reader) -> None:
    reads = reader.gathering()
    gone, stays = (reads.ask(same) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 0
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_what_follows_an_answer_comes_before_whoever_asked_goes_on(reader: Reader) -> None:
    order: list[str] = []
    reads = reader.gathering()

    async def ask() -> None:
        await reads.ask(same)
        order.append("went on")

    reader.then = lambda: order.append("followed")
    await ask()
    assert order == ["followed", "went on"]


async def test_what_follows_an_answer_and_fails_keeps_nobody_waiting(reader: Reader) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    reads = reader.gathering()
    reader.then = lambda: 1 / 0
    assert [await reads.ask(same), await reads.ask(same)] == [0, 0]
    assert [type(complaint["exception"]) for complaint in complaints] == [ZeroDivisionError] * 2


async def test_what_was_not_begun_comes_next_in_its_order(reader: Reader) -> None:
    order = list[int]()
    reader.most = 2
    reads = reader.gathering()

    async def ask(number: int) -> None:
        await reads.ask(same)
        order.append(number)

    await asyncio.gather(*map(ask, range(5)))
    assert (reader.sizes, order) == ([5, 3, 1], [0, 1, 2, 3, 4])


async def test_who_waited_too_long_is_not_begun(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader.open.clear()
    reads = reader.gathering()
    first = reads.ask(same)
    await reader.has_begun(1)
    late = reads.ask(same)
    monkeypatch.setattr(gathering, "PATIENCE", 0)
    reader.open.set()
    assert await first == 0 and reader.sizes == [1]
    with pytest.raises(Unavailable):
        await late


async def test_what_is_no_failure_of_the_database_is_never_run_again(reader: Reader) -> None:
    """It may have come after the commit."""
    reader.error = RuntimeError("after the commit")
    reads = reader.gathering()
    results = await asyncio.gather(reads.ask(same), reads.ask(same), return_exceptions=True)
    assert [type(result) for result in results] == [RuntimeError] * 2 and reader.sizes == [2]


async def test_who_takes_long_is_alone_and_in_its_turn(reader: Reader) -> None:
    reads = reader.gathering()
    await asyncio.gather(*[reads.ask(same, alone=number == 2) for number in range(5)])
    assert reader.sizes == [2, 1, 2]


class Pauses:
    """Stands in for the event loop's timers: those that are set wait until they are let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.set = list[Any]()
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self.call_later)

    def call_later(self, delay: float, *call: Any) -> None:
        self.set.append(call)

    def end(self) -> None:
        for call, *arguments in self.set:
            call(*arguments)
        self.set.clear()


async def test_while_a_crowd_asks_the_first_waits_for_others(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, reads = Pauses(monkeypatch), reader.gathering(pause=1000.0)
    for _ in range(CROWD - 1):
        await reads.ask(same)
    assert not pauses.set, "the first ones are answered at once"
    first, second = reads.ask(same), reads.ask(same)
    assert len(pauses.set) == 1 and reader.sizes == [1] * (CROWD - 1)
    pauses.end()
    assert (await first, await second, reader.sizes[-1]) == (0, 0, 2)
    third, fourth = reads.ask(same), reads.ask(same)
    pauses.end()
    assert (await third, await fourth, reader.sizes[-1]) == (0, 0, 2)


async def test_one_who_asks_for_one_thing_after_the_other_is_no_crowd(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses, reads = Pauses(monkeypatch), reader.gathering(pause=1000.0)
    waited = 0
    for _ in range(3 * CROWD):
        answer = reads.ask(same)
        waited += len(pauses.set)
        pauses.end()
        await answer
    assert waited == 3 and reader.sizes == [1] * (3 * CROWD)


async def test_where_few_ask_nobody_waits(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses, reads = Pauses(monkeypatch), reader.gathering(pause=1e-9)
    for _ in range(3 * CROWD):
        await reads.ask(same)
    assert not pauses.set


def test_threads_run_what_they_were_given_before_they_end() -> None:
    told = list[str]()
    threads = Threads("test", 2, begin=lambda: told.append("begin"), end=lambda: told.append("end"))
    for _ in range(50):
        threads.run(lambda: told.append("job"))
    threads.close()
    assert (told.count("begin"), told.count("job"), told.count("end")) == (2, 50, 2) and told[-1] == "end"
    with pytest.raises(Unavailable):
        threads.run(list)


async def test_who_asks_after_the_end_is_told_so() -> None:
    threads = started(1)
    reads = Reader(threads).gathering()
    threads.close()
    results = await asyncio.gather(reads.ask(same), reads.ask(same, alone=True), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 2
    with pytest.raises(Unavailable):
        await reads.ask(same)
