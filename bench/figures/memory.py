"""Memory of the server for each idle connection: its private memory with the connections, less that without."""

import statistics
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from bench.roomcast import Roomcast
from bench.rounds import Lineup, Options, Report, Verdict, interleave, ratio, settle, table
from bench.servers import Node, PythonPeer, Server, resident_bytes

BARE, RAW, SOCKETIO = "bare aiohttp WebSocket", "Roomcast, raw", "Roomcast, Socket.IO"
FIRST = 200  # connections before the first look, so that what is made once is there
SERVERS: dict[str, Callable[[], Server]] = {
    BARE: partial(PythonPeer, "aiohttp_websocket"),
    RAW: partial(Roomcast, "raw"),
    SOCKETIO: partial(Roomcast, "socketio"),
}
ONCE: dict[str, Callable[[], Server]] = {  # nothing is held against these
    "Node socket.io": partial(Node, "socketio.mjs"),
    "Node ws": partial(Node, "websocket.mjs"),
    "python-socketio": partial(PythonPeer, "python_socketio"),
}


def measure(options: Options, _: Lineup) -> Report:
    """Each from a server of its own, started anew."""

    count = partial(kilobytes, connections=options.connections)
    samples = interleave(options.rounds, SERVERS, count)
    rows = [[name, f"{statistics.median(taken):.1f}"] for name, taken in (samples | interleave(1, ONCE, count)).items()]
    report = Report(f"Memory per idle connection, {options.connections} of them (kB)", table(["server", "kB"], rows))
    report.verdicts += [
        Verdict(f"{name} / {BARE}", ratio(samples, name, BARE), bound, options.rounds)
        for name, bound in ((RAW, 1.1), (SOCKETIO, 1.4))
    ]
    return report


def kilobytes(make: Callable[[], Server], connections: int) -> float:
    with ExitStack() as stack:
        server = stack.enter_context(make())
        server.fill(FIRST)
        settle(server)
        before = resident_bytes(server.pid)
        server.fill(FIRST + connections)
        settle(server)
        return (resident_bytes(server.pid) - before) / connections / 1000
