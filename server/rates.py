"""How often something may happen: token buckets that cost one number each.

Invariants: there is no timer; all that is kept of a bucket is when it will be full again, so one that is full need not
be kept at all. A rate of 0 is no limit.
"""

from collections.abc import Hashable
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)
NETWORK = 16  # hexadecimal digits of an IPv6 address that one customer has: 64 bits
SWEEP = 1024  # keys above which those with full buckets are looked for


class Rate(NamedTuple):
    """A bucket of `burst` tokens, of which one comes back every `interval` seconds."""

    interval: float
    burst: int

    @classmethod
    def of(cls, per_second: float, burst: int) -> "Rate":
        return cls(1 / per_second if per_second else 0.0, burst)

    def take(self, full_at: float, now: float) -> float:
        """When the bucket will be full again after one more token was taken, be there one or not."""
        return max(full_at, now) + self.interval

    def excess(self, full_at: float, now: float) -> int:
        """How many tokens were taken more than there were; 0 or less while there were enough."""
        return round((full_at - now) / self.interval) - self.burst if self.interval else 0


UNLIMITED = Rate(0.0, 0)


class Rates(Generic[K]):
    """A bucket for each key."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._full_at: dict[K, float] = {}
        self._sweep_at = SWEEP

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: K) -> float:
        """Takes a token; where there is none, takes nothing and returns the seconds until there is one, else 0."""
        now = monotonic()
        full_at = self.rate.take(self._full_at.get(key, now), now)
        if (excess := self.rate.excess(full_at, now)) > 0:
            return excess * self.rate.interval
        if full_at > now:
            self._full_at[key] = full_at
            self._sweep(now)
        return 0.0

    def give_back(self, key: K) -> None:
        """Puts back a token that was taken."""
        if key in self._full_at:
            self._full_at[key] -= self.rate.interval

    def _sweep(self, now: float) -> None:
        """Forgets full buckets, whenever there are twice as many as the last time left."""
        if len(self._full_at) >= self._sweep_at:
            self._full_at = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
            self._sweep_at = max(SWEEP, 2 * len(self._full_at))


@lru_cache(maxsize=4096)
def counted(address: str) -> str:
    """The name under which what a client address does is counted; empty for the machine's own, a proxy's mostly, and
    for that of a UNIX socket."""
    if not address or (parsed := ip_address(address)).is_loopback:
        return ""
    return address if parsed.version == 4 else parsed.packed.hex()[:NETWORK]
