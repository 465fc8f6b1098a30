"""Turns: parties alternate, nobody is forgotten, and no place is lost, whenever somebody stops waiting."""

import asyncio
import random

from server.sandbox.turns import Turns


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_parties_take_turns_however_many_calls_one_of_them_makes() -> None:
    turns, order, begin = Turns(1), [], asyncio.Event()

    async def call(whose: str) -> None:
        async with turns.turn(whose):
            order.append(whose)
            await begin.wait()

    tasks = []
    for whose in (*["many"] * 6, "one", "two", "two"):
        tasks.append(asyncio.create_task(call(whose)))
        await settle()
    begin.set()
    await asyncio.gather(*tasks)
    assert order == ["many", "many", "one", "two", "many", "two", "many", "many", "many"]
    assert turns.free == 1 and not turns.lines


async def test_no_place_is_lost_by_those_who_stop_waiting() -> None:
    """Cancelled before, while and after they were given their place."""
    turns, chance, most = Turns(3), random.Random(1), 0

    async def call(whose: str) -> None:
        nonlocal most
        async with turns.turn(whose):
            most = max(most, 3 - turns.free)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)

    for _ in range(50):
        tasks = [asyncio.create_task(call(chance.choice("abc"))) for _ in range(12)]
        for task in chance.sample(tasks, 6):
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert turns.free == 3 and not turns.lines
    assert most == 3


async def test_who_was_given_a_place_and_is_cancelled_in_the_same_moment_passes_it_on() -> None:
    turns = Turns(1)

    async def call(held: asyncio.Event) -> None:
        async with turns.turn("a"):
            await held.wait()

    first, never = asyncio.Event(), asyncio.Event()
    holder, waiting, last = (asyncio.create_task(call(event)) for event in (first, never, first))
    await settle()
    first.set()
    while not holder.done():
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(last, waiting, return_exceptions=True)
    assert waiting.cancelled() and turns.free == 1
