"""The load generator as Python drives it: one process that holds all client connections to one server."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bench.build import program

CORE = 1  # where all clients run; servers have core 0
AT_ONCE = 64  # connections that are being opened at a time
SILENCE = 10_000  # milliseconds without a delivery after which a round is given up


@dataclass(frozen=True)
class Clients:
    """What clients of one kind do until they are ready: `path` of the WebSocket, "-" for plain TCP, and texts to send
    or to expect; `{token}` stands for the client's own token."""

    path: str
    steps: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> list[str]:
        return ["group", self.path, *(word for step in self.steps for word in step)]


@dataclass(frozen=True)
class Round:
    """What clients heard; times in microseconds, `own_cpu` in seconds; `parts` are the mean times of the fifths."""

    deliveries: int
    lost: int
    duplicates: int
    disordered: int
    ended: int
    bytes: int
    seconds: float
    p50: float
    p90: float
    p99: float
    max: float
    own_cpu: float
    first: int
    parts: tuple[float, ...]

    @property
    def whole(self) -> bool:
        """Everybody heard everything once and in order."""
        return self.complete and not self.disordered

    @property
    def complete(self) -> bool:
        """Everybody heard everything once; changes of several clients have no order before they are committed."""
        return not (self.lost or self.duplicates or self.ended)


class Load:
    """A running generator; `control_port` 0 where nobody is to be conducted."""

    def __init__(
        self,
        port: int,
        control_port: int,
        groups: Sequence[Clients],
        *,
        tokens: Path | None = None,
        only: str | None = None,
    ) -> None:
        command = [str(program("load")), str(control_port), str(port)]
        command += ["only", only] if only else []
        command += ["tokens", str(tokens)] if tokens else []
        for group in groups:
            command += group.arguments()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self.process.pid, {min(CORE, os.cpu_count() or 1)})
        self.connections = 0
        self.next = 1  # the number of the next change that is published through the control port

    def say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the load generator ended")
        return json.loads(line)

    def open(self, count: int, group: int = 0, at_once: int = AT_ONCE) -> float:
        """Opens connections until so many of them are ready; returns the seconds it took."""
        self.say(f"open {count} {group} {at_once}")
        answer = self.hear()
        if answer["failed"]:
            raise RuntimeError(f"{answer['failed']} of {count} connections failed")
        self.connections = answer["open"]
        return float(answer["seconds"])

    def round(self, turns: int, each: int, interval: float = 0.0, silence: int = SILENCE) -> Round:
        """Has `each` changes published in every turn: a turn begins when everybody heard the last one, or all
        `interval` seconds."""
        self.say(f"round {turns} {each} {int(interval * 1e9)} {silence}")
        self.next += turns * each
        return Round(**self.hear())

    def watch(self, changes: int, first: int = 1, silence: int = SILENCE) -> None:
        """Begins to expect changes, numbered from `first`, that somebody else makes; `result` waits for them."""
        self.say(f"watch {changes} {first} {silence}")
        self.hear()

    def result(self) -> Round:
        return Round(**self.hear())

    def close(self) -> int:
        """Closes all connections and can open new ones; returns how many changes were heard outside of rounds."""
        self.say("close")
        self.connections = 0
        return int(self.hear()["strays"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()
