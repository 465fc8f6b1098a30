"""Rounds that are interleaved over the servers, so that what disturbs the machine disturbs all alike."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from bench.servers import Server

S = TypeVar("S", bound=Server)
T = TypeVar("T")
ENOUGH = 7  # rounds below which nothing is decided
CONTROL = 0.10  # how far from 1 the ratio of something to itself may lie
QUIET = 0.15  # share of a core below which a server counts as idle
LEAD = 0.25  # of a round: turns before it
WARM = 60_000  # deliveries before the first round: Node compiles, Python specialises

Samples = dict[str, list[float]]


@dataclass
class Options:
    """How much is measured."""

    rounds: int = ENOUGH
    subscribers: tuple[int, ...] = (1000, 5000)
    seconds: float = 0.4  # of a round, about
    connections: int = 5000  # that are idle, for their memory
    minute: float = 60.0  # seconds of the endurance run
    note: Callable[[str], None] = print


@dataclass(frozen=True)
class Verdict:
    """Whether a ratio, or a figure, is within its bound."""

    what: str
    value: float
    bound: float
    rounds: int
    at_least: bool = False
    control: float | None = None  # the ratio of the paired control, where there is one

    @property
    def word(self) -> str:
        reached = self.value >= self.bound if self.at_least else self.value <= self.bound
        steady = self.control is None or abs(self.control - 1) <= CONTROL
        if self.rounds < ENOUGH or not steady:
            return "not decided"
        return "met" if reached else "**not met**"


@dataclass
class Report:
    """A figure as it is printed: lines of Markdown, and what is held against a bound."""

    title: str
    lines: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def ratio(samples: Samples, one: str, other: str) -> float:
    """The median of the pairs' ratios."""
    return statistics.median(a / b for a, b in zip(samples[one], samples[other], strict=True))


def spread(values: Sequence[float]) -> float:
    """Half the distance between the quartiles, as a share of the median."""
    if len(values) < 4:
        return (max(values) - min(values)) / 2 / statistics.median(values)
    low, middle, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / middle


def interleave(rounds: int, servers: Mapping[str, T], measure: Callable[[T], float]) -> Samples:
    """Measures every server once a round, each round beginning with another one."""
    names, samples = list(servers), {name: [] for name in servers}  # type: tuple[list[str], Samples]
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            samples[name].append(measure(servers[name]))
    return samples


def settle(server: Server) -> None:
    """Waits until the server has nothing to do."""
    for _ in range(100):
        before = server.cpu()
        time.sleep(0.1)
        if server.cpu() - before < 0.1 * QUIET:
            return


def cpu_per_delivery(server: Server, each: int, seconds: float) -> float:
    """Microseconds of the server's CPU for each delivery of one round; `each` changes are published in a turn. Some
    turns before it are not counted: while other servers had the core it forgot this one, and its caches did."""
    if seconds:
        server.play(turns(server, each, LEAD * seconds), each)
    used, heard = server.play(turns(server, each, seconds), each)
    server.client_costs.append(heard.own_cpu * 1e6 / heard.deliveries)
    return used


def turns(server: Server, each: int, seconds: float) -> int:
    """How many take about so long."""
    cost = server.costs.get(each, server.weight)
    return max(1 if each > 1 else 2, round(seconds * 1e6 / cost / server.load.connections / each))


def warm_up(server: Server) -> None:
    """Has the server do what will be measured until it is compiled; what its clients do not count would say nothing."""
    if not server.conducted:
        return
    number = max(1, round(WARM / max(1, server.weight / 10) / 11 / server.load.connections))
    for each in (1, 10):
        server.play(number, each)
    settle(server)


class Lineup:
    """Servers that are started once and kept, with their connections, for all figures that need them."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], S], subscribers: int) -> S:
        """The server of this name with so many connections."""
        if name not in self._servers:
            self._servers[name] = self._stack.enter_context(make())
        server: S = self._servers[name]
        if server.load.connections > subscribers:
            server.load.close()
            settle(server)
        if server.load.connections < subscribers:
            server.fill(subscribers)
            warm_up(server)
        return server

    def clear(self) -> None:
        """Ends all servers: where time is measured, even the pings of idle ones on the same core would show."""
        self._stack.close()
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    return [
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(map(str, row)) + " |" for row in rows),
    ]


def verdicts(reports: Sequence[Report]) -> list[str]:
    """The table of what was to be reached."""
    rows = [
        [
            verdict.what,
            f"{verdict.value:.3g}",
            f"{'>=' if verdict.at_least else '<='} {verdict.bound:g}",
            verdict.word,
            f"{verdict.control:.2f}" if verdict.control is not None else "",
        ]
        for report in reports
        for verdict in report.verdicts
    ]
    return table(["figure", "value", "bound", "", "control"], rows)
