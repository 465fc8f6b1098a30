"""How many connections a client may have and how much it may say.

Invariants: what is counted is counted in this process; a client address that is the machine's own is a proxy or an
operator, and is not counted; nothing is kept of an address without connections, but that it came a moment ago.
"""

from collections import Counter
from enum import IntEnum
from time import monotonic
from typing import Protocol

from aiohttp import web

from server.addresses import client_address
from server.encoding import MAX_DEPTH
from server.errors import TOO_MANY_CONNECTIONS, TooMany
from server.metrics import Limit, met
from server.rates import UNLIMITED, Rate, Rates, counted

GRACE = 10  # messages that are refused one by one before the connection ends


class Verdict(IntEnum):
    """What becomes of a message: it is handled, refused, or the last of its connection."""

    FINE = 0
    TOO_MANY = 1
    ENOUGH = 2


class Speaker(Protocol):
    """Something that sends messages; `full_at` is for us to keep, 0.0 at first."""

    full_at: float


class Limits:
    """The limits of one process; 0 connections are any number, `max_depth` is that of messages."""

    def __init__(
        self,
        *,
        per_address: int = 0,
        connects: Rate = UNLIMITED,
        events: Rate = UNLIMITED,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        self.per_address = per_address
        self.events = events
        self.max_depth = max_depth
        self.addresses: Counter[str] = Counter()  # connections of each
        self._connects: Rates[str] = Rates(connects)

    def arrive(self, request: web.Request, *, upgrade: bool = False) -> str:
        """The address that a new connection counts for, empty where it does not; raises TooMany. An upgrade takes the
        place of a connection that is counted already."""
        address = counted(client_address(request))
        if address and not upgrade and self.per_address and self.addresses[address] >= self.per_address:
            met(Limit.CONNECTIONS_PER_ADDRESS)
            raise TooMany(TOO_MANY_CONNECTIONS)
        if address and (wait := self._connects.take(address)):
            met(Limit.CONNECTS_PER_SECOND)
            raise TooMany(TOO_MANY_CONNECTIONS, wait)
        return "" if upgrade else address

    def enter(self, address: str) -> None:
        """A connection of an address has begun."""
        if address:
            self.addresses[address] += 1

    def leave(self, address: str) -> None:
        """A connection that has entered has ended."""
        if address:
            self.addresses[address] -= 1
            if not self.addresses[address]:
                del self.addresses[address]

    def judge(self, speaker: Speaker) -> Verdict:
        """What becomes of a message that came just now. What is refused counts too, so a client that slows down is
        heard again, and one that does not is soon sent away."""
        now = monotonic()
        speaker.full_at = self.events.take(speaker.full_at, now)
        excess = self.events.excess(speaker.full_at, now)
        if excess <= 0:
            return Verdict.FINE
        met(Limit.EVENTS_PER_SECOND)
        return Verdict.TOO_MANY if excess <= GRACE else Verdict.ENOUGH
