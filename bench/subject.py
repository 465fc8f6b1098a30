"""What is measured of an API with much in it: reads one by one, and changes by many clients that 50 sockets hear.

The server, as it is released, has core 0; all clients are one thread on core 1 (PostgreSQL, where it is measured, runs
on either). What sockets heard of the changes is held against the store after each round.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import ClassVar

import uvloop

from bench.http_load import Connection, all_at_once, latencies, opened
from bench.listeners import Listener, compare, until_all_hear
from bench.released import Released, take_client_core
from bench.results import machine, today, write_section
from bench.rounds import ENOUGH, Report, Samples, Verdict, table, verdicts
from tests.support.postgres_server import PostgresServer

SOCKETS = 50
CLIENTS = 16  # connections that make changes at the same time
REQUESTS = 100  # of each kind of read in a round
A_SECOND, CPU = "a second", "µs of the server's CPU"
Make = Callable[[], bytes]


class Subject:
    """A server with an API that was filled. Figures have names; those of `bounds` must not be exceeded on SQLite, those
    of `least` must be reached there."""

    title = ""
    bounds: ClassVar[dict[str, float]] = {}
    least: ClassVar[dict[str, float]] = {}

    def __init__(self, server: Released) -> None:
        self.server = server
        self.samples: Samples = {}

    async def fill(self) -> None:
        """Stores what is read and changed."""
        raise NotImplementedError

    def reads(self) -> dict[str, Make]:
        """What makes the requests of each kind of read."""
        raise NotImplementedError

    def changes(self) -> dict[str, Callable[[int], bytes]]:
        """What makes the requests of each kind of change, by their numbers."""
        raise NotImplementedError

    async def listen(self, change: str) -> Listener:
        """A socket that will hear a kind of change."""
        raise NotImplementedError

    def made(self, body: bytes) -> str:
        """The mark of a change, which its answer and its message have and no other change."""
        raise NotImplementedError

    def told(self, socket: Listener) -> list[str]:
        """The marks of the changes that a socket was told of."""
        raise NotImplementedError

    async def committed(self, change: str, connection: Connection, sockets: Sequence[Listener]) -> list[str]:
        """The marks of the changes since the last time, in the order of their commits."""
        raise NotImplementedError

    def measure_besides(self) -> None:
        """Whatever else belongs to a round."""

    def note(self, figures: dict[str, float]) -> None:
        """Adds figures of a round."""
        for what, value in figures.items():
            self.samples.setdefault(what, []).append(value)

    def measure(self, seconds: float) -> None:
        """One round."""
        uvloop.run(self.read_all())
        for what, make in self.changes().items():
            uvloop.run(self.change_all(what, make, seconds))
        self.measure_besides()

    async def read_all(self) -> None:
        async with opened(self.server.port, 1) as (connection,):
            for what, make in self.reads().items():
                taken = await latencies(connection, [make() for _ in range(REQUESTS)])
                self.note({f"{what}: ms": statistics.median(taken), f"{what}: ms, p99": p99(taken)})

    async def change_all(self, what: str, make: Callable[[int], bytes], seconds: float) -> None:
        """Changes by all clients at once while sockets listen; raises RuntimeError unless these heard each once and in
        order."""
        port, numbers = self.server.port, iter(range(-1, -1000, -1))
        sockets = [await self.listen(what) for _ in range(SOCKETS)]
        async with opened(port, CLIENTS) as clients:

            async def change() -> str:
                return self.made(await clients[0].ok(make(next(numbers))))

            await until_all_hear(sockets, change)
            await self.committed(what, clients[0], [])
            before = self.server.cpu()
            done = await all_at_once(clients, make, seconds)
            used = self.server.cpu() - before
            last = await change()
            await asyncio.gather(*(socket.until(last) for socket in sockets))
            wanted = await self.committed(what, clients[0], sockets)
        for socket in sockets:
            socket.transport.close()
        self.require_whole(sockets, wanted, {*map(self.made, done.bodies), last})
        self.note({f"{what}: {A_SECOND}": done.per_second, f"{what}: {CPU}": used / len(done.bodies) * 1e6})
        self.note({f"{what}: ms": statistics.median(done.taken), f"{what}: ms, p99": p99(done.taken)})

    def require_whole(self, sockets: Sequence[Listener], wanted: Sequence[str], made: set[str]) -> None:
        """Raises RuntimeError unless what was made is what was committed, and what was heard."""
        heard = compare([self.told(socket) for socket in sockets], wanted)
        if made != set(wanted) or not heard.whole:
            raise RuntimeError(f"{len(made)} changes were made, {len(wanted)} committed, sockets: {heard}")


def p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def report(subjects: dict[str, Subject], rounds: int) -> Report:
    """The medians of all rounds, and what was to be reached on SQLite."""
    middle = {
        kind: {what: statistics.median(values) for what, values in subject.samples.items()}
        for kind, subject in subjects.items()
    }
    sqlite, subject = middle["SQLite"], subjects["SQLite"]
    rows = [[what, *(f"{figures[what]:.3g}" for figures in middle.values())] for what in sqlite]
    decided = [Verdict(what, sqlite[what], bound, rounds) for what, bound in subject.bounds.items()]
    decided += [Verdict(what, sqlite[what], bound, rounds, at_least=True) for what, bound in subject.least.items()]
    return Report(subject.title, table(["figure", *middle], rows), decided)


def run(name: str, kind: type[Subject], how: str, arguments: Sequence[str] | None) -> None:
    """`python -m bench NAME`: measures, prints, and with --write writes the section to RESULTS.md."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {name}", description=how)
    parser.add_argument("--rounds", type=int, default=ENOUGH)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each kind of change in a round")
    parser.add_argument("--sqlite", action="store_true", help="leave out PostgreSQL")
    parser.add_argument("--write", action="store_true", help="write the figures to RESULTS.md")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        urls: dict[str, str | None] = {"SQLite": None}
        if not given.sqlite:
            urls["PostgreSQL"] = stack.enter_context(PostgresServer()).create_database()
        take_client_core()
        subjects = {database: kind(stack.enter_context(Released(url))) for database, url in urls.items()}
        measure(subjects, given)
    made = report(subjects, given.rounds)
    print("\n".join([*made.lines, "", *verdicts([made])]))
    if given.write:
        write_section(name, section(made, f"{given.rounds} interleaved rounds, medians; {how}", given.seconds))


def measure(subjects: dict[str, Subject], given: argparse.Namespace) -> None:
    """All rounds, interleaved over the databases."""
    for database, subject in subjects.items():
        began = time.monotonic()
        uvloop.run(subject.fill())
        print(f"{database}: filled in {time.monotonic() - began:.1f} s", flush=True)
    for number in range(given.rounds):
        for database, subject in subjects.items():
            subject.measure(given.seconds)
            latest = {what: round(values[-1], 2) for what, values in subject.samples.items()}
            print(f"round {number + 1}, {database}: {json.dumps(latest, ensure_ascii=False)}", flush=True)


def section(made: Report, how: str, seconds: float) -> str:
    """What is written to RESULTS.md."""
    load = (
        f"server on core 0, clients on core 1. Reads: one connection, {REQUESTS} requests of each kind a round."
        f" Changes: {CLIENTS} connections for {seconds:g} s a round, each waits for its answer; {SOCKETS} sockets heard"
        " each change once and in the order of the commits."
    )
    parts = [f"## {made.title}", f"{today()}; {machine()}; {how}; {load}"]
    return "\n\n".join([*parts, "\n".join(made.lines), "\n".join(verdicts([made]))])
