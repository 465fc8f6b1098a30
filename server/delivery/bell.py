"""The bell: tells the relays that something was committed, and carries it as an optimisation.

Invariant: losing any message of the bell loses nothing; a relay that was not told reads the log.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence

import orjson
import redis.asyncio

from server import faults
from server.delivery.redis_channels import RedisChannels
from server.events.event import Origin
from server.store.log import LoggedEvent

WAKE_TIMEOUT = 2.0  # seconds
MAX_MESSAGE = 64 << 10  # bytes of events worth carrying; above, the message only says "look at the log"
APART = 0.002  # seconds between two messages of a process
logger = logging.getLogger(__name__)
Hear = Callable[[Sequence[LoggedEvent]], None]


class Bell:
    """The bell of one process: rings straight into the relay."""

    def __init__(self, hear: Hear, wake: Callable[[], None]) -> None:
        self.hear = hear
        self.wake = wake

    @property
    def connected(self) -> bool:
        """True while other processes are heard."""
        return True

    def ring(self, events: Sequence[LoggedEvent]) -> None:
        """Announces the events of one commit; called on the event loop right after it."""
        faults.reach("before_bell")
        self.hear(events)

    async def start(self) -> None:
        """Begins to listen to other processes."""

    async def stop(self) -> None:
        """Ends listening."""


class RedisBell(Bell):
    """The bell of several processes: Redis pub/sub besides the straight way.

    Being woken costs a process more than hearing an event (`bench/RESULTS.md`). So a commit is announced at once, and
    those that follow within APART together; who hears them also writes them to each socket together."""

    def __init__(self, hear: Hear, wake: Callable[[], None], url: str, channel: str) -> None:
        super().__init__(hear, wake)
        self.channel = channel
        self._channels = RedisChannels(url)  # of its own, so that no other traffic makes it late
        self._channels.listen(channel, self._take, wake)
        self._waiting: list[LoggedEvent] = []  # to be announced
        self._size = 0  # of their payloads
        self._last = -math.inf  # when something was announced, by the clock of the event loop
        self._apart = APART
        self._due: asyncio.TimerHandle | None = None

    @property
    def connected(self) -> bool:
        return self._channels.connected

    def ring(self, events: Sequence[LoggedEvent]) -> None:
        super().ring(events)
        size = sum(len(event.payload) for event in events)
        if self._size + size > MAX_MESSAGE:  # together they would not be carried
            self._announce()
        self._waiting += events
        self._size += size
        if self._due is None:
            loop = asyncio.get_running_loop()
            wait = self._last + self._apart - loop.time()
            if wait > 0:
                self._due = loop.call_later(wait, self._announce)
            else:
                self._announce()

    def _announce(self) -> None:
        """Sends what waits, if anything does."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if self._waiting:
            events, self._waiting, self._size = self._waiting, [], 0
            self._last = asyncio.get_running_loop().time()
            self._channels.publish(self.channel, pack(events))

    async def start(self) -> None:
        await self._channels.start()

    async def stop(self) -> None:
        self._apart = 0.0  # what is committed to the end does not wait
        self._announce()
        await self._channels.stop()

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


async def wake_others(url: str, channel: str) -> None:
    """Has the relays of all processes look at the log, for a process that has none itself; raises RedisError."""
    async with redis.asyncio.Redis.from_url(url, socket_timeout=WAKE_TIMEOUT) as client:
        await client.publish(channel, pack([]))


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
