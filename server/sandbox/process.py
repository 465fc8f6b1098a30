"""A worker process as the server sees it: one call at a time, and an end at any time.

Invariants: the process inherits no descriptor but its socket and the standard error, and nothing of the environment
but where Python and its modules are, and what one that is not confined is given. What it has started ends with it.
Whatever goes wrong between the two ends it; nothing here waits for it by blocking, except that starting it takes the
event loop a fifth of a millisecond.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from server.sandbox.frames import BEGAN, LENGTH, READY, unpack
from server.sandbox.tasks import Limits

COMMAND = ("-X", "utf8", "-W", "ignore", "-m", "server.sandbox.worker")  # what users write warns about nothing here
WHERE_PYTHON_IS = ("PYTHONHOME", "LD_LIBRARY_PATH")  # some platforms have it in an odd place
MARGIN = 1024  # bytes of a frame beside its content
Answer = list[Any]


class Call:
    """A call as its caller keeps it: the process may be given the next one before the caller has seen the answer."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.began: asyncio.Future[bool] = loop.create_future()
        self.answer: asyncio.Future[Answer | None] = loop.create_future()

    def hear(self, answer: Answer) -> None:
        """What the process says of it: first that it begins, then how it ended."""
        if answer == [BEGAN]:
            settle(self.began, True)
        else:
            settle(self.answer, answer)

    def lose(self) -> None:
        """The process has ended; what was not told will not be."""
        settle(self.began, False)
        settle(self.answer, None)


class WorkerProcess(asyncio.Protocol):
    """A running process; `waits` is called each time when it is ready for a call."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", size: int, waits: "Callable[[WorkerProcess], object]"
    ) -> None:
        self.process = process
        self.size = size
        self.waits = waits
        self.was_ready = False
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport
        self._call = Call()
        self._received = bytearray()
        self._killed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Takes frames; what is no frame raises, and so ends the connection."""
        self._received += data
        if len(self._received) > self.size + MARGIN:
            self.kill()
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                break
            answer = unpack(bytes(self._received[LENGTH.size : end]))
            del self._received[:end]
            if answer == [READY]:
                self.was_ready = True
                self.waits(self)
            else:
                self._call.hear(answer)

    def connection_lost(self, error: Exception | None) -> None:
        self.kill()
        self.ended.set()
        self._call.lose()

    async def begin(self, request: bytes) -> Call | None:
        """Sends a call; returns it when it has begun, None when the process ended before."""
        call = self._call = Call()
        if self.ended.is_set():
            return None
        self.transport.write(request)
        try:
            return call if await call.began else None
        except asyncio.CancelledError:
            self.give_up(call)
            raise

    async def finish(self, call: Call, seconds: float) -> Answer | None:
        """The answer of a call that began; None when the process ended instead. Raises TimeoutError after so many
        seconds, unless the answer was on its way: it is the process that has to be in time, not this one."""
        try:
            done, _ = await asyncio.wait([call.answer], timeout=seconds)
        finally:
            self.give_up(call)
        answer = await call.answer
        if answer is None and not done:
            raise TimeoutError
        return answer

    def give_up(self, call: Call) -> None:
        """Ends the process if the call has not been answered."""
        if not call.answer.done():
            self.kill()

    def kill(self) -> None:
        """Ends the process at once, whatever it does, and with it what it has started."""
        if not self._killed:  # later its number may be somebody else's
            self._killed = True
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def reap(self) -> int:
        """Kills it, waits until nothing is left of it, and returns how it ended."""
        self.kill()
        self.transport.close()
        try:
            return await asyncio.to_thread(self.process.wait)
        except asyncio.CancelledError:
            self.process.wait()  # the thread may not have begun; a killed process does not take long
            raise


async def start_process(
    functions: Mapping[str, str],
    limits: Limits,
    waits: Callable[[WorkerProcess], object],
    environ: Mapping[str, str] = MappingProxyType({}),
) -> WorkerProcess:
    """Starts a process for these tasks; raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = spawn(theirs, json.dumps({"tasks": dict(functions), "limits": limits}), environ)
    ours.setblocking(False)
    worker = WorkerProcess(process, limits.size, waits)
    try:
        await asyncio.get_running_loop().create_unix_connection(lambda: worker, sock=ours)
    except BaseException:
        ours.close()
        process.kill()
        process.wait()
        raise
    return worker


def settle(future: "asyncio.Future[Any]", value: object) -> None:
    """Sets a result unless there is one, or whoever waited has gone."""
    if not future.done():
        future.set_result(value)


def spawn(link: socket.socket, task: str, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Not the subprocesses of the event loop: those of uvloop copy the memory map of the server, which takes the longer
    the more it holds (7 ms with 300 MB), and hand on some descriptors."""
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path)
    needed = {name: os.environ[name] for name in WHERE_PYTHON_IS if name in os.environ} | {"PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, *COMMAND, task],
        stdin=link.fileno(),
        stdout=subprocess.DEVNULL,
        env={**environ, **needed},
        start_new_session=True,
    )
