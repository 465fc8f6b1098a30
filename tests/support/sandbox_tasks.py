"""Tasks for tests of the sandbox: what a worker process may not do, tried from within one."""

import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from server.errors import EXPRESSION_FAILED, Refused
from server.sandbox.tasks import EXPRESSION, Limits, Task

HERE = "tests.support.sandbox_tasks"
PATIENT = Limits(seconds=20, memory=256 << 20, size=1 << 20)
held: list[bytes] = []


def who() -> int:
    return os.getpid()


def echo(*values: Any) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def repeat(data: bytes, times: int) -> bytes:
    return data * times


def spin() -> None:
    while True:
        pass


def take(size: int) -> int:
    """Memory that is given back; its pages are touched."""
    return len(b"x" * size)


def keep(size: int) -> int:
    """Memory that is not given back."""
    held.append(b"x" * size)
    return os.getpid()


def refuse(text: str) -> None:
    raise Refused(EXPRESSION_FAILED, text)


def fail() -> None:
    raise KeyError("a value of a user")


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def no_json() -> object:
    return object()


def surroundings() -> dict[str, Any]:
    """What a worker was given: environment, descriptors."""
    return {"environ": sorted(os.environ), "descriptors": [number for number in range(256) if is_open(number)]}


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def attempts() -> dict[str, str]:
    """What becomes of things that no task needs."""
    tried: dict[str, Callable[[], Any]] = {
        "read a file": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "write a file": lambda: os.open("/tmp/sandbox", os.O_CREAT | os.O_WRONLY),
        "socket": socket.socket,
        "pipe": os.pipe,
        "command": lambda: subprocess.run([sys.executable, "-V"], check=False),
        "core dump": lambda: resource.setrlimit(resource.RLIMIT_CORE, (1, 1)),
    }
    return {name: outcome(attempt) for name, attempt in tried.items()}


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except (OSError, ValueError):
        return "refused"
    return "done"


QUICK_TASKS = (who, echo, repeat, spin, take, keep, refuse, fail, die, no_json, surroundings, attempts)
TASKS = {task.__name__: Task(f"{HERE}:{task.__name__}", EXPRESSION) for task in QUICK_TASKS} | {
    f"patient_{task.__name__}": Task(f"{HERE}:{task.__name__}", PATIENT) for task in (who, take, spin)
}
