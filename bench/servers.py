"""Servers under test: processes on a core of their own, and what they use of it."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench import change
from bench.build import program
from bench.load import Clients, Load, Round
from tests.support.node import install, toolchain
from tests.support.processes import Child, free_port

CORE = 0
PEERS = Path(__file__).with_name("peers")
ENGINE = "/socket.io/?EIO=4&transport=websocket"
PINNED = f"import os, sys; os.sched_setaffinity(0, {{{CORE}}}); os.execvp(sys.argv[1], sys.argv[1:])"


def pinned(command: Sequence[str | Path]) -> list[str]:
    """The command line that runs on the servers' core."""
    return [sys.executable, "-I", "-S", "-c", PINNED, *map(str, command)]


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its threads, user and system; finer than the ticks of `stat` where the kernel
    keeps it."""
    try:
        return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is its own."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) * 1024


class Server:
    """A server that was started, with a load generator for it. `weight` is about how many microseconds a delivery
    takes, `costs` are those that were found last, by the number of changes in a turn; by them rounds are made equally
    long."""

    weight = 3.0
    conducted = True  # changes that are published through the control port are counted

    def __init__(self) -> None:
        self.port, self.control_port = free_port(), free_port()
        self.stack = ExitStack()
        self.client_costs: list[float] = []  # microseconds of the generator's CPU for a delivery, of each round
        self.costs: dict[int, float] = {}
        self.child: Child
        self.load: Load

    def command(self) -> Sequence[str | Path]:
        """The command line."""
        raise NotImplementedError

    def clients(self) -> Sequence[Clients]:
        """The kinds of clients."""
        raise NotImplementedError

    def environ(self) -> dict[str, str]:
        return {}

    def prepare(self) -> None:
        """Called when the server accepts connections."""

    def generator(self) -> Load:
        return Load(self.port, self.control_port, self.clients())

    def __enter__(self) -> Self:
        environ = os.environ | {"BENCH_CHANGE": change.TEMPLATE} | self.environ()
        self.child = self.stack.enter_context(Child(pinned(self.command()), env=environ))
        self.child.wait_port(self.port)
        self.child.wait_port(self.control_port)
        self.prepare()
        self.load = self.stack.enter_context(self.generator())
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    @property
    def pid(self) -> int:
        return self.child.pid

    def cpu(self) -> float:
        return cpu_seconds(self.pid)

    def play(self, turns: int, each: int) -> tuple[float, Round]:
        """Has changes delivered; returns the microseconds of CPU of a delivery, and what clients heard. Raises
        RuntimeError where that is not everything."""
        before = self.cpu()
        heard = self.load.round(turns, each)
        used = self.cpu() - before
        if not heard.whole:
            raise RuntimeError(f"{self.child.name} lost or mixed up deliveries: {heard}")
        self.costs[each] = used * 1e6 / heard.deliveries
        return self.costs[each], heard

    def fill(self, count: int) -> None:
        """Opens connections until there are so many, evenly of all kinds."""
        missing, kinds = count - self.load.connections, len(self.clients())
        for kind in range(kinds):
            share = missing // kinds + (1 if kind < missing % kinds else 0)
            if share > 0:
                self.open(share, kind)

    def open(self, count: int, kind: int = 0) -> float:
        """Opens connections of one kind; returns the seconds it took."""
        try:
            return self.load.open(count, kind)
        except RuntimeError as error:
            lines = "\n".join(self.child.output.splitlines()[-30:])
            raise RuntimeError(f"{error}; the last lines of {self.child.name}:\n{lines}") from None


class Limit(Server):
    """The loop of send() in C; `joined` writes all changes of a turn at once."""

    def __init__(self, *, joined: bool = False, raw: bool = False) -> None:
        super().__init__()
        self.mode = "joined" if joined else "each"
        self.text = change.TEMPLATE if raw else change.SOCKETIO_TEMPLATE

    def command(self) -> Sequence[str | Path]:
        return [program("limit"), str(self.port), str(self.control_port), self.mode, self.text]

    def clients(self) -> Sequence[Clients]:
        return [Clients("-")]


def socketio_clients(connect: str, pages: Sequence[int]) -> Clients:
    """Clients of Socket.IO that join the pages of tables, with acknowledgements."""
    steps = [("expect", "0{"), ("send", f"40/core,{connect}"), ("expect", "40/core,{")]
    for number, table in enumerate(pages):
        page = json.dumps({"page": "table", "table_id": table})
        steps += [("send", f'42/core,{number}["page",{page}]'), ("expect", f'43/core,{number}[{{"ok":true')]
    return Clients(ENGINE, tuple(steps))


class Node(Server):
    """A script of `peers/` run by Node.js."""

    weight = 6.0

    def __init__(self, script: str, pages: Sequence[int] = (1,)) -> None:
        super().__init__()
        self.script, self.pages = script, pages

    def command(self) -> Sequence[str | Path]:
        tools = toolchain()
        install(tools, PEERS)
        return [tools.node, PEERS / self.script, str(self.port), str(self.control_port)]

    def clients(self) -> Sequence[Clients]:
        return [Clients("/") if self.script == "websocket.mjs" else socketio_clients("", self.pages)]


class PythonPeer(Server):
    """A module of `peers/` run by Python."""

    weight = 50.0

    def __init__(self, module: str, *options: str) -> None:
        super().__init__()
        self.module, self.options = module, options

    def command(self) -> Sequence[str | Path]:
        module = f"bench.peers.{self.module}"
        return [sys.executable, "-m", module, str(self.port), str(self.control_port), *self.options]

    def clients(self) -> Sequence[Clients]:
        return [Clients("/") if self.module == "aiohttp_websocket" else socketio_clients("", [1])]
