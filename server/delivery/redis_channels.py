"""Redis pub/sub for several users of one process: one connection that publishes, one that listens.

Invariants: publishing never waits, and what Redis does not take in time is dropped, so nothing sent here may matter;
what was sent and not answered is sent again on the next connection. A Redis that went silent is noticed, and every time
a channel is subscribed anew its listener is told, since it may have missed anything before. A message that its
listener cannot handle costs that message only.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from redis.exceptions import RedisError

from server.delivery.redis_line import Line, Reply, command, open_line

CAPACITY = 256  # messages waiting for a Redis that does not answer
LISTEN_TIMEOUT = 2.0  # seconds of silence after which the listener asks Redis for a sign of life, and waits as long
RETRY_PAUSE = 0.5  # seconds between attempts to reach Redis
CANCEL_PAUSE = 0.05  # seconds
FLUSH_TIMEOUT = 1.0  # seconds in which the last messages may go out at the end
PING = command(b"PING")
Converse: TypeAlias = Callable[[Line], Awaitable[None]]
logger = logging.getLogger(__name__)


class Listener(NamedTuple):
    """What one channel calls: `take` with each message, `subscribed` each time the subscription stands (again)."""

    take: Callable[[bytes], None]
    subscribed: Callable[[], None]


class RedisChannels:
    """Channels of one Redis; name the listeners before `start`."""

    def __init__(self, url: str, capacity: int = CAPACITY) -> None:
        self._url = url
        self._capacity = capacity
        self._listeners: dict[str, Listener] = {}
        self._subscribed: set[str] = set()
        self._unanswered: deque[bytes] = deque()  # commands
        self._answered = asyncio.Event()
        self._speaker: Line | None = None
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
        """Sends a message; False when it is dropped because too many wait. An optional one is dropped as soon as half
        of the places are taken, so that it never costs one that is not."""
        if len(self._unanswered) >= (self._capacity // 2 if optional else self._capacity):
            return False
        published = command(b"PUBLISH", name.encode(), message)
        self._unanswered.append(published)
        if self._speaker is not None:
            self._speaker.write(published)
        return True

    async def start(self) -> None:
        """Begins to publish and to listen; does not wait for Redis."""
        self._tasks = [
            asyncio.create_task(self._keep(self._count, self._publish, "Redis takes no messages")),
            asyncio.create_task(self._keep(self._take, self._listen, "Redis is not heard")),
        ]

    async def stop(self) -> None:
        """Sends what still waits, if Redis takes it soon, and ends."""
        if self.connected and self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT):
                    while self._unanswered:
                        self._answered.clear()
                        await self._answered.wait()
        await self.abort()

    async def abort(self) -> None:
        """Ends at once; what waits is dropped."""
        running = {task for task in self._tasks if not task.done()}
        while running:  # the library takes a cancellation that comes while it connects for a timeout, and goes on
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_PAUSE)
        self._tasks.clear()

    async def _keep(self, hear: Callable[[Reply], None], converse: Converse, trouble: str) -> None:
        """Opens a line again whenever it ended; a trouble that lasts is logged once."""
        told = False
        while True:
            try:
                async with open_line(self._url, hear) as line:
                    told = False
                    await converse(line)
            except (RedisError, OSError, ValueError) as error:
                if not told:
                    logger.warning("%s: %s", trouble, error)
                told = True
            await asyncio.sleep(RETRY_PAUSE)

    async def _publish(self, line: Line) -> None:
        """Sends what waits and lets more be sent, and looks now and then whether it is answered."""
        line.write(b"".join(self._unanswered))
        self._speaker = line
        try:
            while True:
                waits = bool(self._unanswered)
                if await line.is_quiet(LISTEN_TIMEOUT) and waits:
                    raise ConnectionError("Redis does not answer")
        finally:
            self._speaker = None

    def _count(self, reply: Reply) -> None:
        """A message was taken, or refused for good."""
        self._unanswered.popleft()
        self._answered.set()
        if isinstance(reply, RedisError):
            logger.warning("Redis refuses a message: %s", reply)

    async def _listen(self, line: Line) -> None:
        """Hears all channels."""
        line.write(command(b"SUBSCRIBE", *(name.encode() for name in self._listeners)))
        try:
            while True:
                if await line.is_quiet(LISTEN_TIMEOUT):
                    line.write(PING)
                    if await line.is_quiet(LISTEN_TIMEOUT):
                        raise ConnectionError("Redis does not answer")
        finally:
            self._subscribed.clear()

    def _take(self, reply: Reply) -> None:
        if not isinstance(reply, list):
            raise reply if isinstance(reply, RedisError) else ValueError("no message")
        kind, channel, content = reply if len(reply) == 3 else (b"", b"", b"")  # a pong has two parts
        name = channel.decode()
        listener = self._listeners.get(name)
        if listener is None:
            return
        try:
            if kind == b"subscribe":
                self._subscribed.add(name)
                listener.subscribed()
            elif kind == b"message":
                listener.take(content)
        except Exception:  # the other channels are still to be heard
            logger.exception("a message on %s could not be handled", name)
