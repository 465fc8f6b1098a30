"""From a PATCH over REST, committed on SQLite, to its message at every subscriber."""

import statistics
from functools import partial

from bench.changes_over_rest import Pace
from bench.load import Round
from bench.roomcast import Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, table

SLOW, FAST = 10, 80  # changes per second
AT_MOST = 60.0  # milliseconds
WARM = 2.0  # seconds of the quick ones before anything is counted
GROWTH = 2.0  # how many times the second fifth the last may take before lag counts as growing


def measure(options: Options, lineup: Lineup) -> Report:
    """Time runs from when a change was due, so a server that falls behind shows it."""
    count = min(options.subscribers)
    lineup.clear()
    server = lineup.get("end to end", partial(Roomcast, "socketio", only='"rows_updated"'), count)
    run(server, FAST, WARM)
    few = [run(server, SLOW, max(3.0, 4 * options.seconds)) for _ in range(options.rounds)]
    many = run(server, FAST, options.minute)
    p99 = statistics.median(heard.p99 for heard in few) / 1000
    rows = [
        [
            f"{SLOW}/s, median of {len(few)} runs",
            f"{statistics.median(h.p50 for h in few) / 1000:.1f}",
            f"{p99:.1f}",
            "",
        ],
        [f"{FAST}/s for {options.minute:.0f} s", f"{many.p50 / 1000:.1f}", f"{many.p99 / 1000:.1f}", fifths(many)],
    ]
    lines = table(["changes", "p50 (ms)", "p99 (ms)", "mean of each fifth (ms)"], rows)
    report = Report(f"End to end: PATCH to {count} subscribers", lines)
    growth = many.parts[4] / many.parts[1]
    report.verdicts = [
        Verdict(f"p99 at {SLOW} changes/s (ms)", p99, AT_MOST, options.rounds),
        Verdict(f"{FAST} changes/s: last fifth / second fifth", growth, GROWTH, options.rounds),
    ]
    return report


def run(server: Roomcast, per_second: int, seconds: float) -> Round:
    changes = round(per_second * seconds)
    server.load.watch(changes)
    with Pace(server, server.tables[0], per_second, changes, first=1):
        heard = server.load.result()
    if not heard.complete:
        raise RuntimeError(f"deliveries were lost or mixed up: {heard}")
    return heard


def fifths(heard: Round) -> str:
    return ", ".join(f"{part / 1000:.1f}" for part in heard.parts)
