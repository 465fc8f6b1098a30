"""Time from a change to its delivery at 10,000 deliveries a second; in Roomcast the commit is part of it."""

import statistics

from bench.figures.cpu_per_delivery import AGAIN, EACH, NODE, RAW, SERVERS, SOCKETIO
from bench.rounds import Lineup, Options, Report, Verdict, interleave, ratio, table
from bench.servers import Server

RATE = 10_000  # deliveries per second


def measure(options: Options, lineup: Lineup) -> Report:
    """The same rate for all, whether they keep up or not."""
    count, seconds = min(options.subscribers), 7.5 * options.seconds
    lineup.clear()
    servers = {name: lineup.get(name, SERVERS[name], count) for name in (EACH, AGAIN, SOCKETIO, RAW, NODE)}
    medians: dict[str, list[float]] = {id_: [] for id_ in servers}

    def p99(server: Server) -> float:
        interval = count / RATE
        heard = server.load.round(round(seconds / interval), 1, interval)
        if not heard.whole:
            raise RuntimeError(f"deliveries were lost or mixed up: {heard}")
        medians[next(name for name, other in servers.items() if other is server)].append(heard.p50)
        return heard.p99

    samples = interleave(options.rounds, servers, p99)
    rows = [
        [name, f"{statistics.median(medians[name]) / 1000:.2f}", f"{statistics.median(samples[name]) / 1000:.2f}"]
        for name in servers
    ]
    report = Report(
        f"Latency at {RATE} deliveries/s to {count} subscribers (ms)", table(["server", "p50", "p99"], rows)
    )
    report.verdicts += [
        Verdict(
            f"p99: {name} / {NODE}",
            ratio(samples, name, NODE),
            1.0,
            options.rounds,
            control=ratio(samples, AGAIN, EACH),
        )
        for name in (SOCKETIO, RAW)
    ]
    return report
