"""What was not committed is told nowhere and leaves nothing."""

from typing import Any

import aiohttp

from tests.faults.clients.base import EVENTS
from tests.faults.cluster import Cluster, Node
from tests.faults.conftest import Plan
from tests.faults.crowd import Crowd, crowd_on
from tests.faults.truth import read_log


async def test_a_refused_action_is_told_nowhere(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd:
        await begin_quietly(crowd)
        events, before = told_events(crowd), await rows(crowd)
        field = f"field_{crowd.stage.field}"
        for _ in range(plan.times(short=3, long=30)):
            unreadable: list[dict[str, Any]] = [{field: "good"}, {field: {"not": "a text"}}]
            assert await create(crowd, unreadable, crowd.access.url()) == 400
        await nothing_was_told(crowd, plan, events, before, "an action refused halfway", plan.times(short=3, long=30))


async def test_an_action_that_dies_before_its_commit_is_told_nowhere(running: Cluster, plan: Plan) -> None:
    async with crowd_on(running, plan.chance) as crowd:
        await begin_quietly(crowd)
        events, before = told_events(crowd), await rows(crowd)
        times = plan.times(short=1, long=10)
        for _ in range(times):
            node = plan.chance.choice(running.nodes)
            await node.kill()
            await die_writing(crowd, node)
            await node.start()
        await running.ready()
        await nothing_was_told(crowd, plan, events, before, "kill -9 before the commit", times)


async def die_writing(crowd: Crowd, node: Node) -> None:
    """A dead node starts and dies while it serves a write. Its first commit may be another one, of a session that comes
    back: then the write finds nobody there, and the node starts once more."""
    while True:
        await node.start(FAULT_POINTS="before_commit:kill:1")
        try:
            await create(crowd, [{f"field_{crowd.stage.field}": "lost"}], node.url)
            raise AssertionError("the write was answered")
        except aiohttp.ServerDisconnectedError:
            return await node.died()
        except aiohttp.ClientConnectionError:
            await node.died()


async def begin_quietly(crowd: Crowd) -> None:
    """Clients that hear something when the writers begin, which then stop."""
    crowd.add_clients(rounds=1)
    crowd.add_writers()
    await crowd.begin()
    await crowd.settle()


async def nothing_was_told(crowd: Crowd, plan: Plan, events: list[int], before: Any, fault: str, times: int) -> None:
    """The log and the table are as before, and no client was told what is not in the log."""
    assert told_events(crowd) == events
    assert await rows(crowd) == before
    await crowd.write()  # what is told now comes after all that was told before
    await crowd.settle()
    plan.conclude(fault, times, await crowd.check())


def told_events(crowd: Crowd) -> list[int]:
    """Ids of what the log holds for clients; sessions that come back leave control events."""
    log = read_log(crowd.cluster.database_url)
    return [event.id for event in log.events if event.type in EVENTS]


async def rows(crowd: Crowd) -> Any:
    """The rows of the table as REST shows them."""
    stage, access = crowd.stage, crowd.access
    url = f"{access.url()}/api/database/rows/table/{stage.table}/"
    async with access.http.get(url, headers={"Authorization": f"JWT {stage.ann.token}"}) as response:
        return await response.json()


async def create(crowd: Crowd, items: list[dict[str, Any]], url: str) -> int:
    """Several rows in one request; the status."""
    stage, access = crowd.stage, crowd.access
    path = f"{url}/api/database/rows/table/{stage.table}/batch/"
    headers = {"Authorization": f"JWT {stage.ann.token}"}
    async with access.http.post(path, json={"items": items}, headers=headers) as response:
        return response.status
