"""Several channels over one Redis: who hears what, and what a Redis in trouble does to them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from server.delivery.redis_channels import RedisChannels

PATIENCE = 10.0


class Ears:
    """Channels `one` and `two`, and what was heard on them; `two` cannot bear the message `boom`."""

    def __init__(self, url: str, capacity: int = 256) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.subscribed: list[str] = []
        self.channels = RedisChannels(url, capacity)
        for name in ("one", "two"):
            self.channels.listen(name, lambda data, name=name: self.take(name, data), self.note(name))

    def take(self, name: str, data: bytes) -> None:
        if (name, data) == ("two", b"boom"):
            raise RuntimeError("boom")
        self.heard.append((name, data))

    def note(self, name: str) -> Callable[[], None]:
        return lambda: self.subscribed.append(name)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def ears(redis_url: str) -> AsyncIterator[Ears]:
    ears = Ears(redis_url)
    await ears.channels.start()
    await until(lambda: ears.channels.connected)
    yield ears
    await ears.channels.stop()


async def test_each_channel_is_heard_by_its_listener_and_in_order(ears: Ears) -> None:
    assert sorted(ears.subscribed) == ["one", "two"]
    sent = [(name, b"%d" % number) for number in range(50) for name in ("one", "two")]
    for name, message in sent:
        assert ears.channels.publish(name, message)
    assert ears.channels.publish("three", b"for somebody else")
    await until(lambda: len(ears.heard) == len(sent))
    assert ears.heard == sent


async def test_a_message_that_cannot_be_handled_costs_that_message_only(
    ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    for message in (b"boom", b"after"):
        ears.channels.publish("two", message)
    await until(lambda: ears.heard == [("two", b"after")])
    assert "could not be handled" in caplog.text
    assert len(ears.subscribed) == 2, "the connection stood"


async def test_a_listener_that_was_kicked_is_told_when_it_hears_again(ears: Ears, redis_url: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        await admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: sorted(ears.subscribed) == ["one", "one", "two", "two"])
    ears.channels.publish("one", b"again")
    await until(lambda: ears.heard == [("one", b"again")])


async def test_a_publisher_that_was_kicked_loses_nothing(ears: Ears, redis_url: str) -> None:
    ears.channels.publish("one", b"before")
    await until(lambda: len(ears.heard) == 1)
    async with redis.asyncio.Redis.from_url(redis_url) as admin:
        await admin.execute_command("CLIENT", "KILL", "TYPE", "normal")
    ears.channels.publish("one", b"after")
    await until(lambda: ears.heard == [("one", b"before"), ("one", b"after")])


async def test_the_last_words_are_sent(ears: Ears, redis_url: str) -> None:
    speaker = Ears(redis_url)
    await speaker.channels.start()
    await until(lambda: speaker.channels.connected)
    for number in range(100):
        speaker.channels.publish("one", b"%d" % number)
    await speaker.channels.stop()
    await until(lambda: ears.heard == [("one", b"%d" % number) for number in range(100)])


async def test_what_redis_does_not_take_is_dropped_the_optional_first(redis_url: str) -> None:
    channels = Ears(redis_url, capacity=10).channels  # not started: nobody takes anything
    assert [channels.publish("one", b"x", optional=True) for _ in range(6)] == [True] * 5 + [False]
    assert [channels.publish("one", b"x") for _ in range(6)] == [True] * 5 + [False]
    assert not channels.connected
    await channels.stop()
