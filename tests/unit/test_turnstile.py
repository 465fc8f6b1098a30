"""The turnstile: so many a turn of the loop, in order, and nobody forgotten."""

import asyncio

import pytest

from server.delivery.turnstile import Turnstile


async def test_so_many_pass_in_one_turn_and_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.turnstile.WIDTH", 3)
    turnstile, passed, turns = Turnstile(), [], [0]

    async def leave(number: int) -> None:
        await turnstile.wait()
        passed.append((turns[0], number))

    tasks = [asyncio.create_task(leave(number)) for number in range(10)]
    tasks[5].cancel()
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        turns[0] += 1
    assert [number for _, number in passed] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    in_one_turn = [sum(turn == one for turn, _ in passed) for one in range(turns[0])]
    assert max(in_one_turn) == 3


def test_a_loop_that_ended_in_the_middle_of_a_turn_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.turnstile.WIDTH", 1)
    turnstile = Turnstile()

    async def leave_and_die() -> None:
        await turnstile.wait()
        asyncio.ensure_future(turnstile.wait())  # noqa: RUF006 (it dies with the loop)

    async def leave() -> None:
        await asyncio.wait_for(turnstile.wait(), 10)

    for _ in range(3):
        asyncio.run(leave_and_die())
        asyncio.run(leave())
