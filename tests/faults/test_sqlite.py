"""A SQLite file that two processes write, that cannot grow, and that must not be written."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.store.database import BUSY_TIMEOUT
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, connections, crowd_at_work
from tests.faults.state import check_rows
from tests.faults.writers import RowsWriter

SOON = 5.0  # seconds in which everybody has caught up
HELD = BUSY_TIMEOUT + 0.5  # seconds: SQLite's own patience is over, and the action has to run again
WRITTEN = 4096  # bytes: less than any file of a database has, so nothing can be added to one
ROOM = 200_000  # bytes that are left at most on a disk that is about to be full
ENOUGH = 100  # writes that do not fit into that, unless SQLite begins its file anew
BATCH = 100  # rows


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "faults.sqlite3"


@pytest.fixture
def cluster(file: Path, request: pytest.FixtureRequest) -> Cluster:
    return Cluster(f"sqlite:///{file}", nodes=getattr(request, "param", 1))


@pytest.mark.parametrize("cluster", [2], indirect=True)
async def test_two_processes_write_one_file(running: Cluster, plan: Plan, file: Path) -> None:
    """Neither hears the other but by looking at the log; whoever finds the file locked tries again."""
    async with crowd_at_work(running, plan.chance) as crowd:
        dropping = asyncio.create_task(crowd.keep_dropping(plan.chance, pause=0.1))
        times = plan.times(short=1, long=10)
        for _ in range(times):
            await crowd.after_writes(200)
            with locked(file):
                await asyncio.sleep(HELD)
        await crowd.after_writes(20)
        dropping.cancel()
        await crowd.settle(SOON)
        assert crowd.refused == 0
        plan.conclude(
            "two processes on one file, which is locked for longer than SQLite waits", times, await crowd.check()
        )


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Somebody else writes, and takes long."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=BUSY_TIMEOUT)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def test_disk_full(running: Cluster, plan: Plan, file: Path) -> None:
    """Files that cannot grow behave as a full disk does, for any user: a write fails somewhere in its midst."""
    process = psutil.Process(running.nodes[0].child.pid)
    async with crowd_at_work(running, plan.chance) as crowd:
        add_writer_of_batches(crowd)
        connected = connections(crowd)
        times = plan.times(short=3, long=40)
        for _ in range(times):
            limit(process, log_of(file).stat().st_size + plan.chance.randrange(ROOM))
            full, refused = crowd.written + ENOUGH, crowd.refused
            await crowd.until(
                lambda full=full, refused=refused: crowd.written > full or crowd.refused > refused, "it is full"
            )
            limit(process, WRITTEN)
            await crowd.all_refused()
            await running.says(database=True)
            limit(process, psutil.RLIM_INFINITY)
            await crowd.after_writes(20)
        await conclude(crowd, plan, "a full disk", times)
        assert connections(crowd) == connected, "sockets stay open"


class BatchWriter(RowsWriter):
    """Many pages in one transaction."""

    async def write(self) -> None:
        def items(mark: str) -> Any:
            return {"items": [{self.field: f"{mark}/{number}"} for number in range(BATCH)]}

        mark, made = await self.ask("POST", self.path + "batch/", items)
        for number, row in enumerate(made["items"]):
            self.acknowledge("rows_created", row["id"], f"{mark}/{number}")


def add_writer_of_batches(crowd: Crowd) -> None:
    stage = crowd.stage
    writer = BatchWriter("batch", crowd.access, stage.ann.token, stage.table, stage.field)
    crowd.writers.append(writer)
    writer.start()


def log_of(file: Path) -> Path:
    """Where SQLite writes first."""
    return file.with_name(file.name + "-wal")


def limit(process: psutil.Process, size: int) -> None:
    """How large files may be that the process writes."""
    process.rlimit(psutil.RLIMIT_FSIZE, (size, psutil.RLIM_INFINITY))


async def test_a_read_only_database(cluster: Cluster, plan: Plan, file: Path) -> None:
    """A disk that fails is mounted anew for reading only: first writes fail, then the files open for reading only."""
    cluster.nodes[0].module = "tests.support.powerless"
    async with running_cluster(cluster), crowd_at_work(cluster, plan.chance) as crowd:
        process = psutil.Process(cluster.nodes[0].child.pid)
        times = plan.times(short=1, long=10)
        for _ in range(times):
            for each in file.parent.glob(file.name + "*"):
                each.chmod(0o444)
            limit(process, WRITTEN)
            await crowd.all_refused()
            limit(process, psutil.RLIM_INFINITY)
            await crowd.all_refused()
            await cluster.says(database=True)
            for each in file.parent.glob(file.name + "*"):
                each.chmod(0o644)
            await crowd.after_writes(20)
        assert "readonly" in cluster.nodes[0].child.output
        await conclude(crowd, plan, "a read-only database", times)


async def conclude(crowd: Crowd, plan: Plan, fault: str, times: int) -> None:
    """Everybody has heard everything, and no change is half there."""
    await crowd.settle(SOON)
    findings = await check_rows(crowd)
    findings.add(await crowd.check())
    plan.conclude(fault, times, findings)
