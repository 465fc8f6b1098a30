"""When a reader is too slow: its unsent bytes are above the limit and have not shrunk for a while.

A limit alone would cut healthy readers, because one change may bring more than the limit within one turn of the event
loop, in which nobody can read; so a backlog above it is looked at again, and only one that does not shrink is cut.
"""

import asyncio
import logging
from abc import ABC, abstractmethod

from server.metrics import Limit, met

PATIENCE = 1.0  # seconds without progress: more than a lost packet takes to be sent again
logger = logging.getLogger(__name__)


class Backlog(ABC):
    """Unsent bytes of one connection; call `watch` after adding to them."""

    __slots__ = ("limit", "seen")
    limit: int  # bytes
    seen: int | None  # bytes when they were last looked at, None while they are below the limit

    @abstractmethod
    def backlog(self) -> int:
        """Bytes that wait to be sent."""

    @abstractmethod
    def cut(self) -> None:
        """Ends the connection."""

    def watch(self) -> None:
        """Begins to look when the limit is passed."""
        if self.seen is None and self.backlog() > self.limit:
            self.seen = self.backlog()
            asyncio.get_running_loop().call_later(PATIENCE, self.judge)

    def judge(self) -> None:
        """Looks once more; a reader that has made progress gets as long again."""
        size, before = self.backlog(), self.seen
        self.seen = None
        if before is not None and size > self.limit and size >= before:
            logger.info("a reader was too slow and is cut: it left %d bytes unread", size)
            met(Limit.SEND_BUFFER)
            self.cut()
        else:
            self.watch()
