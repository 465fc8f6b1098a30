"""Cursors from which nothing can go on: every style says so, instead of leaving a gap in silence."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from server.store.database import open_database
from server.store.log import bounds
from tests.faults.checker import Findings
from tests.faults.clients.newcomers import CORE
from tests.faults.clients.sessions import CoreSession, EventsSession, Session
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, crowd_on
from tests.faults.styles import newcomer, styles_of
from tests.faults.truth import read_head, read_log
from tests.support.commands import run

KEPT = 30  # events
RETENTION = {"RETENTION_EVENTS": str(KEPT), "HOUSEKEEPING_INTERVAL": "0.2"}
FUTURE = 1000  # events


@pytest.fixture
def forgetful(cluster: Cluster) -> Cluster:
    """Keeps few events."""
    for node in cluster.nodes:
        node.environ |= RETENTION
    return cluster


async def test_cursors_that_continue_nowhere(forgetful: Cluster, plan: Plan) -> None:
    async with running_cluster(forgetful), crowd_on(forgetful, plan.chance) as crowd:
        crowd.add_writers()
        head = read_head(forgetful.database_url)
        away = [await session(crowd, kind) for kind in (CoreSession, EventsSession) * 2]
        for each in away:
            await each.rest()
        for name, cursor in {"0": 0, "that is garbage": "nonsense", "from the future": head + FUTURE}.items():
            fresh = [await session(crowd, kind, str(cursor)) for kind in (CoreSession, EventsSession)]
            await expect_refresh(crowd, plan, name, cursor, fresh)
        await prune(crowd, head)
        await expect_refresh(crowd, plan, "that is too old", head, away[:2])
        head = read_head(forgetful.database_url)
        await begin_epoch(forgetful)
        await expect_refresh(crowd, plan, "of another epoch", head, away[2:])


async def session(crowd: Crowd, kind: type[Session], offset: str | None = None) -> Session:
    """A session that has joined its rooms, and then takes something else for its offset."""
    ann = crowd.stage.ann
    interests = crowd.stage.items() if kind is EventsSession else crowd.stage.core(ann)
    made = crowd.add(kind, ann, interests, read_head(crowd.cluster.database_url))
    assert isinstance(made, Session)
    made.start()
    await crowd.until(lambda: made.confirmed >= made.history.rooms, "the session joins")
    if offset is not None:
        await made.rest()
        made.offset = offset
    return made


async def expect_refresh(crowd: Crowd, plan: Plan, name: str, cursor: Any, sessions: Sequence[Session]) -> None:
    """Clients of all styles bring a cursor: each is told to refresh, no session goes on, and all hear what comes."""
    findings = Findings(committed=len(read_log(crowd.cluster.database_url).events))
    garbage = isinstance(cursor, str)
    # what is no number means for `replay_events` that there is no cursor, and only a position is wanted
    styles = [style for style in styles_of(crowd.stage) if not (garbage and style[0] in CORE)]
    clients = [newcomer(crowd, cursor, *style) for style in styles]
    pids = {each: each.pid for each in sessions}
    for each in [*clients, *sessions]:
        each.start()
    try:
        await crowd.until(lambda: all(client.refreshed for client in clients), "all are told to refresh")
        await crowd.until(lambda: all(each.confirmed >= each.history.rooms for each in sessions), "all join anew")
        await asyncio.gather(*(writer.create() for writer in crowd.writers[:4]))
        await crowd.until(lambda: all(client.told for client in clients), "all hear what comes")
    except TimeoutError as error:
        silent = [client.history.client for client in clients if not (client.refreshed and client.told)]
        findings.note("missing", f"{error}: {silent}")
    for each in sessions:
        if each.recovered or each.pid == pids[each]:
            findings.note("missing", f"{each.history.client} went on with {cursor}")
    for each in [*clients, *sessions]:
        await each.end()
    crowd.clients = [client for client in crowd.clients if client not in sessions]
    findings.told = len(clients) + len(sessions)
    plan.conclude(f"a cursor {name}: told to refresh", len(clients) + len(sessions), findings)


async def prune(crowd: Crowd, position: int) -> None:
    """Writes until an event above the position has left the log."""
    await crowd.write()
    db = open_database(crowd.cluster.database_url)
    try:
        await crowd.until(lambda: bounds(db).floor > position + len(crowd.writers), "the log is pruned")
    finally:
        db.close()
    await asyncio.gather(*(writer.stop() for writer in crowd.writers))


async def begin_epoch(cluster: Cluster) -> None:
    """As after a restored backup."""
    assert set(await cluster.stop()) == {0}
    await asyncio.to_thread(run, "new-epoch", DATABASE_URL=cluster.database_url)
    await asyncio.gather(*(node.start() for node in cluster.nodes))
    await cluster.ready()
