"""The bell between two processes' worth of relays, through a real Redis."""

import asyncio

import pytest
import redis.asyncio

from server.delivery import bell, redis_channels
from server.delivery.bell import RedisBell, unpack
from server.store.log import LoggedEvent
from tests.support.redis_server import RedisServer

PATIENCE = 10.0


class Ear:
    """What one process hears."""

    def __init__(self, url: str, channel: str = "bell") -> None:
        self.heard: list[int] = []
        self.changed = asyncio.Event()
        self.wakes = 0
        self.bell = RedisBell(self.hear, self.wake, url, channel)

    def hear(self, events: object) -> None:
        self.heard += [event.id for event in events]  # type: ignore[attr-defined]
        self.changed.set()

    def wake(self) -> None:
        self.wakes += 1
        self.changed.set()

    async def until(self, condition: object) -> None:
        while not condition():  # type: ignore[operator]
            self.changed.clear()
            await asyncio.wait_for(self.changed.wait(), PATIENCE)


def event(number: int, size: int = 2) -> LoggedEvent:
    return LoggedEvent(number, "x", ("core:table:1",), b"x" * size, None)


async def test_what_one_process_rings_the_others_hear(redis_url: str) -> None:
    one, two, stranger = Ear(redis_url), Ear(redis_url), Ear(redis_url, "another deployment")
    for ear in (one, two, stranger):
        await ear.bell.start()
        await ear.until(lambda ear=ear: ear.wakes == 1)  # the subscription stands
    for number in (1, 2):
        one.bell.ring([event(number)])
    assert one.heard == [1, 2], "straight, without Redis"
    await two.until(lambda: two.heard == [1, 2])
    two.bell.ring([event(3, size=300 << 10)])
    await one.until(lambda: one.wakes == 2)  # too large to carry: look at the log
    assert stranger.heard == []
    for ear in (one, two, stranger):
        await ear.bell.stop()


async def test_what_is_committed_within_a_moment_is_announced_together(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "APART", 3600.0)
    monkeypatch.setattr(redis_channels, "FLUSH_TIMEOUT", PATIENCE)
    ear = Ear(redis_url)
    async with redis.asyncio.Redis.from_url(redis_url) as client, client.pubsub() as heard:
        await heard.subscribe("bell")
        messages = (unpack(message["data"]) async for message in heard.listen() if message["type"] == "message")
        await ear.bell.start()
        await ear.until(lambda: ear.wakes == 1)
        for size in (2, 2, 2, 40 << 10, 40 << 10, 2):
            ear.bell.ring([event(len(ear.heard) + 1, size=size)])
        ear.bell.ring([event(7), event(8)])
        ending = asyncio.create_task(ear.bell.stop())
        await asyncio.sleep(0)
        for number in (9, 10):
            ear.bell.ring([event(number)])
        await ending
        async with asyncio.timeout(PATIENCE):
            together = [[event.id for event in await anext(messages)] for _ in range(5)]
        assert together[:3] == [[1], [2, 3, 4], [5, 6, 7, 8]], "the first at once, the others as many as can be carried"
        assert together[3:] == [[9], [10]], "at the end nothing waits"


async def test_a_message_that_nobody_understands_only_has_the_log_looked_at(redis_url: str) -> None:
    ear = Ear(redis_url)
    await ear.bell.start()
    await ear.until(lambda: ear.wakes == 1)
    async with redis.asyncio.Redis.from_url(redis_url) as stranger:
        for garbage in (b"garbage", b"[[1]]\n", b"\xff"):
            await stranger.publish("bell", garbage)
    await ear.until(lambda: ear.wakes == 4)
    ear.bell.ring([event(1)])
    assert ear.heard == [1]
    assert ear.bell.connected
    await ear.bell.stop()


async def test_a_redis_that_does_not_answer_is_noticed(
    redis_url: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_channels, "LISTEN_TIMEOUT", 0.2)
    ear = Ear(redis_url)
    await ear.bell.start()
    await ear.until(lambda: ear.wakes == 1)
    await asyncio.to_thread(redis_server.pause)
    async with asyncio.timeout(PATIENCE):
        while ear.bell.connected:
            await asyncio.sleep(0.01)
    await asyncio.to_thread(redis_server.resume)
    await ear.until(lambda: ear.wakes >= 2)  # it listens again, and looks at the log for what it missed
    await ear.bell.stop()


async def test_a_redis_that_is_away_silences_nobody_at_home(redis_url: str) -> None:
    unreachable = Ear("redis://127.0.0.1:1")
    await unreachable.bell.start()
    for number in range(2000):
        unreachable.bell.ring([event(number)])
    assert len(unreachable.heard) == 2000
    assert not unreachable.bell.connected
    await unreachable.bell.stop()
