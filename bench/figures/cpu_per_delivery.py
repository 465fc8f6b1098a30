"""CPU of the server for each delivery to a room: all of its CPU, the commits of the log included."""

import statistics
from collections.abc import Callable, Sequence
from functools import partial

from bench.roomcast import Roomcast
from bench.rounds import Lineup, Options, Report, Samples, Verdict, cpu_per_delivery, interleave, ratio, spread, table
from bench.servers import Limit, Node, PythonPeer, Server

EACH, AGAIN, JOINED = "C loop of send()", "the same again (control)", "C loop, one send() a turn"
SOCKETIO, RAW = "Roomcast, Socket.IO", "Roomcast, raw"
NODE, WS = "Node socket.io", "Node ws"
LOG = "of which the change itself and its commit"
PYTHON, UVLOOP = "python-socketio", "python-socketio, uvloop"
SLOW = (PYTHON, UVLOOP)
SERVERS: dict[str, Callable[[], Server]] = {
    EACH: Limit,
    AGAIN: Limit,
    JOINED: partial(Limit, joined=True),
    SOCKETIO: partial(Roomcast, "socketio"),
    RAW: partial(Roomcast, "raw"),
    NODE: partial(Node, "socketio.mjs"),
    WS: partial(Node, "websocket.mjs"),
    PYTHON: partial(PythonPeer, "python_socketio"),
    UVLOOP: partial(PythonPeer, "python_socketio", "uvloop"),
}


class Lonely(Roomcast):
    """Roomcast with a single subscriber: what is left of its CPU is what a change costs, whoever hears it."""

    weight = 500.0

    def __init__(self) -> None:
        super().__init__("raw")


def one_at_a_time(options: Options, lineup: Lineup) -> Report:
    """One change a turn."""
    report = Report("CPU per delivery, one at a time (µs)")
    columns = {
        count: measure(options, lineup, count, 1, [name for name in SERVERS if name not in (JOINED, UVLOOP)])
        | measure_once(lineup, count, 1, [UVLOOP])
        for count in sorted(options.subscribers)
    }
    for count, samples in columns.items():
        control = ratio(samples, AGAIN, EACH)
        decide = partial(judge, report, samples, control, f"{count} subscribers")
        for ours in (SOCKETIO, RAW):
            decide(ours, EACH, 1.3)
            decide(ours, NODE, 0.7)
            decide(ours, PYTHON, 0.12)
        decide(RAW, SOCKETIO, 1.0)
    report.lines = lines_of(columns)
    return report


def ten_per_turn(options: Options, lineup: Lineup) -> Report:
    """Ten changes of one transaction."""
    report = Report("CPU per delivery, ten per turn (µs)")
    columns = {
        count: measure(options, lineup, count, 10, [name for name in SERVERS if name not in SLOW])
        | measure_once(lineup, count, 10, SLOW)
        for count in sorted(options.subscribers, reverse=True)
    }
    for count, samples in sorted(columns.items()):
        control = ratio(samples, AGAIN, EACH)
        decide = partial(judge, report, samples, control, f"{count} subscribers, ten per turn")
        for ours in (SOCKETIO, RAW):
            decide(ours, JOINED, 1.3)
            decide(ours, NODE, 0.1)
        decide(RAW, SOCKETIO, 1.0)
    report.lines = lines_of(dict(sorted(columns.items())))
    return report


def measure(options: Options, lineup: Lineup, count: int, each: int, names: list[str]) -> Samples:
    servers = {name: lineup.get(name, SERVERS[name], count) for name in names}
    samples = interleave(options.rounds, servers, lambda server: cpu_per_delivery(server, each, options.seconds))
    alone = lineup.get(LOG, Lonely, 1)
    samples[LOG] = [cpu_per_delivery(alone, each, options.seconds) / count for _ in range(options.rounds)]
    costs = [statistics.median(server.client_costs[-options.rounds :]) for server in servers.values()]
    print(f"{count} subscribers, {each} a turn: the clients took {min(costs):.1f} to {max(costs):.1f} µs a delivery")
    return samples


def measure_once(lineup: Lineup, count: int, each: int, names: Sequence[str]) -> Samples:
    """For servers that nothing is held against and that take seconds for a turn."""
    return {name: [cpu_per_delivery(lineup.get(name, SERVERS[name], count), each, 0)] for name in names}


def judge(report: Report, samples: Samples, control: float, where: str, ours: str, other: str, bound: float) -> None:
    value, rounds = ratio(samples, ours, other), len(samples[ours])
    report.verdicts.append(Verdict(f"{where}: {ours} / {other}", value, bound, rounds, control=control))


def lines_of(columns: dict[int, Samples]) -> list[str]:
    """A row for each server: the medians, and half their quartile distance."""
    names = next(iter(columns.values()))
    rows = [
        [
            name,
            *(f"{statistics.median(samples[name]):.2f} ±{spread(samples[name]):.0%}" for samples in columns.values()),
        ]
        for name in names
    ]
    return table(["server", *(f"{count} subscribers" for count in columns)], rows)
