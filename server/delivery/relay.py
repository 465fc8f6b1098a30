"""The relay: the only code that sends persisted events, one a process.

Invariants: events are delivered in the order of their ids and each once; `cursor` is the last one delivered.
The next id arrives with the bell: it is delivered at once. A gap, a silent interval, a bell that reconnected: the
log is read from the cursor, by one task only. Delivering one event is one uninterrupted turn of the event loop; what
one audience is told in a turn leaves with one write a socket (`delivery/outlet.py`). The last events stay in memory,
so a connection that reads what it missed from the log meets live delivery within one turn.
"""

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypeVar

from server.delivery import entitlements
from server.delivery.outlet import Outlet
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.delivery.wire import Frame, Wire
from server.errors import CloseCode, Unavailable
from server.events.control import SessionMoved, WebhooksChanged
from server.events.rooms import CONTROL
from server.store import log
from server.store.log import LoggedEvent
from server.store.transaction import Store, Transaction

T = TypeVar("T")
BATCH = 500  # events read from the log at once
SLICE = 20  # of them delivered in one turn of the event loop
GAP_PATIENCE = 0.01  # seconds: what is missing is usually on its way from another thread or process
REMEMBERED = 2048  # events: more than are committed while a connection reads its history
REMEMBERED_BYTES = 16 << 20
FOR_WHOM = attrgetter("rooms", "origin")  # of an event; those that follow each other and have it alike are told as one
NEUTRAL = {SessionMoved.type, WebhooksChanged.type}  # changes that entitle no socket to more or less
logger = logging.getLogger(__name__)


