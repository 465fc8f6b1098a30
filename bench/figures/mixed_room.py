"""A room of raw and Socket.IO sockets, each in three rooms, against rooms of one kind."""

import statistics
from functools import partial

from bench.figures.cpu_per_delivery import AGAIN, EACH, RAW, SERVERS, SOCKETIO, lines_of
from bench.roomcast import Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, cpu_per_delivery, interleave, ratio

MIXED = "Roomcast, half and half, three rooms"


def measure(options: Options, lineup: Lineup) -> Report:
    """Changes go to the three rooms in turn."""
    count = min(options.subscribers)
    report = Report("Mixed room: half raw, half Socket.IO, three rooms per socket (µs of CPU per delivery)")
    servers = {name: lineup.get(name, SERVERS[name], count) for name in (EACH, AGAIN, SOCKETIO, RAW)}
    servers[MIXED] = lineup.get(MIXED, partial(Roomcast, "raw", "socketio", tables=3), count)
    for each, how in ((1, "one at a time"), (10, "ten per turn")):
        samples = interleave(options.rounds, servers, partial(cpu_per_delivery, each=each, seconds=options.seconds))
        single = [(raw + socketio) / 2 for raw, socketio in zip(samples[RAW], samples[SOCKETIO], strict=True)]
        value = statistics.median(a / b for a, b in zip(samples[MIXED], single, strict=True))
        control = ratio(samples, AGAIN, EACH)
        what = f"{count} subscribers, {how}: mixed / mean of raw and Socket.IO"
        report.verdicts.append(Verdict(what, value, 1.2, options.rounds, control=control))
        report.lines += [f"{how.capitalize()}:", "", *lines_of({count: samples}), ""]
    return report
