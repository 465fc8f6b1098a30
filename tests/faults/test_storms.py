"""Thousands of sockets that drop at once: the event loop turns on, and the others are told everything."""

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, crowd_at_work
from tests.support.commands import ROOT
from tests.support.processes import Child

SOCKETS, FEWER = 5000, 1500  # in a long run, in the short form
TABLES = 50  # not everybody looks at the same page
LONGEST = 5  # times a million additions in Python: how long a turn of the event loop may keep the processor
SPARE = 500  # file descriptors of a process for other things; sockets that are not of the storm
PATIENCE = 120.0  # seconds until all are connected, or gone
STYLES = "classic,modern,socketio,stream"
QUIET = {"PING_INTERVAL": "60", "PING_TIMEOUT": "60", "HEARTBEAT": "120"}  # nobody answers pings


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    cluster = Cluster(f"sqlite:///{tmp_path}/faults.sqlite3", MAX_CONNECTIONS_PER_USER="0", **QUIET)
    cluster.nodes[0].module = "tests.support.probed"
    return cluster


@pytest.fixture
def allowed(plan: Plan) -> Iterator[int]:
    """How many sockets a process may have that is started from here: as many as are wanted, if the machine lets it."""
    before, wanted = resource.getrlimit(resource.RLIMIT_NOFILE), (SOCKETS if plan.seconds else FEWER) + SPARE
    hard = wanted if before[1] == resource.RLIM_INFINITY else min(wanted, before[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, before[0]), before[1]))
    yield hard - SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_thousands_of_sockets_drop_at_once(cluster: Cluster, plan: Plan, allowed: int) -> None:
    async with running_cluster(cluster), crowd_at_work(cluster, plan.chance, pace=0.05) as crowd:
        base = await crowd.stage.ann.database(crowd.stage.workspace)
        tables = [await crowd.stage.ann.table(base, f"Table {number}") for number in range(TABLES)]
        times = plan.times(short=1, long=10)
        for _ in range(times):
            with holding(cluster.urls[0], tables, crowd.stage.ann.token, allowed) as holders:
                await asyncio.to_thread(holders.wait_line, f"holding {allowed}", PATIENCE)
                await probe(crowd, "?collect=1")  # what connecting left, which takes hundreds of milliseconds
                await asyncio.to_thread(holders.kill)
                longest, busiest = await until_gone(crowd)
                unit = await asyncio.to_thread(million_additions)
            print(f"{allowed} sockets gone: {longest:.3f} s, of them busy {busiest:.3f} s; unit {unit:.3f} s")
            assert busiest < LONGEST * unit
        await crowd.settle()
        plan.conclude(f"{allowed:,} sockets drop at once", times, await crowd.check())


def million_additions() -> float:
    """The processor time, in seconds, that they take just now: machines are not alike, nor are their hours."""
    began, total = time.thread_time(), 0
    for number in range(1_000_000):
        total += number
    return time.thread_time() - began


@contextmanager
def holding(url: str, tables: list[int], token: str, count: int) -> Iterator[Child]:
    """A process with so many sockets of all styles, which end with it."""
    argv = [sys.executable, "-m", "tests.faults.holders", url, json.dumps(tables), STYLES, str(count)]
    with Child(argv, env={**os.environ, "PYTHONPATH": str(ROOT), "TOKEN": token}, cwd="/") as child:
        yield child


async def probe(crowd: Crowd, query: str = "") -> tuple[float, float, int]:
    """The longest and the busiest turn of the loop since this was asked before, in seconds; how many sockets are left.

    Other processes of the machine can make a turn long, but not busy."""
    async with crowd.access.http.get(crowd.cluster.urls[0] + "/probe" + query) as response:
        seen = await response.json()
        return seen["longest"], seen["busiest"], seen["sockets"]


async def until_gone(crowd: Crowd) -> tuple[float, float]:
    """Returns when the node has forgotten the sockets; the longest and the busiest turn meanwhile."""
    seen: list[tuple[float, float, int]] = []
    async with asyncio.timeout(PATIENCE):
        while not seen or seen[-1][2] > SPARE:
            seen.append(await probe(crowd))
    return max(turn[0] for turn in seen), max(turn[1] for turn in seen)