class Relay:
    """Takes the log to the sockets of this process."""

    def __init__(self, store: Store, registry: Registry, outlet: Outlet, poll_interval: float) -> None:
        self.store = store
        self.registry = registry
        self.outlet = outlet
        self.poll_interval = poll_interval
        self.last_control = 0  # id of the last applied change of entitlement
        self.on_control: Callable[[LoggedEvent], None] = lambda event: None  # called with each of them
        self._ahead: dict[int, LoggedEvent] = {}
        self._gap: asyncio.TimerHandle | None = None
        self._recent: deque[LoggedEvent] = deque()
        self._recent_bytes = 0
        self._wake = asyncio.Event()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = itertools.count()
        self._task: asyncio.Task[None] | None = None

    @property
    def cursor(self) -> int:
        """The last event that was delivered here."""
        return self.registry.progress.position

    async def start(self) -> None:
        """Begins at the end of the log: nobody is connected yet."""
        self.registry.progress.position = await self.store.read(Transaction.position)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, events: Iterable[LoggedEvent]) -> None:
        """Takes events from the bell, in any order, known ones too; delivers those that are next."""
        ready: list[LoggedEvent] = []
        following = self.cursor + 1
        for event in events:
            if event.id == following and not self._ahead:
                ready.append(event)
                following += 1
            elif event.id >= following:
                self._ahead[event.id] = event
        while following in self._ahead:
            ready.append(self._ahead.pop(following))
            following += 1
        for _, alike in itertools.groupby(ready, FOR_WHOM):
            self._deliver(list(alike))
        if self._ahead and self._gap is None:
            self._gap = asyncio.get_running_loop().call_later(GAP_PATIENCE, self._end_patience, self.cursor)
        while len(self._recent) > REMEMBERED or self._recent_bytes > REMEMBERED_BYTES:
            self._recent_bytes -= len(self._recent.popleft().payload)

    def _end_patience(self, cursor: int) -> None:
        """Has the log looked at where nothing was delivered since; otherwise what is missing now gets its time, too."""
        self._gap = None
        if self._ahead:
            if self.cursor == cursor:
                self.wake()
            else:
                self.hear(())

    def wake(self) -> None:
        """Has the log looked at soon."""
        self._wake.set()

    async def reached(self, position: int) -> None:
        """Waits until everything up to `position` was delivered here."""
        if self.cursor >= position:
            return
        arrival = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (position, next(self._ticket), arrival))
        self.wake()
        await arrival

    async def admit(self, check: Callable[[], Awaitable[tuple[T, int]]]) -> T:
        """Runs a check of entitlement, which returns its result and the log position it saw, until no change of
        entitlement lies between that position and now. The caller must act on the result without awaiting."""
        while True:
            result, position = await check()
            await self.reached(position)
            if self.last_control <= position:
                return result

    def recent(self, cursor: int) -> list[LoggedEvent] | None:
        """What was delivered here after the cursor; None where that is not remembered."""
        if cursor >= self.cursor:
            return []
        if not self._recent or cursor + 1 < self._recent[0].id:
            return None
        return list(itertools.islice(self._recent, cursor + 1 - self._recent[0].id, None))

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.poll_interval):  # `wait_for` may swallow the cancelling of this task
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._catch_up()
            except Unavailable as error:
                logger.warning("log cannot be read: %s", error)
                await asyncio.sleep(self.poll_interval)
            except Exception:
                logger.exception("relay failed to catch up")
                await asyncio.sleep(self.poll_interval)

    async def _catch_up(self) -> None:
        while True:
            cursor = self.cursor
            bounds, events = await self.store.read_log(cursor, BATCH)
            if not bounds.floor <= cursor <= bounds.head:
                self._start_over(bounds)
                return
            for start in range(0, len(events), SLICE):
                self.hear(events[start : start + SLICE])
                await asyncio.sleep(0)  # sockets write and requests run in between
            if len(events) < BATCH:
                return

    def _start_over(self, bounds: log.Bounds) -> None:
        """The log no longer holds what comes next: it was pruned meanwhile, or a backup was restored. Changes of
        entitlement may be among the lost, so every socket is sent away, and told that it missed something when back."""
        logger.error(
            "the log goes on at %d, this process had come to %d: closing all sockets", bounds.head, self.cursor
        )
        for subscriber in list(self.registry.subscribers):
            entitlements.close(self.registry, subscriber, CloseCode.RESTART, "history is gone")
        self._ahead.clear()
        self._recent.clear()
        self._recent_bytes = 0
        self.registry.progress.position = self.last_control = bounds.head
        self._announce_arrivals(everybody=True)

    def _deliver(self, alike: Sequence[LoggedEvent]) -> None:
        """Delivers what comes next, events for the same."""
        for event in alike:
            self._recent.append(event)
            self._recent_bytes += len(event.payload)
        if alike[0].rooms[0] == CONTROL:
            for event in alike:
                self._apply(event)
        else:
            self._send(alike)
        if self._waiting:
            self._announce_arrivals()

    def _announce_arrivals(self, *, everybody: bool = False) -> None:
        while self._waiting and (everybody or self._waiting[0][0] <= self.cursor):
            arrival = heapq.heappop(self._waiting)[2]
            if not arrival.done():
                arrival.set_result(None)

    def _apply(self, event: LoggedEvent) -> None:
        self.registry.progress.position = event.id
        if event.type not in NEUTRAL:
            self.last_control = event.id
        try:
            entitlements.apply(self.registry, event)
            self.on_control(event)
        except Exception:
            logger.exception("event %d could not be applied", event.id)

    def _send(self, alike: Sequence[LoggedEvent]) -> None:
        first, last = alike[0], alike[-1]
        self.registry.progress.position = last.id
        try:
            fanout = self.registry.fanout(first.rooms)
            if fanout.wires:
                authors = self.registry.authors(first.origin, first.rooms)
                own = [socket for author in authors if (socket := author.link.socket) is not None]
                self.outlet.tell(fanout.audience, [joined(wire, alike) for wire in fanout.wires], own)
            if fanout.others:
                self._send_otherwise(alike, fanout.others)
        except Exception:
            logger.exception("events %d to %d could not be delivered", first.id, last.id)

    def _send_otherwise(self, alike: Sequence[LoggedEvent], subscribers: Iterable[Subscriber]) -> None:
        """To connections that are no WebSockets, to each with one write: it has all of it, or is closed."""
        frames: dict[Wire, Frame] = {}
        for subscriber in subscribers:
            wire = subscriber.wire
            if wire is None or subscriber.caused(alike[0]):
                continue
            try:
                subscriber.link.write(frames.get(wire) or frames.setdefault(wire, joined(wire, alike)))
            except Exception:  # one broken connection must not cost the others their events
                logger.exception("a connection could not be written to")
                entitlements.close(self.registry, subscriber, CloseCode.RESTART, "error")


def joined(wire: Wire, events: Iterable[LoggedEvent]) -> Frame:
    """The frames of events, one after the other."""
    return b"".join(map(wire.event, events))
