"""What is too old leaves the log, without a gap, without a hurry, and in one process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from server.events.databases import TableDeleted
from server.parts import STORE
from server.store import leases, log, retention
from server.store.housekeeping import LEASE, Housekeeping, Keep, remove_batch
from server.store.log import Bounds, LoggedEvent
from server.store.migrate import migrate
from server.store.models import RefusedToken
from server.store.sql import run
from server.store.transaction import Store, Transaction
from tests.support.app import PATIENCE, running_server

WEEK = 7 * 86400
ALL = 1_000_000


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    async with opened(database_url) as store:
        yield store


@contextlib.asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(migrate, database_url)
    store = Store(database_url, writers=8, readers=2, retries=5)
    yield store
    await asyncio.to_thread(store.close)


def tell(tx: Transaction, count: int = 1) -> None:
    """Events in rooms of their own and in shared ones."""
    for number in range(count):
        tx.record(TableDeleted(number, 1), *(f"core:workspace:{room}" for room in (1, number % 3, 100 + number)))


def bounds(tx: Transaction) -> Bounds:
    return log.bounds(tx.db)


def ids(tx: Transaction) -> list[int]:
    return [event.id for event in log.read_after(tx.db, 0, ALL)]


def entries(tx: Transaction) -> list[tuple[str, int]]:
    return sorted((str(room), int(number)) for room, number in run(tx, "SELECT room, event_id FROM event_room"))


def expected_entries(tx: Transaction) -> list[tuple[str, int]]:
    """What the index of rooms must hold: the rooms of the events that are there."""
    return sorted((room, event.id) for event in log.read_after(tx.db, 0, ALL) for room in event.rooms)


def date_back(tx: Transaction, last: int, seconds: float) -> None:
    run(tx, "UPDATE event SET created_ms = created_ms - ? WHERE id <= ?", (int(seconds * 1000), last))


async def prune_all(store: Store, **limits: Any) -> list[int]:
    """The sizes of all batches."""
    removed = []
    while count := await store.write(retention.prune, **limits):
        removed.append(count)
    return removed


async def assert_holds(store: Store, floor: int, head: int) -> None:
    """The log holds exactly these events, each under its rooms and nothing else."""
    assert await store.read(bounds) == (floor, head)
    assert await store.read(ids) == list(range(floor + 1, head + 1))
    assert await store.read(entries) == await store.read(expected_entries)


async def until(store: Store, query: Callable[[Transaction], Any], value: Any) -> None:
    """Waits until the query gives the value."""
    found: Any = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while (found := await store.read(query)) != value:
                await asyncio.sleep(0.01)
    assert found == value


async def test_the_oldest_leave_while_there_are_too_many(store: Store) -> None:
    await store.write(tell, 30)
    assert await prune_all(store, keep_events=10, keep_seconds=WEEK, batch=7) == [7, 7, 6]
    await assert_holds(store, 20, 30)


async def test_what_is_too_old_leaves_from_the_beginning(store: Store) -> None:
    await store.write(tell, 30)
    await store.write(date_back, 12, WEEK + 60)
    assert await prune_all(store, keep_events=ALL, keep_seconds=WEEK, batch=10) == [10, 2]
    await assert_holds(store, 12, 30)


async def test_what_is_old_stays_behind_what_is_young(store: Store) -> None:
    """Clocks of several machines differ; the log stays whole all the same."""
    await store.write(tell, 6)
    await store.write(date_back, 5, WEEK + 60)
    await store.write(date_back, 2, -WEEK - 60)
    assert await prune_all(store, keep_events=ALL, keep_seconds=WEEK) == []
    await assert_holds(store, 0, 6)


async def test_the_newest_event_never_leaves(store: Store) -> None:
    """Ids go on from it: without it the next event would get an id that clients know already."""
    await store.write(tell, 5)
    await store.write(date_back, 5, 2 * WEEK)
    assert await prune_all(store, keep_events=1, keep_seconds=WEEK) == [4]
    await assert_holds(store, 4, 5)
    await store.write(tell)
    await assert_holds(store, 4, 6)


async def test_an_empty_log_is_left_alone(store: Store) -> None:
    assert await prune_all(store, keep_events=1, keep_seconds=WEEK) == []
    assert await store.read(bounds) == (0, 0)


async def test_large_events_leave_in_small_batches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH_BYTES", 100)  # fewer than two of these have
    await store.write(tell, 10)
    assert await prune_all(store, keep_events=1, keep_seconds=WEEK) == [2, 2, 2, 2, 1]


async def test_writers_go_on_while_the_log_is_pruned(store: Store) -> None:
    """Ids stay gap-free and in order, and no room keeps an entry of an event that has gone."""
    heard: list[LoggedEvent] = []
    store.on_commit = heard.extend

    async def write() -> None:
        for _ in range(25):
            await store.write(tell, 2)

    async def prune() -> None:
        while len(heard) < 400:
            await store.write(retention.prune, keep_events=30, keep_seconds=WEEK, batch=20)

    await asyncio.gather(prune(), *[write() for _ in range(8)])
    await prune_all(store, keep_events=30, keep_seconds=WEEK)
    await assert_holds(store, 370, 400)
    assert sorted(event.id for event in heard) == list(range(1, 401))


async def test_sessions_and_refused_tokens_are_forgotten_after_their_time(store: Store) -> None:
    await store.write(enter_session, "old", WEEK + 60)
    await store.write(enter_session, "young", WEEK - 60)
    await store.write(refuse_tokens)
    assert await store.write(retention.forget_sessions, keep_seconds=WEEK) == 1
    assert await store.write(retention.forget_sessions, keep_seconds=WEEK) == 0
    assert await store.write(retention.forget_refused_tokens) == 1
    assert await store.read(left) == ["token young", "young"]


def enter_session(tx: Transaction, pid: str, seconds_ago: float) -> None:
    seen = retention.now_ms() - int(seconds_ago * 1000)
    columns = "pid, sid, namespace, user_id, generation, began, state, seen_ms"
    run(tx, f"INSERT INTO session ({columns}) VALUES (?, 's', '/core', 1, 1, 1, '', ?)", (pid, seen))


def refuse_tokens(tx: Transaction) -> None:
    RefusedToken.create(jti="token old", expires_at=int(time.time()) - 5)
    RefusedToken.create(jti="token young", expires_at=int(time.time()) + 500)


def left(tx: Transaction) -> list[str]:
    return sorted(str(row[0]) for row in run(tx, "SELECT pid FROM session UNION SELECT jti FROM refused_token"))


async def claim(store: Store, holder: str, seconds: float = 60) -> bool:
    return await store.write(leases.claim, "work", holder=holder, seconds=seconds)


async def test_a_lease_has_one_holder(store: Store) -> None:
    claims = await asyncio.gather(*[claim(store, f"process {number}") for number in range(8)])
    assert sum(claims) == 1
    winner, loser = claims.index(True), claims.index(False)
    assert await claim(store, f"process {winner}"), "its holder renews it"
    assert not await claim(store, f"process {loser}")
    assert await store.write(leases.claim, "other work", holder=f"process {loser}", seconds=60)


async def test_a_lease_that_was_given_back_is_free(store: Store) -> None:
    assert await claim(store, "ann")
    await store.write(leases.release, "work", holder="bob")
    assert not await claim(store, "bob"), "only its holder gives it back"
    await store.write(leases.release, "work", holder="ann")
    assert await claim(store, "bob")


async def test_a_lease_of_the_dead_is_taken_over_by_one(store: Store) -> None:
    assert await claim(store, "dead", seconds=60)
    assert not await claim(store, "heir")
    await store.write(expire)
    claims = await asyncio.gather(*[claim(store, f"heir {number}") for number in range(8)])
    assert sum(claims) == 1
    assert not await claim(store, "dead"), "who comes back late has lost it"


def expire(tx: Transaction) -> None:
    """Lets the time of all leases go by."""
    run(tx, "UPDATE lease SET expires_ms = expires_ms - 61000")


async def test_who_lost_the_lease_removes_nothing(store: Store) -> None:
    keep = Keep(1, WEEK, WEEK)
    await store.write(tell, 5)
    assert await store.write(leases.claim, LEASE, holder="successor", seconds=60)
    assert await store.write(remove_batch, keep, holder="late", seconds=60) is None
    await assert_holds(store, 0, 5)
    assert await store.write(remove_batch, keep, holder="successor", seconds=60) == 4


async def test_a_running_server_keeps_its_log_short(database_url: str) -> None:
    async with running_server(database_url=database_url, retention_events=5, housekeeping_interval=0.02) as server:
        store = server.app[STORE]
        await store.write(enter_session, "old", 2 * 86400)
        await store.write(refuse_tokens)
        ann = await server.sign_up("Ann")
        for number in range(10):
            await ann.workspace(f"Team {number}")
        head = await server.log_position()
        assert head > 10
        await until(store, bounds, (head - 5, head))
        await until(store, left, ["token young"])
        await assert_holds(store, head - 5, head)
    async with opened(database_url) as store:
        assert await store.read(lease_holders) == [], "the next server need not wait"


def lease_holders(tx: Transaction) -> list[str]:
    return [str(row[0]) for row in run(tx, "SELECT holder FROM lease")]


async def test_one_process_tidies_and_another_follows_it(store: Store) -> None:
    keep = Keep(1, WEEK, WEEK)
    first, second = Housekeeping(store, keep, 0.02), Housekeeping(store, keep, 0.02)
    first.start()
    await until(store, lease_holders, [first.holder])
    second.start()
    await store.write(tell, 5)
    await until(store, bounds, (4, 5))
    assert await store.read(lease_holders) == [first.holder]
    await first.stop()
    await until(store, lease_holders, [second.holder])
    await store.write(tell, 5)
    await until(store, bounds, (9, 10))
    await second.stop()
    assert await store.read(lease_holders) == []


async def test_a_failure_is_logged_and_not_the_end(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    def rename(tx: Transaction, name: str, new: str) -> None:
        run(tx, f"ALTER TABLE {name} RENAME TO {new}")

    await store.write(tell, 5)
    await store.write(rename, "lease", "mislaid")
    housekeeping = Housekeeping(store, Keep(1, WEEK, WEEK), 0.02)
    housekeeping.start()
    async with asyncio.timeout(PATIENCE):
        while "housekeeping failed" not in caplog.text:
            await asyncio.sleep(0.01)
    await store.write(rename, "mislaid", "lease")
    await until(store, bounds, (4, 5))
    await housekeeping.stop()
