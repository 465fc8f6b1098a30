"""Housekeeping: a task that removes what is too old, in one process of all that share the database.

Invariants: whoever removes holds the lease, claimed in the same transaction; between two batches there is at least as
long a pause as the batch took, so writers get half of the time or more; no failure ends the task.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import uuid4

from server.errors import Unavailable
from server.store import leases, retention
from server.store.transaction import Store, Transaction

LEASE = "housekeeping"
SLACK = 30.0  # seconds that a lease outlives the interval after which its holder renews it
PAUSE = 0.005  # seconds between two batches at least
PATIENCE = 2.0  # seconds the stop waits for the running batch and for the lease to be given back
Chore = Callable[[], Awaitable[None]]
logger = logging.getLogger(__name__)


class Keep(NamedTuple):
    """What is kept: the newest events, events and sessions of the last so many seconds."""

    events: int
    event_seconds: float
    session_seconds: float


class Housekeeping:
    """Tidies every `interval` seconds, and then does a chore that needs more than the database. `holder` names this one
    among all processes."""

    def __init__(self, store: Store, keep: Keep, interval: float, chore: Chore | None = None) -> None:
        self.store = store
        self.chore = chore
        self.keep = keep
        self.interval = interval
        self.holder = uuid4().hex
        self._holding = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Lets a running batch end and gives the lease back, so that another process need not wait for its end."""
        self._stopping.set()
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._task

    async def _run(self) -> None:
        while not await self._told_to_stop(self.interval):
            try:
                await self.tidy()
                if self._holding and self.chore is not None:
                    await self.chore()
            except Unavailable as error:
                logger.warning("housekeeping: %s", error)
            except Exception:
                logger.exception("housekeeping failed")
        if self._holding:
            with contextlib.suppress(Unavailable):
                await self.store.write(leases.release, LEASE, holder=self.holder)

    async def _told_to_stop(self, seconds: float) -> bool:
        """Waits so long, or until the stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()

    async def tidy(self) -> None:
        """Removes batch after batch until nothing is left to remove, or somebody else holds the lease."""
        count = 0
        while True:
            began = time.monotonic()
            removed = await self.store.write(remove_batch, self.keep, holder=self.holder, seconds=self.interval + SLACK)
            self._holding = removed is not None
            count += removed or 0
            if not removed or await self._told_to_stop(max(PAUSE, time.monotonic() - began)):
                break
        if count:
            logger.info("housekeeping removed %d old events, sessions and tokens", count)


def remove_batch(tx: Transaction, keep: Keep, *, holder: str, seconds: float) -> int | None:
    """Removes one batch and returns its size, 0 when nothing is left, None when the lease is somebody else's."""
    if not leases.claim(tx, LEASE, holder=holder, seconds=seconds):
        return None
    return (
        retention.prune(tx, keep_events=keep.events, keep_seconds=keep.event_seconds)
        or retention.forget_sessions(tx, keep_seconds=keep.session_seconds)
        or retention.forget_refused_tokens(tx)
        or retention.forget_record_sessions(tx)
        or leases.forget(tx)
    )
