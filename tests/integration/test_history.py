"""Reading on from a cursor, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.events.databases import TableDeleted
from server.store import history, log
from server.store.history import History, read_history
from server.store.migrate import migrate
from server.store.transaction import Store, Transaction

A, B, C = (f"core:workspace:{number}" for number in (1, 2, 3))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    """A log of ten events: 1, 4, 7 and 10 for A, 2, 5 and 8 for B, 3, 6 and 9 for both."""
    await asyncio.to_thread(migrate, database_url)
    opened = Store(database_url, writers=2, readers=2, retries=5)
    for rooms in [(A,), (B,), (A, B)] * 3 + [(A,)]:
        await opened.write(tell, *rooms)
    yield opened
    await asyncio.to_thread(opened.close)


def tell(tx: Transaction, *rooms: str) -> None:
    tx.record(TableDeleted(1, 1), *rooms)


async def read(store: Store, after: dict[str, int], cursor: int, **how: Any) -> tuple[list[int], int, bool] | None:
    """Ids, position and completeness of what is read."""
    how = {"chunk": 100} | how
    found: History | None = await store.read(lambda tx: read_history(tx.db, after, cursor, **how))
    return found and ([event.id for event in found.events], found.position, found.complete)


async def test_each_room_is_read_above_its_own_position(store: Store) -> None:
    assert await read(store, {A: 0, B: 0}, 1) == ([2, 3, 4, 5, 6, 7, 8, 9, 10], 10, True)
    assert await read(store, {A: 5, B: 0}, 2) == ([3, 5, 6, 7, 8, 9, 10], 10, True)
    assert await read(store, {A: 9, B: 8}, 1) == ([9, 10], 10, True)
    assert await read(store, {A: 10, C: 0}, 1) == ([], 10, True)
    assert await read(store, {B: 0}, 10) == ([], 10, True)
    assert await read(store, {}, 3) == ([], 10, True)


async def test_reading_in_chunks_meets_the_end(store: Store) -> None:
    assert await read(store, {A: 0, B: 0}, 2, chunk=3) == ([3, 4, 5], 5, False)
    assert await read(store, {A: 0, B: 0}, 5, chunk=3) == ([6, 7, 8], 8, False)
    assert await read(store, {A: 0, B: 0}, 8, chunk=3) == ([9, 10], 10, True)
    assert await read(store, {A: 0}, 7, chunk=2) == ([9, 10], 10, True)
    assert await read(store, {B: 0}, 6, chunk=2) == ([8, 9], 9, False)
    assert await read(store, {B: 0}, 9, chunk=2) == ([], 10, True)


async def test_large_events_come_in_smaller_chunks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (size,) = await store.read(lambda tx: log.sizes(tx.db, [1]))
    monkeypatch.setattr(history, "MAX_BYTES", size * 2)
    assert await read(store, {A: 0, B: 0}, 2) == ([3, 4], 4, False)
    assert await read(store, {A: 0, B: 0}, 8) == ([9, 10], 10, True)
    monkeypatch.setattr(history, "MAX_BYTES", 1)
    assert await read(store, {A: 0, B: 0}, 8) == ([9], 9, False)


@pytest.mark.parametrize("cursor", [0, -1, 11, 2**63])
async def test_a_cursor_that_is_none_continues_nowhere(store: Store, cursor: int) -> None:
    assert await read(store, {A: 0}, cursor) is None


async def test_what_was_pruned_is_gone(store: Store) -> None:
    await store.write(lambda tx: tx.db.execute_sql("DELETE FROM event WHERE id <= 4"))
    assert await read(store, {A: 0}, 3) is None
    assert await read(store, {A: 0}, 4) == ([6, 7, 9, 10], 10, True)


async def test_too_much_is_as_good_as_gone(store: Store) -> None:
    assert await read(store, {A: 0, B: 0}, 2, most=7) is None
    assert await read(store, {A: 0, B: 0}, 2, most=8, chunk=1) == ([3], 3, False)
    assert await read(store, {B: 0}, 1, most=5, chunk=1) is None
    assert await read(store, {B: 4}, 1, most=5, chunk=1) == ([5], 5, False)  # only what the rooms were told counts
