"""Readers that stop reading: they are cut, nobody else notices, and when they are back they recover everything."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import psutil
import pytest

from server.errors import CloseCode
from server.events import rooms
from tests.faults.clients.base import Client
from tests.faults.clients.slow import Slow, SlowCoreRaw, SlowCoreSession, SlowEventStream, small_socket
from tests.faults.cluster import Cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import CORE, STREAMS, Crowd, crowd_on
from tests.faults.truth import read_head, read_last
from tests.faults.writers import RowsWriter

SLOW: tuple[type[Slow], ...] = (SlowCoreRaw, SlowCoreSession, SlowEventStream)
OF_EACH = 2  # slow readers of each style
ROWS, CELL = 20, 8000  # rows of one change, characters of each: it is told in half a megabyte
MANY = 40  # changes before, and while they do not read
PAUSE = 0.05  # seconds between two changes
DEADLINE = 2.0  # seconds within which everybody who reads has to be told a change
FLAT = 64 << 20  # bytes that the server may grow by: the last 16 MiB, and what all are told within a reader's patience
KEPT = 3 * FLAT  # bytes that it may keep after all have recovered, however often: the heap of reading much at once
CUT = "a reader was too slow"  # what the server's log says of each
MIB = 1 << 20


class LargeChanges(RowsWriter):
    """Changes of all rows at once; each is told in half a megabyte."""

    async def create(self) -> None:
        def items(mark: str) -> Any:
            return {"items": [{self.field: f"{mark}/{number}"} for number in range(ROWS)]}

        mark, made = await self.ask("POST", self.path + "batch/", items)
        for number, row in enumerate(made["items"]):
            self.acknowledge("rows_created", row["id"], f"{mark}/{number}")
        self.things = [str(row["id"]) for row in made["items"]]

    async def write(self) -> None:
        def items(mark: str) -> Any:
            return {"items": [{"id": int(thing), self.field: mark.ljust(CELL, "x")} for thing in self.things]}

        mark, _ = await self.ask("PATCH", self.path + "batch/", items)
        for thing in self.things:
            self.acknowledge("rows_updated", thing, mark.ljust(CELL, "x"))


@pytest.fixture
def cluster(postgres_url: str) -> Cluster:
    """A node on PostgreSQL: SQLite keeps pages in the memory of the process, which would hide what readers cost."""
    return Cluster(postgres_url, LOG_LEVEL="INFO")


async def test_readers_that_stop_reading(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd, slow_readers(crowd) as slow:
        others = add_readers(crowd)
        stage = crowd.stage
        writer = LargeChanges("large", crowd.access, stage.ann.token, stage.table, stage.field)
        await crowd.begin()
        crowd.writers = [writer]
        await writer.create()
        before = await told_in(crowd, writer, [*others, *slow])
        growth, whole, after = 0, Memory(running), []
        times = plan.times(short=1, long=20)
        for number in range(1, times + 1):
            memory = Memory(running)
            stalled = [asyncio.create_task(each.stall()) for each in slow]
            telling = asyncio.create_task(told_in(crowd, writer, others, memory))
            await crowd.until(lambda number=number: cut(running) == number * len(slow), "all are cut", 60)
            memory.watching = False  # from here on the readers are told what they missed
            growth = max(growth, memory.growth)
            await come_back(crowd, slow)  # at once: who reads on only seconds later finds the connection gone
            after += await telling
            await asyncio.gather(*stalled)
            last = read_last(running.database_url, rooms.table(stage.table))
            await crowd.until(lambda last=last: all(each.highest >= last for each in slow), "they recover")
        await crowd.settle()
        print(f"told in {brief(before)} before, {brief(after)} while {len(slow)} did not read;", end=" ")
        whole.look()
        print(f"the server grew by {growth / MIB:.1f} MiB meanwhile, by {whole.growth / MIB:.1f} MiB in all")
        assert growth < FLAT
        assert whole.growth < KEPT
        plan.conclude("readers that stop reading while they answer pings", times * len(slow), await crowd.check())


async def come_back(crowd: Crowd, slow: Sequence[Slow]) -> None:
    """They read what was sent to them before they were cut, and connect again."""
    connected = {each: each.connections for each in slow}
    for each in slow:
        each.gate.set()
    await crowd.until(lambda: all(each.connections > connected[each] for each in slow), "they are back")
    codes = [each.last_loss.args[1] for each in slow if isinstance(each, SlowCoreRaw) and each.last_loss]
    assert codes == [CloseCode.TOO_SLOW] * OF_EACH


def add_readers(crowd: Crowd) -> list[Client]:
    """Clients of the table that read; returns those that know positions."""
    stage, start = crowd.stage, read_head(crowd.cluster.database_url)
    core = [crowd.add(kind, stage.ann, stage.core(stage.ann), start) for kind in CORE]
    streams = [crowd.add(kind, stage.ann, stage.stream(), start) for kind in STREAMS]
    return [client for client in [*core, *streams] if client.continues]


def cut(cluster: Cluster) -> int:
    """How many readers were cut."""
    return sum(node.child.output.count(CUT) for node in cluster.nodes)


class Memory:
    """What the servers need more than at the beginning."""

    def __init__(self, cluster: Cluster) -> None:
        self.servers = [psutil.Process(node.child.pid) for node in cluster.nodes]
        self.first = [server.memory_info().rss for server in self.servers]
        self.growth = 0
        self.watching = True

    def look(self) -> None:
        for server, first in zip(self.servers, self.first, strict=True) if self.watching else ():
            self.growth = max(self.growth, server.memory_info().rss - first)


def brief(seconds: Sequence[float]) -> str:
    """The middle and the longest of some times."""
    return f"{statistics.median(seconds) * 1000:.0f} ms ({max(seconds) * 1000:.0f} at most)"


@asynccontextmanager
async def slow_readers(crowd: Crowd) -> AsyncIterator[list[Slow]]:
    """Some of each style."""
    stage, start = crowd.stage, read_head(crowd.cluster.database_url)
    connector = aiohttp.TCPConnector(limit=0, socket_factory=small_socket)
    async with aiohttp.ClientSession(connector=connector) as http:
        added = []
        for kind in SLOW * OF_EACH:
            interests = stage.stream() if kind is SlowEventStream else stage.core(stage.bob)
            added.append(crowd.add(kind, stage.bob, interests, start))
            added[-1].access = replace(crowd.access, http=http)
        yield [client for client in added if isinstance(client, Slow)]


async def told_in(
    crowd: Crowd, writer: LargeChanges, clients: Sequence[Client], memory: Memory | None = None
) -> list[float]:
    """Makes many changes; returns the times from each acknowledgement until the last of the clients knew."""
    times: list[float] = []
    room = rooms.table(crowd.stage.table)
    for _ in range(MANY):
        await writer.write()
        began = time.monotonic()
        last = read_last(crowd.cluster.database_url, room)
        await crowd.until(lambda last=last: all(each.highest >= last for each in clients), f"{last} is known", DEADLINE)
        times.append(time.monotonic() - began)
        if memory is not None:
            memory.look()
        await asyncio.sleep(max(PAUSE - times[-1], 0))  # ten megabytes a second, on a fast machine too
    return times
