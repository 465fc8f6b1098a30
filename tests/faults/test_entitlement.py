"""Memberships that end and begin while events fly: nothing is told that was not to be heard, live or replayed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.faults.clients.members import CORE, STREAMS, Member, MemberEventsSession
from tests.faults.cluster import Cluster
from tests.faults.conftest import Plan
from tests.faults.crowd import PACE, Crowd, crowd_on
from tests.faults.truth import read_head
from tests.support.app import Person

WRITES = 30  # between two changes of a membership


async def test_a_membership_removed_while_events_fly(running: Cluster, plan: Plan) -> None:
    async with crowd_with_a_guest(running, plan) as (crowd, carol, guests):
        dropping = asyncio.create_task(crowd.keep_dropping(plan.chance, pause=0.1))
        times = plan.times(short=1, long=15)
        for number in range(times):
            if number:
                await admit(crowd, carol, guests)
            await remove(crowd, carol, guests)
        dropping.cancel()
        crowd.clients = [client for client in crowd.clients if client not in guests]
        await crowd.settle()
        crowd.clients += guests
        plan.conclude("a membership removed while events fly", times, await crowd.check())


async def test_a_member_removed_and_admitted_again(running: Cluster, plan: Plan) -> None:
    """Nothing of the time between is told, whatever cursor the clients bring."""
    async with crowd_with_a_guest(running, plan) as (crowd, carol, guests):
        dropping = asyncio.create_task(crowd.keep_dropping(plan.chance, pause=0.1))
        times = plan.times(short=2, long=15)
        for _ in range(times):
            await remove(crowd, carol, guests)
            await admit(crowd, carol, guests)
        dropping.cancel()
        await crowd.settle()
        plan.conclude("a member removed and admitted again", times, await crowd.check())


async def test_a_member_away_while_removed_and_admitted_again(running: Cluster, plan: Plan) -> None:
    """The clients notice nothing of it but what the server tells when they are back."""
    async with crowd_with_a_guest(running, plan) as (crowd, carol, guests):
        times = plan.times(short=2, long=30)
        for _ in range(times):
            for guest in guests:
                await guest.rest()
            await crowd.stage.expel(carol)
            await crowd.after_writes(WRITES)
            await crowd.stage.ann.invite(carol, crowd.stage.workspace)
            await crowd.after_writes(WRITES)
            for guest in guests:
                guest.start()
            await crowd.until(lambda: all(guest.confirmed >= guest.history.rooms for guest in guests), "all are in")
            await crowd.after_writes(WRITES)
        await crowd.settle()
        plan.conclude("a member removed and admitted again while away", times, await crowd.check())


@asynccontextmanager
async def crowd_with_a_guest(cluster: Cluster, plan: Plan) -> AsyncIterator[tuple[Crowd, Person, list[Member]]]:
    """A crowd at work, and Carol's clients of all styles among it."""
    async with crowd_on(cluster, plan.chance) as crowd:
        stage = crowd.stage
        carol = await stage.welcome("Carol")
        start = read_head(cluster.database_url)
        added = [crowd.add(kind, carol, stage.core(carol), start) for kind in CORE]
        added += [crowd.add(kind, carol, stage.stream(), start) for kind in STREAMS]
        added.append(crowd.add(MemberEventsSession, carol, stage.items(), start))
        crowd.add_clients(rounds=1)
        crowd.add_writers(PACE)
        await crowd.begin()
        yield crowd, carol, [client for client in added if isinstance(client, Member)]


async def remove(crowd: Crowd, who: Person, guests: list[Member]) -> None:
    """Ends a membership; returns when all clients know it, and others have written."""
    await crowd.after_writes(WRITES)
    await crowd.stage.expel(who)
    await crowd.until(lambda: all(guest.is_out for guest in guests), "all are out")
    await crowd.after_writes(WRITES)


async def admit(crowd: Crowd, who: Person, guests: list[Member]) -> None:
    """Begins a membership; returns when all clients are in, and others have written."""
    await crowd.stage.ann.invite(who, crowd.stage.workspace)
    await crowd.until(lambda: not any(guest.is_out for guest in guests), "all are in")
    await crowd.after_writes(WRITES)
