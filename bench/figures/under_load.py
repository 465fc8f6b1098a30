"""How late one delivery is while the same process imports tables and changes rows elsewhere."""

import statistics
from functools import partial

from bench.changes_over_rest import Imports, Pace
from bench.roomcast import CONDUCTED, Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, table

PER_SECOND = 10  # changes that are timed
UPDATES = 100  # row updates per second
LINES = 5000  # of CSV in an import
WAYS = {"begun": "from the beginning of its transaction", "due": "from when it was due"}
NAME = "Roomcast, Socket.IO, under load"


def measure(options: Options, lineup: Lineup) -> Report:
    """Idle and loaded runs in turn; the load is on other tables of the subscribers' workspace. On SQLite a change also
    waits for the import that is being written, which is no matter of delivery, so it is timed in both ways."""
    count, seconds = min(options.subscribers), max(3.0, 4 * options.seconds)
    lineup.clear()
    server = lineup.get(NAME, partial(Roomcast, "socketio", only=CONDUCTED), count)
    other = server.actor.table(server.database)
    turns, imported = round(seconds * PER_SECOND), 0
    samples: dict[tuple[str, str], list[float]] = {(kind, way): [] for kind in WAYS for way in ("idle", "loaded")}
    for _ in range(options.rounds):
        for kind in WAYS:
            server.aim([f"core:table:{server.tables[0]}"], kind)
            samples[kind, "idle"].append(p99(server, turns))
            with Pace(server, other, UPDATES), Imports(server, LINES) as imports:
                samples[kind, "loaded"].append(p99(server, turns))
            imported += imports.done
    rows = [[WAYS[kind], *(milliseconds(samples[kind, way]) for way in ("idle", "loaded"))] for kind in WAYS]
    rate = imported / options.rounds / len(WAYS) / seconds
    loaded = f"{rate:.1f} imports/s of {LINES} rows and {UPDATES} updates/s"
    report = Report(f"Delivery to {count} sockets while the server works, p99 (ms)", table(["", "idle", loaded], rows))
    pairs = zip(samples["begun", "loaded"], samples["begun", "idle"], strict=True)
    value = statistics.median(a / b for a, b in pairs)
    report.verdicts.append(Verdict("p99 of a delivery under load / idle", value, 5.0, options.rounds))
    return report


def milliseconds(values: list[float]) -> str:
    return f"{statistics.median(values) / 1000:.1f}"


def p99(server: Roomcast, turns: int) -> float:
    """Microseconds until a change has arrived, its commit included."""
    heard = server.load.round(turns, 1, 1 / PER_SECOND)
    if not heard.whole:
        raise RuntimeError(f"deliveries were lost or mixed up: {heard}")
    return heard.p99
