"""PostgreSQL ends under load, takes no writes, and commits in another order than transactions began."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from server.events import rooms
from tests.faults.clients.base import Client
from tests.faults.clients.core_raw import CoreRaw
from tests.faults.clients.sessions import CoreSession
from tests.faults.cluster import Cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import PACE, STREAMS, Crowd, connections, crowd_at_work, crowd_on
from tests.faults.facts import Fact, facts
from tests.faults.history import Interest
from tests.faults.state import check_rows
from tests.faults.truth import read_head, read_log
from tests.faults.writers import RowsWriter
from tests.support.postgres_server import PostgresServer

CORE: tuple[type[Client], ...] = (CoreRaw, CoreSession)
SOON = 5.0  # seconds in which everybody has caught up once the database is back
MEANWHILE = 5  # writes that commit while another transaction is held open


@pytest.fixture
def cluster(postgres_url: str, redis_url: str) -> Cluster:
    return Cluster(postgres_url, redis_url, nodes=2)


async def test_postgres_restarted_under_load(running: Cluster, plan: Plan, postgres_server: PostgresServer) -> None:
    """Requests are answered 503, sockets stay open, and when it is back everything goes on by itself."""
    async with crowd_at_work(running, plan.chance, rounds=2) as crowd:
        connected = connections(crowd)
        times = plan.times(short=2, long=20)
        for number in range(times):
            end = postgres_server.kill if number % 2 == 0 else postgres_server.stop
            await asyncio.to_thread(end)
            await crowd.all_refused()
            await running.says(database=False, bell=True)
            await asyncio.to_thread(postgres_server.start)
            await crowd.after_writes(20)
        await crowd.settle(SOON)
        assert connections(crowd) == connected, "sockets stay open"
        await running.ready()
        findings = await check_rows(crowd)
        findings.add(await crowd.check())
        plan.conclude("PostgreSQL killed or restarted under load", times, findings)


async def test_postgres_read_only(running: Cluster, plan: Plan, postgres_url: str) -> None:
    """As after a failover: what is read is read, what is written is refused with 503, and no process is restarted."""
    async with crowd_at_work(running, plan.chance) as crowd, administration(postgres_url) as admin:
        connected = connections(crowd)
        times = plan.times(short=1, long=10)
        for _ in range(times):
            await make_read_only(admin, "on")
            try:
                await crowd.all_refused()
                await running.says(database=True)
            finally:
                await make_read_only(admin, "off")
            await crowd.after_writes(20)
        await crowd.settle(SOON)
        assert connections(crowd) == connected
        findings = await check_rows(crowd)
        findings.add(await crowd.check())
        plan.conclude("a read-only database", times, findings)


@asynccontextmanager
async def administration(url: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection of the superuser, outside all servers."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection


async def make_read_only(admin: psycopg.AsyncConnection[Any], value: str) -> None:
    """Whether new transactions may write, in connections that stand too; returns when it holds."""
    await admin.execute("SET default_transaction_read_only = off")  # of this connection
    await admin.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    await admin.execute("SELECT pg_reload_conf()")


async def test_transactions_commit_in_another_order_than_they_began(
    running: Cluster, plan: Plan, postgres_url: str
) -> None:
    """One waits for a row that somebody holds, while others that began later commit in another workspace."""
    async with crowd_on(running, plan.chance) as crowd, administration(postgres_url) as holder:
        await add_two_workspaces(crowd)
        await crowd.begin()
        times = plan.times(short=5, long=100)
        for number in range(times):
            await overtake(crowd, holder, f"held {number}")
        await crowd.settle(SOON)
        plan.conclude("a transaction that commits after others which began later", times, await crowd.check())


async def add_two_workspaces(crowd: Crowd) -> None:
    """Writers in another workspace than the stage's, and clients that hear the tables of both."""
    stage, ann = crowd.stage, crowd.stage.ann
    elsewhere = await ann.workspace("Elsewhere")
    table = await ann.table(await ann.database(elsewhere), data=[["Name"], ["x"]], first_row_header=True)
    (field,) = await ann.ok("GET", f"/api/database/fields/table/{table}/")
    more = Interest(rooms.table(table), elsewhere)
    start = read_head(crowd.cluster.database_url)
    for kind in CORE * 3:
        follows = Interest(rooms.workspace(elsewhere), elsewhere, follows=True)
        crowd.add(kind, ann, [more, *stage.core(ann), follows], start)
    for kind in STREAMS:
        crowd.add(kind, ann, [more, *stage.stream()], start)
    for name in ("one", "two", "three"):
        crowd.writers.append(RowsWriter(name, crowd.access, ann.token, table, field["id"], pace=PACE))


async def overtake(crowd: Crowd, holder: psycopg.AsyncConnection[Any], mark: str) -> None:
    """Changes the first row of the stage while the row is locked, until others have written; then lets it commit."""
    stage = crowd.stage
    before = read_head(crowd.cluster.database_url)
    async with holder.transaction():
        await holder.execute(f"SELECT * FROM table_{stage.table} WHERE id = 1 FOR UPDATE")
        path, body = f"/api/database/rows/table/{stage.table}/1/", {f"field_{stage.field}": mark}
        change = asyncio.create_task(stage.ann.ok("PATCH", path, body))
        await until_somebody_waits(holder)
        await crowd.after_writes(MEANWHILE)
        assert not change.done()
    await change
    log = read_log(crowd.cluster.database_url)
    (held,) = [event.id for event in log.events if Fact("rows_updated", "1", mark) in facts(event)]
    assert held - before > MEANWHILE, "the others came before it in the log"


async def until_somebody_waits(holder: psycopg.AsyncConnection[Any]) -> None:
    """Returns when a transaction waits for a lock of this connection."""
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    async with asyncio.timeout(SOON):
        while not (await (await holder.execute(sql)).fetchone())[0]:  # type: ignore[index]
            await asyncio.sleep(0)
