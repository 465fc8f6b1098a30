"""Reading the state, then subscribing from its position, while events fly: no gap and no double where the two meet."""

import asyncio
from dataclasses import replace

from tests.faults.checker import Findings, check_client, find
from tests.faults.clients.core_raw import CoreRaw
from tests.faults.clients.newcomers import Newcomer
from tests.faults.cluster import Cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, crowd_at_work, crowd_on
from tests.faults.history import History, Told
from tests.faults.styles import Style, newcomer, styles_of
from tests.faults.truth import Log, read_head, read_log
from tests.faults.writers import NamesWriter
from tests.support.app import PATIENCE

PACE = 0.004  # seconds between two writes of a writer: dense enough that something happens at every seam
AT_ONCE = 4  # newcomers
ENOUGH = 10  # events that a newcomer hears before it goes
BEHIND = 30  # events that one may be behind when it subscribes: some have read long ago


async def test_subscribing_while_events_fly(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd:
        crowd.add_writers(PACE)
        # a page with `since` says nothing of the rooms that a core socket hears anyway
        crowd.writers = [writer for writer in crowd.writers if not isinstance(writer, NamesWriter)]
        begun = read_head(running.database_url)  # Bob is a member since before
        await crowd.begin()
        styles = styles_of(crowd.stage)
        times = plan.times(short=3, long=60)
        turn = asyncio.Semaphore(AT_ONCE)
        newcomers = await asyncio.gather(*(visit(crowd, turn, begun, style) for style in styles * times))
        await crowd.settle()
        findings = await crowd.check()
        log = read_log(running.database_url)
        for newcomer in newcomers:
            findings.add(check_seam(log, newcomer.history))
        assert findings.refreshed == 0
        plan.conclude("subscribing with a position while events fly", len(newcomers), findings)


async def visit(crowd: Crowd, turn: asyncio.Semaphore, begun: int, style: Style) -> Newcomer:
    """One newcomer: reads, subscribes from there or from some events before, hears something, and goes."""
    async with turn:
        start = max(await read_position(crowd) - crowd.access.chance.randrange(BEHIND), begun)
        client = newcomer(crowd, start, *style)
        client.start()
        try:
            async with asyncio.timeout(PATIENCE):
                while client.told < ENOUGH and not client.failed:
                    await asyncio.sleep(0.01)
        finally:
            await client.end()
        return client


async def read_position(crowd: Crowd) -> int:
    """Where the log stood when the rows of the table were read."""
    answer = await crowd.stage.bob.request("GET", f"/api/database/rows/table/{crowd.stage.table}/")
    return int(answer.headers["Stream-Offset"])


def check_seam(log: Log, history: History) -> Findings:
    """Checks what one newcomer was told, up to where it went."""
    last = history.start
    for index, entry in enumerate(history.entries):
        if isinstance(entry, Told):
            position = entry.position or find(log, entry.key, last)
            history.entries[index] = replace(entry, position=position)
            last = max(last, position or 0)
    return check_client(Log(event for event in log.events if event.id <= last), history)


async def test_replay_events_for_a_baseline_while_events_fly(running: Cluster, plan: Plan) -> None:
    """What is committed between the subscription of the page and the first `replay_events` is told after it: everything
    above the position that the answer names."""
    async with crowd_at_work(running, plan.chance, pace=PACE) as crowd:
        times = plan.times(short=10, long=200)
        start = read_head(running.database_url)
        for _ in range(times):
            client = crowd.add(CoreRaw, crowd.stage.bob, crowd.stage.core(crowd.stage.bob), start)
            client.start()
            await crowd.until(lambda client=client: client.joined, "it joins")
        await crowd.settle()
        plan.conclude("a change between authentication and the first replay_events", times, await crowd.check())
