"""Transactions and the log on both databases."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from peewee import OperationalError, ProgrammingError

from server.errors import CONFLICT, Refused, Unavailable
from server.events import rooms
from server.events.databases import TableDeleted
from server.events.event import Origin
from server.store import log, record_pages, sessions
from server.store.log import LoggedEvent
from server.store.migrate import migrate
from server.store.models import Job, StoredRecord, Workspace
from server.store.sessions import Begun
from server.store.transaction import Store, Transaction
from tests.support.postgres_server import PostgresServer


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(migrate, database_url)
    opened = Store(database_url, writers=8, readers=2, retries=5)
    yield opened
    await asyncio.to_thread(opened.close)


def count(tx: Transaction, model: type = Job) -> int:
    return int(model.select().count())


def read_after(tx: Transaction, cursor: int) -> list[LoggedEvent]:
    return log.read_after(tx.db, cursor, 1000)


def add_job(tx: Transaction, number: int, *names: str) -> int:
    made = Job.create(user_id=number, type="test")
    for name in names or ("core:workspace:1",):
        tx.record(TableDeleted(made.id, number), name, origin=Origin(number, "socket"))
    return int(made.id)


async def test_a_commit_announces_its_events_with_their_ids(store: Store) -> None:
    heard: list[LoggedEvent] = []
    store.on_commit = heard.extend
    await store.write(add_job, 7, "core:workspace:1", "core:workspace:2")
    await asyncio.sleep(0)
    assert [event.id for event in heard] == [1, 2]
    assert heard[0].rooms == ("core:workspace:1",)
    assert heard[0].origin == Origin(7, "socket")
    logged = await store.read(read_after, 0)
    assert logged == heard


async def test_ids_are_gap_free_and_in_commit_order_under_eight_writers(store: Store) -> None:
    """A reader that follows the log must never see id n+1 before id n can be seen."""
    done = asyncio.Event()
    seen: list[int] = []

    async def write(number: int) -> None:
        for _ in range(25):
            await store.write(add_job, number)

    async def follow() -> None:
        while not (done.is_set() and len(seen) == 200):
            cursor = seen[-1] if seen else 0
            events = await store.read(read_after, cursor)
            seen.extend(event.id for event in events)
            assert seen == list(range(1, len(seen) + 1))

    follower = asyncio.create_task(follow())
    await asyncio.gather(*[write(number) for number in range(8)])
    done.set()
    await asyncio.wait_for(follower, 30)
    assert seen == list(range(1, 201))


async def test_an_action_knows_where_the_log_is_though_others_share_its_commit(store: Store) -> None:
    def act(tx: Transaction, number: int) -> int:
        tx.lock_workspaces(1)
        position = tx.position()
        add_job(tx, number)
        assert tx.position() == position, "its own events come with the commit"
        return position

    assert sorted(await asyncio.gather(*(store.write(act, number) for number in range(5)))) == [0, 1, 2, 3, 4]


async def test_a_user_keeps_the_sessions_that_were_seen_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the last one: only now and then is a new session the occasion to count."""
    times = itertools.count(1)
    monkeypatch.setattr(sessions, "now_ms", lambda: next(times))
    monkeypatch.setattr(sessions, "MOST_PER_USER", 20)
    monkeypatch.setattr(sessions, "DICE", Random(1))

    def begin(tx: Transaction, user_id: int, pid: str) -> None:
        sessions.begin(tx, Begun(pid, f"sid {pid}", "/core", user_id, 1, 0, "{}"))

    def kept(tx: Transaction, user_id: int) -> list[int]:
        rows = tx.db.execute_sql(f"SELECT seen_ms FROM session WHERE user_id = {user_id} ORDER BY seen_ms")
        return [seen for (seen,) in rows]

    await store.write(begin, 2, "another's")
    for number in range(200):
        await store.write(begin, 1, f"pid {number}")
    seen = await store.read(kept, 1)
    assert seen == list(range(202 - len(seen), 202))
    assert 20 <= len(seen) < 20 + 5 * sessions.ONE_IN
    assert await store.read(kept, 2) == [1]


async def test_a_refused_action_leaves_neither_rows_nor_events(store: Store) -> None:
    heard: list[LoggedEvent] = []
    store.on_commit = heard.extend

    def refuse(tx: Transaction) -> None:
        add_job(tx, 1)
        raise Refused(CONFLICT)

    with pytest.raises(Refused):
        await store.write(refuse)
    assert await store.read(count) == 0
    assert await store.write(add_job, 2) is not None
    assert await store.read(Transaction.position) == 1, "the rolled-back event left no gap"
    await asyncio.sleep(0)
    assert [event.id for event in heard] == [1]


async def test_actions_on_one_workspace_see_each_others_changes(store: Store) -> None:
    """Eight read-modify-writes at once: without the lock before the read some would be lost."""

    def create(tx: Transaction) -> None:
        Workspace.create(id=1, uuid="u", name="0")

    def count_up(tx: Transaction) -> None:
        tx.lock_workspaces(1)
        found = Workspace.get_by_id(1)
        found.name = str(int(found.name) + 1)
        found.save()

    await store.write(create)
    await asyncio.gather(*[store.write(count_up) for _ in range(40)])
    assert await store.read(lambda tx: Workspace.get_by_id(1).name) == "40"


async def test_a_deadlock_runs_the_whole_action_again(store: Store) -> None:
    """Two actions lock two workspaces in opposite order; PostgreSQL ends one, which then succeeds from the start."""

    def both(tx: Transaction, first: int, second: int) -> None:
        tx.lock_workspaces(first)
        Job.create(user_id=first, type="test")
        tx.lock_workspaces(second)
        tx.record(TableDeleted(first, second), rooms.workspace(first))

    await asyncio.gather(*[store.write(both, *pair) for pair in ((1, 2), (2, 1)) * 4])
    assert await store.read(count) == 8
    assert await store.read(Transaction.position) == 8


