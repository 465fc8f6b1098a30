"""The relay: the only code that sends persisted events, one a process.

Invariants: events are delivered in the order of their ids and each once; `cursor` is the last one delivered.
The next id arrives with the bell: it is delivered at once. A gap, a silent interval, a bell that reconnected: the
log is read from the cursor, by one task only. Delivering one event is one uninterrupted turn of the event loop.
"""

import asyncio
import contextlib
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from server.delivery import entitlements
from server.delivery.rooms import Registry
from server.delivery.wire import Frame, Wire
from server.errors import CloseCode, Unavailable
from server.events.rooms import CONTROL
from server.store.log import LoggedEvent
from server.store.transaction import Store, Transaction

T = TypeVar("T")
BATCH = 500  # events read from the log at once
SLICE = 20  # of them delivered in one turn of the event loop
GAP_PATIENCE = 0.01  # seconds: neighbours of a gap are usually on their way from another thread
logger = logging.getLogger(__name__)


class Relay:
    """Takes the log to the sockets of this process."""

    def __init__(self, store: Store, registry: Registry, poll_interval: float) -> None:
        self.store = store
        self.registry = registry
        self.poll_interval = poll_interval
        self.cursor = 0
        self.last_control = 0  # id of the last applied change of entitlement
        self._ahead: dict[int, LoggedEvent] = {}
        self._wake = asyncio.Event()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticket = itertools.count()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins at the end of the log: nobody is connected yet."""
        self.cursor = await self.store.read(Transaction.position)
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, events: Iterable[LoggedEvent]) -> None:
        """Takes events from the bell, in any order, known ones too; delivers those that are next."""
        for event in events:
            if event.id > self.cursor:
                self._ahead[event.id] = event
        while self.cursor + 1 in self._ahead:
            self._deliver(self._ahead.pop(self.cursor + 1))
        if self._ahead:
            asyncio.get_running_loop().call_later(GAP_PATIENCE, self.wake)

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

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self.poll_interval)
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
            events = await self.store.read_log(self.cursor, BATCH)
            for start in range(0, len(events), SLICE):
                self.hear(events[start : start + SLICE])
                await asyncio.sleep(0)  # sockets write and requests run in between
            if len(events) < BATCH:
                return

    def _deliver(self, event: LoggedEvent) -> None:
        self.cursor = event.id
        if event.rooms[0] == CONTROL:
            self.last_control = event.id
        try:
            self._apply_or_send(event)
        except Exception:
            logger.exception("event %d could not be delivered", event.id)
        while self._waiting and self._waiting[0][0] <= self.cursor:
            arrival = heapq.heappop(self._waiting)[2]
            if not arrival.done():
                arrival.set_result(None)

    def _apply_or_send(self, event: LoggedEvent) -> None:
        if event.rooms[0] == CONTROL:
            entitlements.apply(self.registry, event)
        else:
            self._send(event)

    def _send(self, event: LoggedEvent) -> None:
        frames: dict[Wire, Frame] = {}
        for subscriber in self.registry.audience(event):
            wire = subscriber.wire
            if wire is None:
                continue
            frame = frames.get(wire)
            if frame is None:
                frame = frames[wire] = wire.event(event)
            try:
                subscriber.send(frame)
            except Exception:  # one broken connection must not cost the others their event
                logger.exception("a socket could not be written to")
                entitlements.close(self.registry, subscriber, CloseCode.RESTART, "error")
