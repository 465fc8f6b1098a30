"""Redis dies, freezes, forgets and drops its clients: the nodes go on from the log."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis.asyncio

from tests.faults.clients.core_raw import CoreClassic, CoreRaw
from tests.faults.clients.sessions import CoreSession
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import PACE, Crowd, crowd_at_work, crowd_on
from tests.faults.truth import read_head
from tests.support.app import Person
from tests.support.redis_server import RedisServer

WRITES = 200  # made while Redis is away
AWAY = 5.0  # seconds in which a node that does not hear has to tell what was committed elsewhere
BACK = 2.0  # seconds in which it has to, once it hears again
NEVER = "3600"  # seconds between two looks at the log: only the bell wakes the node
both = pytest.mark.parametrize("cluster", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path, redis_url: str) -> Iterator[Cluster]:
    """Two nodes and Redis, on PostgreSQL unless a test asks for SQLite."""
    if getattr(request, "param", "postgres") == "sqlite":
        yield Cluster(f"sqlite:///{tmp_path}/faults.sqlite3", redis_url, nodes=2)
    else:
        yield Cluster(request.getfixturevalue("postgres_url"), redis_url, nodes=2)


@both
async def test_redis_killed_until_many_writes_were_made(
    running: Cluster, plan: Plan, redis_server: RedisServer
) -> None:
    """Everybody hears everything although nobody rings, and a member who is removed meanwhile is out on every node."""
    async with crowd_on(running, plan.chance) as crowd:
        crowd.add_clients(rounds=1)
        crowd.add_writers(PACE)
        carol = await crowd.stage.welcome("Carol")
        add_on_every_node(crowd, carol)
        await crowd.begin()
        times = plan.times(short=1, long=8)
        for number in range(times):
            await asyncio.to_thread(redis_server.kill)
            await running.says(bell=False)
            await crowd.after_writes(WRITES // 2)
            if not number:
                await crowd.stage.expel(carol)
                # told in her own room, which she does not lose: whoever tells it has passed her removal
                await carol.ok("PATCH", "/api/user/account/", {"first_name": "Outside"})
            await crowd.after_writes(WRITES // 2)
            await crowd.settle(AWAY)
            await crowd.write()
            await asyncio.to_thread(redis_server.start)
            await running.says(bell=True)
        await crowd.settle(AWAY)
        plan.conclude(f"Redis killed until {WRITES} writes were made", times, await crowd.check())


def add_on_every_node(crowd: Crowd, who: Person) -> None:
    """Clients of core pages on each node."""
    start = read_head(crowd.cluster.database_url)
    for url in crowd.cluster.urls:
        for kind in (CoreRaw, CoreClassic, CoreSession):
            crowd.add(kind, who, crowd.stage.core(who), start, url)


async def test_a_deaf_node_catches_up_as_soon_as_it_hears(
    cluster: Cluster, plan: Plan, redis_server: RedisServer
) -> None:
    """Writers know one node only, and the other one never looks at the log by itself."""
    for node in cluster.nodes:
        node.environ["POLL_INTERVAL"] = NEVER
    async with running_cluster(cluster), crowd_at_work(cluster, plan.chance) as crowd:
        for writer in crowd.writers:
            writer.access = replace(crowd.access, urls=cluster.urls[:1])
        times = plan.times(short=1, long=8)
        for _ in range(times):
            await asyncio.to_thread(redis_server.kill)
            await cluster.says(bell=False)
            await crowd.after_writes(WRITES)
            await asyncio.gather(*(writer.stop() for writer in crowd.writers))
            head = await asyncio.to_thread(read_head, cluster.database_url)
            assert any(client.highest < head - WRITES // 2 for client in crowd.clients if client.continues), "deaf"
            await asyncio.to_thread(redis_server.start)
            await cluster.says(bell=True)
            await crowd.settle(BACK)
            await crowd.write()
        await crowd.settle(BACK)
        plan.conclude("a node deaf until Redis returned, which did not look at the log", times, await crowd.check())


async def test_redis_frozen(running: Cluster, plan: Plan, redis_server: RedisServer) -> None:
    """Connections stay open and silent; the nodes notice."""
    async with crowd_at_work(running, plan.chance) as crowd:
        times = plan.times(short=1, long=6)
        for _ in range(times):
            await asyncio.to_thread(redis_server.pause)
            await running.says(bell=False)
            await crowd.after_writes(WRITES // 2)
            await crowd.settle(AWAY)
            await crowd.write()
            await asyncio.to_thread(redis_server.resume)
            await running.says(bell=True)
        await crowd.settle(AWAY)
        plan.conclude("Redis paused and resumed", times, await crowd.check())


async def test_redis_flushed_its_clients_kicked_and_itself_restarted_empty(
    running: Cluster, plan: Plan, redis_server: RedisServer
) -> None:
    async with crowd_at_work(running, plan.chance) as crowd:
        times = plan.times(short=2, long=40)
        for _ in range(times):
            await command(redis_server, "FLUSHALL")
            await crowd.after_writes(5)
            await command(redis_server, "CLIENT", "KILL", "TYPE", "normal")
            await crowd.after_writes(5)
            await command(redis_server, "CLIENT", "KILL", "TYPE", "pubsub")  # they are back at once
            await crowd.after_writes(5)
            await asyncio.to_thread(redis_server.stop)
            await running.says(bell=False)
            await crowd.after_writes(5)
            await asyncio.to_thread(redis_server.start)
            await running.says(bell=True)
        await crowd.settle(AWAY)
        plan.conclude("Redis flushed, its clients kicked, and restarted empty", times, await crowd.check())


async def command(server: RedisServer, *words: str) -> None:
    """One command, over a connection of its own, which a KILL spares."""
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.execute_command(*words)  # type: ignore[no-untyped-call]
