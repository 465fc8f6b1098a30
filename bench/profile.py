"""Where the server's CPU goes while it tells a room: by Python function (py-spy) and by symbol of all code (perf).

    python -m bench profile [raw|socketio|mixed] [--each 10] [--subscribers 1000] [--seconds 10]

Needs `py-spy`, and `perf` if there is one; what is missing is left out.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.roomcast import Roomcast
from bench.rounds import warm_up

KINDS = {"raw": ("raw",), "socketio": ("socketio",), "mixed": ("raw", "socketio")}
SHOWN = 25
IDLE = "_worker (concurrent"  # threads that wait for work, which py-spy takes for busy ones


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench profile", description=__doc__.splitlines()[0])
    parser.add_argument("kind", nargs="?", choices=KINDS, default="socketio")
    parser.add_argument("--each", type=int, default=1, help="changes in a turn")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args(arguments)
    tables = 3 if given.kind == "mixed" else 1
    with Roomcast(*KINDS[given.kind], tables=tables) as server, tempfile.TemporaryDirectory() as folder:
        server.fill(given.subscribers)
        warm_up(server)
        recorded = Path(folder) / "spy", Path(folder) / "perf"
        for tool in (spy(server.pid, given.seconds, recorded[0]), perf(server.pid, given.seconds, recorded[1])):
            if tool is not None:
                deliver_during(server, tool, given.each)
        if recorded[0].exists():
            print_functions(recorded[0])
        if recorded[1].exists():
            print_symbols(recorded[1])


def spy(pid: int, seconds: float, into: Path) -> list[str] | None:
    beside = Path(sys.executable).with_name("py-spy")
    tool = shutil.which("py-spy") or (str(beside) if beside.exists() else None)
    command = ["record", "-p", str(pid), "-d", str(int(seconds)), "-r", "500", "-f", "raw", "-o", str(into)]
    return [tool, *command] if tool else None


def perf(pid: int, seconds: float, into: Path) -> list[str] | None:
    tool = shutil.which("perf")
    return [tool, "record", "-q", "-p", str(pid), "-o", str(into), "--", "sleep", str(seconds)] if tool else None


def deliver_during(server: Roomcast, command: Sequence[str], each: int) -> None:
    """Has changes delivered as long as the tool records."""
    done = threading.Event()

    def record() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        done.set()

    thread = threading.Thread(target=record)
    thread.start()
    while not done.is_set():
        server.load.round(20, each)
    thread.join()


def print_functions(recorded: Path) -> None:
    """The functions in which most samples lie: themselves, and with what they call."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in recorded.read_text().splitlines():
        stack, count = line.rsplit(" ", 1)
        frames = [frame.rsplit(":", 1)[0] for frame in stack.split(";")]
        if frames[-1].startswith(IDLE):
            continue
        own[frames[-1]] += int(count)
        whole.update(dict.fromkeys(frames, int(count)))
    total = sum(own.values())
    print("\nPython functions (py-spy): own %, with callees %")
    for name, hits in own.most_common(SHOWN):
        print(f"{hits / total:6.1%} {whole[name] / total:6.1%}  {name}")


def print_symbols(recorded: Path) -> None:
    """The same of the machine's code, by library and by symbol."""
    for keys in ("dso", "dso,symbol"):
        command = ["perf", "report", "-i", str(recorded), "--no-children", "-s", keys, "--stdio", "-q"]
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        lines = [line for line in shown.splitlines() if line.strip()]
        print(f"\nperf, by {keys}", *lines[:SHOWN], sep="\n")


if __name__ == "__main__":
    main()
