"""One change to thousands of sockets: what it costs the server, next to the kernel's limit and to its peers.

Servers have core 0, the clients core 1. Rounds are interleaved, figures are medians; a ratio is the median of the
pairs of one round, and counts from 7 rounds on and with a steady control (the C loop against itself within 10 %).

    python -m bench fanout [--only cpu_one_at_a_time] [--rounds 7] [--subscribers 1000] [--quick] [--write]
"""

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata

from bench import selfcheck
from bench.figures import ALL, QUICK
from bench.results import machine, today, write_section
from bench.rounds import ENOUGH, Lineup, Options, Report, verdicts
from bench.servers import PEERS
from tests.support.node import toolchain

SHORT = Options(rounds=3, subscribers=(1000,), seconds=0.2, connections=1000, minute=10)
DESCRIPTORS = 12_000  # of one process: 5,000 connections and what else it has


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=ALL, help="measure this figure; may be given again")
    parser.add_argument("--rounds", type=int, help=f"of each figure; {ENOUGH} decide")
    parser.add_argument("--subscribers", type=int, action="append", help="1000 and 5000 if not given")
    parser.add_argument("--quick", action="store_true", help="two minutes: a few figures, three short rounds")
    parser.add_argument("--write", action="store_true", help="write the figures to RESULTS.md")
    given = parser.parse_args(arguments)
    options = SHORT if given.quick else Options()
    options.rounds = given.rounds or options.rounds
    options.subscribers = tuple(given.subscribers or options.subscribers)
    allow_descriptors()
    selfcheck.check()
    reports = measure(given.only or (QUICK if given.quick else tuple(ALL)), options)
    if given.write:
        name = "fanout-quick" if given.quick else "fanout"  # a quick run must not replace a decisive one
        write_section(name, section(reports, options, "Fan-out, quick" if given.quick else "Fan-out"))


def measure(names: Sequence[str], options: Options) -> list[Report]:
    """Measures the figures in order and prints each as soon as it is there."""
    reports = []
    with Lineup() as lineup:
        for name in names:
            began = time.monotonic()
            report = ALL[name](options, lineup)
            print(f"\n## {report.title} [{name}, {time.monotonic() - began:.0f} s]\n", flush=True)
            print("\n".join([*report.lines, "", *verdicts([report])]), flush=True)
            reports.append(report)
    return reports


def section(reports: Sequence[Report], options: Options, heading: str) -> str:
    """What is written to RESULTS.md."""
    how = f"{options.rounds} interleaved rounds, medians; server on core 0, clients on core 1"
    parts = [f"## {heading}", f"{today()}; {machine()}, {peers()}; {how}."]
    for report in reports:
        parts += [f"### {report.title}", "\n".join(report.lines).strip()]
    parts += ["### Against what was to be reached", "\n".join(verdicts(reports))]
    return "\n\n".join(parts)


def peers() -> str:
    """Versions of what is compared with."""
    node = subprocess.run([toolchain().node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = json.loads((PEERS / "package.json").read_text())["dependencies"]
    named = [f"{name} {version}" for name, version in wanted.items()]
    ours = [f"{name} {metadata.version(name)}" for name in ("python-socketio", "aiohttp", "uvloop")]
    return ", ".join([f"Node {node}", *named, *ours])


def allow_descriptors() -> None:
    """Raises the limit of open files for this process and all that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise SystemExit(f"{DESCRIPTORS} open files are needed, {hard} are allowed: ulimit -Hn {DESCRIPTORS} (as root)")
    if soft != resource.RLIM_INFINITY and soft < DESCRIPTORS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("two cores are needed, one for the server and one for its clients")
