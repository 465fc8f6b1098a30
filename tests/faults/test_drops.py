"""Clients that lose their connection, or leave it half-open, at any moment and come back with their cursor."""

import asyncio

from tests.faults.cluster import Cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import crowd_on

PACE = 0.004  # seconds between two writes of a writer: dense enough that something happens at every seam
PAUSE = 0.03  # seconds between two drops, by and large


async def test_clients_dropped_at_random_have_histories_without_a_gap(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd:
        crowd.add_clients()
        crowd.add_writers(pace=PACE)
        await crowd.begin()
        times = plan.times(short=50, long=1000)
        dropping = asyncio.create_task(crowd.keep_dropping(plan.chance, PAUSE))
        await crowd.until(lambda: crowd.drops >= times, "enough drops", patience=times)
        dropping.cancel()
        await crowd.settle()
        findings = await crowd.check()
        plan.conclude("a client dropped or half-open, back with its cursor", crowd.drops, findings)
        assert findings.refreshed == 0, "everything could be continued"