async def test_a_reader_sees_one_snapshot(store: Store) -> None:
    loop = asyncio.get_running_loop()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        before = tx.position()
        asyncio.run_coroutine_threadsafe(store.write(add_job, 1), loop).result(10)
        return before, tx.position()

    assert await store.read(look_twice) == (0, 0)
    assert await store.read(Transaction.position) == 1


async def test_a_lost_database_is_unavailable_and_then_back(postgres_server: PostgresServer, postgres_url: str) -> None:
    await asyncio.to_thread(migrate, postgres_url)
    store = Store(postgres_url, writers=2, readers=2, retries=3)
    await store.write(add_job, 1)
    await asyncio.to_thread(postgres_server.stop)
    with pytest.raises(Unavailable):
        await store.write(add_job, 2)
    with pytest.raises(Unavailable):
        await store.read(count)
    await asyncio.to_thread(postgres_server.start)
    await store.write(add_job, 3)
    assert await store.read(count) == 2
    await asyncio.to_thread(store.close)


async def test_composed_statements_store_and_find_what_models_say(store: Store) -> None:
    """Defaults, ids that the database gives, columns of other types, and only the columns that are named."""

    def act(tx: Transaction) -> None:
        first, second = Job.create(user_id=1, type="a", data={"n": [1]}), Job.create(user_id=2, type="b")
        assert second.id == first.id + 1 and not first.is_dirty()
        found = Job.find(id=first.id)
        assert found is not None and found.__data__ == first.__data__
        assert Job.create(id=90, user_id=3, type="c").id == 90
        found.type, found.user_id = "kept", 5
        assert found.save(only=["type", Job.type]) == 1 and found.dirty_fields == [Job.user_id]
        rows = Job.find_all("type", ["c", "kept", "b", "none"])
        assert [(row.id, row.user_id, row.type) for row in rows] == [
            (first.id, 1, "kept"),
            (second.id, 2, "b"),
            (90, 3, "c"),
        ]
        assert Job.find_all("id", []) == []

    await store.write(act)


async def test_actions_that_wait_together_fail_each_for_itself(store: Store) -> None:
    heard: list[LoggedEvent] = []
    store.on_commit = heard.extend

    def refuse(tx: Transaction, number: int) -> int:
        add_job(tx, number)
        raise Refused(CONFLICT)

    def fail(tx: Transaction, number: int) -> int:
        add_job(tx, number)
        tx.db.execute_sql("SELECT * FROM no_such_table")
        raise AssertionError("unreachable")

    kinds = [refuse if number % 5 == 2 else fail if number == 20 else add_job for number in range(40)]
    asked = [store.write(kind, number) for number, kind in enumerate(kinds)]
    results = await asyncio.gather(*asked, return_exceptions=True)
    good = [number for number, kind in enumerate(kinds) if kind is add_job]
    assert [number for number, result in enumerate(results) if isinstance(result, int)] == good
    assert {type(results[number]) for number in range(2, 40, 5)} == {Refused}
    assert type(results[20]) in (OperationalError, ProgrammingError)
    assert await store.read(lambda tx: sorted(job.user_id for job in Job.select())) == good
    logged = await store.read(read_after, 0)
    assert [event.id for event in logged] == list(range(1, len(good) + 1))
    assert sorted(event.origin.user_id for event in logged if event.origin) == good
    assert sorted(heard, key=lambda event: event.id) == logged


async def test_actions_that_wait_for_sqlite_are_committed_and_announced_together_in_their_order(tmp_path: Path) -> None:
    url, heard = f"sqlite:///{tmp_path}/together.sqlite3", list[list[int]]()
    await asyncio.to_thread(migrate, url)
    store = Store(url, writers=1, readers=1, retries=2)
    store.on_commit = lambda events: heard.append([event.origin.user_id for event in events if event.origin])
    try:
        await asyncio.gather(*[store.write(add_job, number) for number in range(30)])
        await asyncio.sleep(0)
    finally:
        await asyncio.to_thread(store.close)
    assert [number for commit in heard for number in commit] == list(range(30))
    assert len(heard) < 30, "each commit waits for the disk"


async def test_pages_of_an_endpoint_among_the_records_of_others(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        common = {"created_at": "c", "updated_at": "u"}
        for number in range(40):  # two endpoints in turn, and on each two owners; records of the second end later
            endpoint, owner = 1 + number % 2 if number < 30 else 2, number // 2 % 2
            StoredRecord.create(endpoint_id=endpoint, unique_id=f"{number}", data=f"{number}", owner_id=owner, **common)

    def page(tx: Transaction, endpoint: int, owner: int | None, limit: int, offset: int) -> list[int]:
        opened = record_pages.open_page(tx.db, endpoint, owner, limit=limit, offset=offset)
        found: list[int] = json.loads(record_pages.page_of(tx.db, opened, data_only=True))
        assert record_pages.page_size(tx.db, opened) == sum(len(str(number)) for number in found)
        return found

    await store.write(fill)
    counts = {(1, None): 15, (2, None): 25, (1, 0): 8, (2, 1): 13, (3, None): 0}
    for (endpoint, owner), count in counts.items():
        everything = await store.read(page, endpoint, owner, 100, 0)
        assert everything == sorted(everything) and len(everything) == count
        for limit, offset in itertools.product((0, 1, 4, 15, 26), (0, 1, 7, 14, 15, 25, 26)):
            assert await store.read(page, endpoint, owner, limit, offset) == everything[offset : offset + limit]
