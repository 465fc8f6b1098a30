"""Webhooks of one process: who is told next, by whom, and when again.

Invariants: a webhook has at most one task here, and its lease lets at most one process tell it; requests to one
receiver are made one after the other, those to different ones at once, `concurrency` at most. A turn of a webhook is
one batch, and begins no request when the time of one is over, so that nobody waits for another one's backlog. What is
committed here is told at once; what another process left behind is found by looking every `interval` seconds. Without
webhooks a commit costs one look at an empty table.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterable
from time import monotonic
from typing import Any, NamedTuple
from uuid import uuid4

from server import faults
from server.dice import jittered
from server.errors import Unavailable
from server.events.control import AccessEnded, SessionsEnded, WebhooksChanged
from server.metrics import count_delivery
from server.store import leases
from server.store.log import LoggedEvent
from server.store.models import Webhook
from server.store.transaction import Store
from server.webhooks import queue
from server.webhooks.queue import Batch, Hold
from server.webhooks.sender import Sender

LEASES = 3  # lifetimes of a request that a lease outlives the last sign of its holder
STOP_PATIENCE = 5.0  # seconds that a stop waits for requests at most
LONGEST_PAUSE = 3600.0  # seconds between two attempts
JITTER = 0.25  # of a pause, so that webhooks that failed together do not try again together
CONCERNED = {WebhooksChanged.type, AccessEnded.type, SessionsEnded.type}  # changes of what there is to tell to whom
logger = logging.getLogger(__name__)


class Patience(NamedTuple):
    """All in seconds: `interval` between two looks at all webhooks, `retry` after a first failure, `give_up` after so
    long a time of nothing but failures."""

    interval: float
    retry: float
    give_up: float


class Webhooks:
    """Tells the receivers of webhooks, as long as it runs."""

    def __init__(self, store: Store, sender: Sender, patience: Patience, concurrency: int) -> None:
        self.store = store
        self.sender = sender
        self.patience = patience
        self.hold = Hold(uuid4().hex, LEASES * sender.timeout)
        self.known = 0  # active webhooks
        self._slots = asyncio.Semaphore(concurrency)
        self._readers: dict[str, list[queue.Reader]] = {}  # by room
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()  # webhooks for which something came while their task ran
        self._look = asyncio.Event()
        self._stopping = asyncio.Event()
        self._deadline = 0.0
        self._rounds: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many webhooks are being told, or wait for their next attempt here."""
        return len(self._tasks)

    def start(self) -> None:
        self.sender.start()
        self._look.set()
        self._rounds = asyncio.create_task(self._survey())

    def wind_up(self) -> None:
        """Begins nothing more; what is being told now has the time of one request to end."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._look.set()
            self._deadline = monotonic() + min(self.sender.timeout, STOP_PATIENCE)

    async def stop(self) -> None:
        """Ends all tasks, and gives back what they have, so that another process goes on at once."""
        self.wind_up()
        tasks = [task for task in (self._rounds, *self._tasks.values()) if task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=max(self._deadline - monotonic(), 0))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.sender.close()
        with contextlib.suppress(Unavailable):
            await self.store.write(leases.release_all, holder=self.hold.holder)

    def hear(self, events: Iterable[LoggedEvent]) -> None:
        """Takes what was committed by this process: of all processes this one then tells it, others need not ask."""
        if self._readers:
            for event in events:
                for room in event.rooms:
                    for reader in self._readers.get(room, ()):
                        if event.type in reader.events:
                            self._look_at(reader.id)

    def notice(self, event: LoggedEvent) -> None:
        """Takes a change of entitlement, by whatever process."""
        if event.type in CONCERNED:
            self._look.set()

    async def _survey(self) -> None:
        """Looks at all webhooks, whenever some have changed, and every `interval` seconds."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(jittered(self.patience.interval, JITTER)):
                    await self._look.wait()
            self._look.clear()
            if not self._stopping.is_set():
                await guarded(self._look_around(), None)

    async def _look_around(self) -> None:
        readers = await self.store.read(queue.survey)
        self.known, self._readers = len(readers), {}
        for reader in readers:
            self._readers.setdefault(reader.room, []).append(reader)
            if reader.due:
                self._look_at(reader.id)

    def _look_at(self, webhook_id: str) -> None:
        """Has a webhook told what there is for it."""
        if webhook_id in self._tasks:
            self._again.add(webhook_id)
        elif not self._stopping.is_set():
            self._tasks[webhook_id] = asyncio.create_task(self._serve(webhook_id))

    async def _serve(self, webhook_id: str) -> None:
        """Tells a webhook turn by turn until there is nothing left, with pauses where they are due."""
        try:
            while not self._stopping.is_set():
                self._again.discard(webhook_id)
                async with self._slots:
                    pause = await guarded(self._turn(webhook_id), self.patience.interval)
                if pause is None and webhook_id not in self._again:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause or 0):
                        await self._stopping.wait()
        finally:
            self._again.discard(webhook_id)
            del self._tasks[webhook_id]

    async def _turn(self, webhook_id: str) -> float | None:
        """One batch; returns after how many seconds to go on, None when there is nothing left."""
        if self._stopping.is_set():
            return None
        webhook = await self.store.write(queue.take, webhook_id, self.hold)
        if not isinstance(webhook, Webhook):
            return webhook
        batch = await self.store.read(queue.read_on, webhook)
        if batch is None:
            await self.store.write(queue.end, webhook_id, self.hold)
            return None
        return await self._deliver(webhook, batch)

    async def _deliver(self, webhook: Webhook, batch: Batch) -> float | None:
        """Makes the deliveries of a batch, each noted before the next one."""
        if not batch.deliveries:
            await self._advance(webhook, batch.position, delivered=False, last=True)
            return None if batch.complete else 0.0
        deadline = monotonic() + self.sender.timeout
        for delivery in batch.deliveries:
            if reason := await self.sender.post(webhook, delivery):
                return await self._fail(webhook, reason)
            faults.reach("webhook_delivered")
            count_delivery(succeeded=True)
            webhook.failures, webhook.failing_since_ms = 0, None
            final = delivery is batch.deliveries[-1]
            last = final or self._stopping.is_set() or monotonic() > deadline
            position = batch.position if final else delivery.position
            if not await self._advance(webhook, position, delivered=True, last=last) or last:
                break
        return None if final and batch.complete else 0.0

    async def _advance(self, webhook: Webhook, position: int, *, delivered: bool, last: bool) -> bool:
        return await self.store.write(
            queue.advance, webhook.id, self.hold, position=position, delivered=delivered, last=last
        )

    async def _fail(self, webhook: Webhook, reason: str) -> float:
        """Notes a failed attempt; returns the pause before the next one."""
        count_delivery(succeeded=False)
        pause = pause_after(webhook.failures, self.patience.retry)
        logger.info("webhook %s: %s", webhook.id, reason)
        patience = self.patience.give_up
        await self.store.write(queue.fail, webhook, self.hold, reason=reason, pause=pause, patience=patience)
        return pause


def pause_after(failures: int, retry: float) -> float:
    """Seconds before the next attempt, where so many failed before the last one."""
    return jittered(min(retry * 2.0 ** min(failures, 32), LONGEST_PAUSE), JITTER)


async def guarded(work: Coroutine[Any, Any, float | None], pause: float | None) -> float | None:
    """What `work` returns; `pause` where it fails, since no failure ends the service."""
    try:
        return await work
    except Unavailable as error:
        logger.warning("webhooks: %s", error)
    except Exception:
        logger.exception("webhooks failed")
    return pause
