"""kill -9, again and again, under writers and clients of every style: every committed change is told, none twice."""

import asyncio
from collections.abc import Iterator
from itertools import cycle, islice
from random import Random

from tests.faults.clients.sessions import CoreSession
from tests.faults.cluster import Cluster, Node
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, crowd_on

# Where the process dies: at a point of the code, or (None) wherever it happens to be.
MOMENTS = ("before_bell", None, "after_commit", "mid_delivery", "mid_replay", "before_session", None)
PASSES = {"mid_replay": 3, "before_session": 2}  # a point kills at one of the first so many passes
COMMONLY = 40
LONGEST = 1.0  # seconds until a blow that comes at no point


async def test_a_server_killed_at_any_moment_loses_nothing(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd:
        crowd.add_clients()
        crowd.add_writers()
        await crowd.begin()
        dropping = asyncio.create_task(crowd.keep_dropping(plan.chance, pause=0.2))  # so that there is what to replay
        times = plan.times(short=7, long=50)
        moments = islice(cycle(MOMENTS), times - len(running.nodes))
        await asyncio.gather(*(die_and_rise(node, moments, crowd, plan.chance) for node in running.nodes))
        dropping.cancel()
        await running.ready()
        await crowd.settle()
        plan.conclude("kill -9 between commit and bell, and at any other moment", times, await crowd.check())


async def die_and_rise(node: Node, moments: Iterator[str | None], crowd: Crowd, chance: Random) -> None:
    """Kills a node, then starts it so that it dies at the next of the moments, which all nodes share."""
    await blow(node, chance)
    for moment in moments:
        if moment is None:
            await node.start()
            await blow(node, chance)
        else:
            count = chance.randint(1, PASSES.get(moment, COMMONLY))
            await node.start(FAULT_POINTS=f"{moment}:kill:{count}")
            await reach(node, moment, crowd)
    await node.start()


async def blow(node: Node, chance: Random) -> None:
    await asyncio.sleep(chance.uniform(0, LONGEST))  # the moment is the fault
    await node.kill()


async def reach(node: Node, moment: str, crowd: Crowd) -> None:
    """Returns when the node died at its point. A session is written when somebody joins, so somebody does."""
    if moment != "before_session":
        await node.died()
        return
    coming = asyncio.create_task(crowd.keep_coming(CoreSession, pause=0.3))
    try:
        await node.died()
    finally:
        coming.cancel()
