"""A worker process: reads calls from its standard input, a socket of the server, runs them, answers on the same.

Invariants: unless its tasks are not confined, it can open no file, socket or process and write no file, and never has
more memory than the limit above what it began with; it ends when the server's end of the socket is closed, and a second
after its time at the latest when the server is no longer there to kill it. The server keeps the time of a call, and
kills on overrun.
"""

import contextlib
import gc
import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from server.errors import Refused
from server.sandbox.frames import BEGAN, BROKEN, LENGTH, NO_MEMORY, READY, REFUSED, RESULT, pack, unpack
from server.sandbox.tasks import Limits

LINK = 0  # the file descriptor of the socket
TOO_LARGE = "The result is too large."
OUT_OF_MEMORY = pack(NO_MEMORY)  # made while there is some
KEPT = 1 / 4  # of the memory: a worker that holds more after a call makes room for a new one


class AddressSpace:
    """How much this process has mapped; 0 where the system does not tell, such as macOS."""

    def __init__(self) -> None:
        self.file: BinaryIO | None = None
        with contextlib.suppress(FileNotFoundError):
            self.file = Path("/proc/self/statm").open("rb", buffering=0)  # noqa: SIM115  kept open

    def size(self) -> int:
        if self.file is None:
            return 0
        self.file.seek(0)
        return int(self.file.read(64).split()[0]) * resource.getpagesize()


class Worker:
    """The tasks of one kind and their limits."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]], limits: Limits, link: int) -> None:
        self.functions = functions
        self.limits = limits
        self.space = AddressSpace()
        self.most_kept = self.space.size() + limits.memory * KEPT if limits.memory else math.inf
        self.calls = open(link, "rb", closefd=False)  # noqa: SIM115  kept open
        self.answers = open(link, "wb", closefd=False)  # noqa: SIM115  kept open

    def serve(self) -> None:
        """Runs calls until the server goes, or this process should make room for a fresh one."""
        self.say(READY)
        while len(head := self.calls.read(LENGTH.size)) == LENGTH.size:
            self.answer(*unpack(self.calls.read(*LENGTH.unpack(head))))
            if self.space.size() > self.most_kept:
                break
            self.say(READY)

    def answer(self, task: str, *args: Any) -> None:
        """Runs one call and says how it ended."""
        signal.alarm(math.ceil(self.limits.seconds) + 1)
        self.say(BEGAN)
        answer = self.run(task, *args)
        signal.alarm(0)
        self.answers.write(answer)
        self.answers.flush()

    def run(self, task: str, *args: Any) -> bytes:
        """The frame with the result, or with what went wrong."""
        try:
            answer = pack(RESULT, self.functions[task](*args))
            return answer if len(answer) <= self.limits.size else pack(REFUSED, TOO_LARGE)
        except MemoryError:
            return OUT_OF_MEMORY
        except Refused as error:
            return pack(REFUSED, str(error.detail))
        except Exception as error:
            return pack(BROKEN, place_of(error))

    def say(self, *parts: Any) -> None:
        self.answers.write(pack(*parts))
        self.answers.flush()


def place_of(error: Exception) -> str:
    """What went wrong and where, without the values of a user that its text might quote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "nowhere"
    return f"{type(error).__name__} at {where}"


def load(path: str) -> Callable[..., Any]:
    """The function of a `module:name`."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def hidden_link() -> int:
    """Moves the socket to where no command finds it that this process may start, and returns the place."""
    link, nothing = os.dup(LINK), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, LINK)
    os.close(nothing)
    return link


def confine(memory: int) -> None:
    """Takes away what no task needs, for good; `memory` is the size of the whole address space, 0: any."""
    lowest_free = os.dup(LINK)
    os.close(lowest_free)
    limits = {
        resource.RLIMIT_NOFILE: lowest_free,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_AS: memory or resource.RLIM_INFINITY,
    }
    for what, most in limits.items():
        resource.setrlimit(what, (most, most))


def main() -> None:
    """`python -m server.sandbox.worker '{"tasks": {name: "module:function"}, "limits": […]}'`"""
    for number in (signal.SIGTERM, signal.SIGINT):  # a platform may signal every process; calls are still answered
        signal.signal(number, signal.SIG_IGN)
    given = json.loads(sys.argv[1])
    limits = Limits(*given["limits"])
    functions = {name: load(path) for name, path in given["tasks"].items()}
    worker = Worker(functions, limits, LINK if limits.confined else hidden_link())
    gc.collect()
    gc.freeze()
    size = worker.space.size()
    if limits.confined:
        confine(size and size + limits.memory)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server is gone
        worker.serve()
    os._exit(0)


if __name__ == "__main__":
    main()
