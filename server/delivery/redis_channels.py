"""Redis pub/sub for several users of one process: one connection that publishes, one that listens.

Invariants: publishing never waits, and what Redis does not take in time is dropped, so nothing sent here may matter;
a Redis that went silent is noticed, and every time a channel is subscribed anew its listener is told, since it may
have missed anything before. A message that its listener cannot handle costs that message only.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

CAPACITY = 256  # messages waiting for a Redis that does not answer
LISTEN_TIMEOUT = 2.0  # seconds of silence after which the listener asks Redis for a sign of life, and waits as long
RETRY_PAUSE = 0.5  # seconds between attempts to reach Redis
CANCEL_PAUSE = 0.05  # seconds
FLUSH_TIMEOUT = 1.0  # seconds in which the last messages may go out at the end
logger = logging.getLogger(__name__)


class Listener(NamedTuple):
    """What one channel calls: `take` with each message, `subscribed` each time the subscription stands (again)."""

    take: Callable[[bytes], None]
    subscribed: Callable[[], None]


class RedisChannels:
    """Channels of one Redis; name the listeners before `start`."""

    def __init__(self, url: str, capacity: int = CAPACITY) -> None:
        # one retry at once: it repairs a connection that Redis closed meanwhile, and tells soon when Redis is away
        retry = Retry(NoBackoff(), 1)
        self._redis: Any = redis.asyncio.Redis.from_url(url, socket_timeout=5, socket_keepalive=True, retry=retry)
        self._listeners: dict[str, Listener] = {}
        self._subscribed: set[str] = set()
        self._outbox: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(capacity)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def connected(self) -> bool:
        """True while every channel is heard."""
        return self._subscribed == self._listeners.keys()

    def listen(self, name: str, take: Callable[[bytes], None], subscribed: Callable[[], None]) -> None:
        """Has `take` called with every message of the channel, our own too, and `subscribed` whenever the
        subscription stands anew: what was sent before it is not heard."""
        self._listeners[name] = Listener(take, subscribed)

    def publish(self, name: str, message: bytes, *, optional: bool = False) -> bool:
        """Queues a message; False when it is dropped because too many wait. An optional one is dropped as soon as
        half of the places are taken, so that it never costs one that is not."""
        waiting = self._outbox.qsize()
        if waiting >= (self._outbox.maxsize // 2 if optional else self._outbox.maxsize):
            return False
        self._outbox.put_nowait((name, message))
        return True

    async def start(self) -> None:
        """Begins to publish and to listen; does not wait for Redis."""
        self._tasks = [asyncio.create_task(self._publish()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        """Sends what still waits, if Redis takes it soon, and ends."""
        if self.connected and self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT):
                    await self._outbox.join()
        await self.abort()

    async def abort(self) -> None:
        """Ends at once; what waits is dropped."""
        running = {task for task in self._tasks if not task.done()}
        while running:  # the library takes a cancellation that comes while it connects for a timeout, and goes on
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_PAUSE)
        self._tasks.clear()
        await self._redis.aclose()

    async def _publish(self) -> None:
        failing = False
        while True:
            name, message = await self._outbox.get()
            try:
                await self._redis.publish(name, message)
                failing = False
            except (RedisError, OSError) as error:
                if not failing:
                    logger.warning("Redis takes no messages: %s", error)
                failing = True
            finally:
                self._outbox.task_done()

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_all()
            except (RedisError, OSError) as error:
                logger.warning("Redis is not heard: %s", error)
            finally:
                self._subscribed.clear()
            await asyncio.sleep(RETRY_PAUSE)

    async def _hear_all(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=False) as channels:
            await channels.subscribe(*self._listeners)
            asked = False
            while True:
                message = await channels.get_message(timeout=LISTEN_TIMEOUT)
                if message is None:
                    if asked:
                        raise ConnectionError("Redis does not answer")
                    await channels.ping()
                    asked = True
                    continue
                asked = False
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        name = message["channel"].decode() if message["channel"] else ""  # a pong has none
        listener = self._listeners.get(name)
        if listener is None:
            return
        try:
            if message["type"] == "subscribe":
                self._subscribed.add(name)
                listener.subscribed()
            elif message["type"] == "message":
                listener.take(message["data"])
        except Exception:  # the other channels are still to be heard
            logger.exception("a message on %s could not be handled", name)
