"""How many connections a second a server takes, from the first byte to the answered CONNECT.

Every client of Roomcast brings a token that it has not seen before; its account is looked up in the database. With
recovery a session is stored for each.
"""

import statistics
from collections.abc import Callable
from functools import partial

from bench.figures.cpu_per_delivery import NODE, RAW, SOCKETIO
from bench.figures.memory import BARE
from bench.roomcast import Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, interleave, ratio, settle, table
from bench.servers import Node, PythonPeer, Server

COUNT = 1000
RECOVERY = "Roomcast, Socket.IO with recovery"


def measure(options: Options, lineup: Lineup) -> Report:
    """Clients join nothing: what is counted is the way in."""
    tokens = COUNT * (options.rounds + 1)
    makers: dict[str, Callable[[], Server]] = {
        SOCKETIO: partial(Roomcast, "socketio", tables=0, tokens=tokens),
        RECOVERY: partial(Roomcast, "socketio", tables=0, tokens=tokens, recovery=True),
        RAW: partial(Roomcast, "raw", tables=0, tokens=tokens),
        NODE: partial(Node, "socketio.mjs", pages=()),
        BARE: partial(PythonPeer, "aiohttp_websocket"),
    }
    lineup.clear()
    servers = {name: lineup.get("accepting " + name, make, 0) for name, make in makers.items()}
    for server in servers.values():
        rate(server)
    samples = interleave(options.rounds, servers, rate)
    rows = [[name, f"{statistics.median(taken):.0f}"] for name, taken in samples.items()]
    report = Report("Connections accepted per second", table(["server", "per second"], rows))
    report.verdicts += [
        Verdict(f"{name} / {NODE}", ratio(samples, name, NODE), 0.8, options.rounds, at_least=True)
        for name in (SOCKETIO, RECOVERY, RAW)
    ]
    return report


def rate(server: Server) -> float:
    seconds = server.open(COUNT)
    server.load.close()
    settle(server)
    return COUNT / seconds
