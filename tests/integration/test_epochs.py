"""`new-epoch`: after a restored backup no cursor from before goes on in silence."""

import asyncio

import pytest

from server.events.databases import TableDeleted
from server.store import log
from server.store.epochs import EPOCH, begin_epoch
from server.store.log import Bounds, LoggedEvent
from server.store.migrate import migrate
from server.store.transaction import Store, Transaction
from tests.support.commands import run


def tell(tx: Transaction, count: int = 1) -> None:
    for number in range(count):
        tx.record(TableDeleted(number, 1), "core:workspace:1")


def bounds(tx: Transaction) -> Bounds:
    return log.bounds(tx.db)


def of_rooms(tx: Transaction, *rooms: str) -> list[LoggedEvent]:
    return log.read_rooms(tx.db, dict.fromkeys(rooms, 0), 100)


async def opened(url: str) -> Store:
    await asyncio.to_thread(migrate, url)
    return Store(url, writers=2, readers=2, retries=3)


async def test_ids_go_on_above_all_that_a_client_can_know(database_url: str) -> None:
    store = await opened(database_url)
    await store.write(tell, 7)
    await asyncio.to_thread(store.close)

    output = run("new-epoch", DATABASE_URL=database_url)
    assert "the restored log ended at 7\n" in output
    assert f"removed 7 events; a new epoch begins at {EPOCH}" in output

    store = await opened(database_url)
    now = await store.read(bounds)
    assert now == (EPOCH - 1, EPOCH)
    assert not any(now.continues(cursor) for cursor in (0, 1, 6, 7, 8, 100, EPOCH - 2, EPOCH + 1, -1))
    (event,) = await store.read(of_rooms, "control", "core:workspace:1")
    assert (event.id, event.type, event.payload) == (EPOCH, "control:new-epoch", b'{"restored_at":7}')
    await store.write(tell, 2)
    assert [event.id for event in await store.read(of_rooms, "core:workspace:1")] == [EPOCH + 1, EPOCH + 2]
    await asyncio.to_thread(store.close)


@pytest.mark.parametrize(("above", "expected"), [(0, 3), (2 * EPOCH, 3), (5 * EPOCH + 9, 6), (5 * EPOCH, 6)])
async def test_each_epoch_lies_above_the_last_and_above_one_that_the_log_does_not_know(
    database_url: str, above: int, expected: int
) -> None:
    """The same backup restored twice does not know the epoch that began after the first time."""
    store = await opened(database_url)
    assert await store.write(begin_epoch) == (0, 0, EPOCH)
    await store.write(tell, 3)
    assert await store.write(begin_epoch) == (EPOCH + 3, 4, 2 * EPOCH)
    assert await store.write(begin_epoch, above=above) == (2 * EPOCH, 1, expected * EPOCH)
    await asyncio.to_thread(store.close)
