"""The bell: tells the relays that something was committed, and carries it as an optimisation.

Invariant: losing any message of the bell loses nothing; a relay that was not told reads the log.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import redis.asyncio
from redis.exceptions import RedisError

from server.events.event import Origin
from server.store.log import LoggedEvent

MAX_MESSAGE = 64 << 10  # bytes of events worth carrying; above, the message only says "look at the log"
MAX_BACKLOG = 256  # commits waiting for a Redis that does not answer; above, they are dropped
LISTEN_TIMEOUT = 2.0  # seconds of silence after which the listener looks around
RETRY_PAUSE = 0.5  # seconds between attempts to reach Redis
logger = logging.getLogger(__name__)
Hear = Callable[[Sequence[LoggedEvent]], None]


class Bell:
    """The bell of one process: rings straight into the relay."""

    connected = True

    def __init__(self, hear: Hear, wake: Callable[[], None]) -> None:
        self.hear = hear
        self.wake = wake

    def ring(self, events: Sequence[LoggedEvent]) -> None:
        """Announces the events of one commit; called on the event loop right after it."""
        self.hear(events)

    async def start(self) -> None:
        """Begins to listen to other processes."""

    async def stop(self) -> None:
        """Ends listening."""


class RedisBell(Bell):
    """The bell of several processes: Redis pub/sub besides the straight way."""

    def __init__(self, hear: Hear, wake: Callable[[], None], url: str, channel: str) -> None:
        super().__init__(hear, wake)
        self.connected = False
        self.channel = channel
        self._redis: Any = redis.asyncio.Redis.from_url(url, socket_timeout=5, socket_keepalive=True)
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(MAX_BACKLOG)
        self._tasks: list[asyncio.Task[None]] = []

    def ring(self, events: Sequence[LoggedEvent]) -> None:
        self.hear(events)
        if not self._outbox.full():
            self._outbox.put_nowait(pack(events))

    async def start(self) -> None:
        self._tasks = [asyncio.create_task(self._publish()), asyncio.create_task(self._listen())]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _publish(self) -> None:
        while True:
            message = await self._outbox.get()
            try:
                await self._redis.publish(self.channel, message)
            except (RedisError, OSError) as error:
                logger.warning("bell could not ring: %s", error)

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_all()
            except (RedisError, OSError) as error:
                logger.warning("bell is deaf: %s", error)
            finally:
                self.connected = False
            await asyncio.sleep(RETRY_PAUSE)

    async def _hear_all(self) -> None:
        async with self._redis.pubsub(ignore_subscribe_messages=False) as channel:
            await channel.subscribe(self.channel)
            asked = False
            while True:
                message = await channel.get_message(timeout=LISTEN_TIMEOUT)
                if message is None:
                    if asked:
                        raise ConnectionError("Redis does not answer")
                    await channel.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self.connected = True
                    self.wake()
                elif message["type"] == "message":
                    self._take(message["data"])

    def _take(self, message: bytes) -> None:
        try:
            events = unpack(message)
        except (ValueError, TypeError):  # of another version, or of somebody else: the log has what it said
            logger.warning("bell heard a message that it does not understand")
            events = []
        if events:
            self.hear(events)
        else:
            self.wake()


def pack(events: Sequence[LoggedEvent]) -> bytes:
    """Events as one message: a line of JSON about them, then their payloads, untouched."""
    if sum(len(event.payload) for event in events) > MAX_MESSAGE:
        return b"[]\n"
    head = [
        (event.id, event.type, event.rooms, event.origin and [*event.origin], len(event.payload)) for event in events
    ]
    return orjson.dumps(head) + b"\n" + b"".join(event.payload for event in events)


def unpack(message: bytes) -> list[LoggedEvent]:
    """The reverse of `pack`; empty where the message carries nothing."""
    head, _, payloads = message.partition(b"\n")
    events, start = [], 0
    for number, kind, rooms, origin, size in orjson.loads(head):
        payload = payloads[start : start + size]
        events.append(LoggedEvent(number, kind, tuple(rooms), payload, Origin(*origin) if origin else None))
        start += size
    return events
