"""SIGTERM while hundreds of sockets are open and requests run: an end in order, after which everybody goes on."""

import asyncio
import time

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import crowd_at_work
from tests.faults.test_storms import holding

SOCKETS = 500
IN_TIME = 20.0  # seconds
SPREAD = "1"  # seconds over which the sockets are closed


async def test_sigterm_with_open_sockets_and_running_writes(cluster: Cluster, plan: Plan) -> None:
    for node in cluster.nodes:
        node.environ["SHUTDOWN_SPREAD"] = SPREAD
    async with running_cluster(cluster), crowd_at_work(cluster, plan.chance, rounds=2) as crowd:
        stage = crowd.stage
        times = plan.times(short=1, long=20)
        for number in range(times):
            node = cluster.nodes[number % len(cluster.nodes)]
            with holding(node.url, [stage.table], stage.bob.token, SOCKETS - len(crowd.clients)) as holders:
                await asyncio.to_thread(holders.wait_line, "holding", 60)
                await crowd.after_writes(20)
                began = time.monotonic()
                assert await node.stop() == 0, node.output[-1]
                assert time.monotonic() - began < IN_TIME
                print(f"stopped within {time.monotonic() - began:.1f} s")
            await node.start()
        await crowd.settle()
        plan.conclude(f"SIGTERM with {SOCKETS} sockets and running writes", times, await crowd.check())
