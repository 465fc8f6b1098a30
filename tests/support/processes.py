"""Child processes of tests: waited for by condition, with a deadline, and surely gone.

Invariants: a child leads its own session, so a signal for the test runner does not reach it halfway; it dies with the
runner (`guard.py`); after `terminate` or `kill` nothing of its session or of its descendants is left.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

import psutil

GUARD = Path(__file__).with_name("guard.py")
KEPT_LINES = 20_000
TICK = 0.01  # seconds between two looks at a condition that cannot wake us

# The kernel sends the death signal when the *thread* that started the child ends, so one thread that lives as long as
# the runner starts them all, whichever thread asks.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="starter")


def guarded(
    argv: Sequence[str | Path], *, user: str | None = None, death_signal: signal.Signals = signal.SIGKILL
) -> list[str]:
    """The command line that runs `argv` as `user`, bound to the life of this process."""
    launcher = [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(int(death_signal)), user or "-"]
    return [*launcher, *map(str, argv)]


def free_port() -> int:
    """A free loopback port outside the range from which the kernel takes the ports of outgoing connections,

    so that a server which stops and starts again finds its port still free.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], bool], timeout: float, what: str) -> None:
    """Return once `condition()` holds; TimeoutError naming `what` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(TICK)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that only waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def accepts(port: int) -> bool:
    """Whether something on this machine accepts connections on `port`."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Child:
    """A running child process; its output (both streams) is kept line by line."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        user: str | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name = Path(argv[0]).name
        self._stop_signal = stop_signal
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._news = threading.Condition()
        self._ended = False
        self._paused = False
        command = guarded(argv, user=user, death_signal=death_signal)
        self._popen = _starter.submit(self._open, command, dict(os.environ if env is None else env), cwd).result()
        self._reader = threading.Thread(target=self._read, name=f"output of {self.name}", daemon=True)
        self._reader.start()

    @staticmethod
    def _open(command: list[str], env: dict[str, str], cwd: Path | str | None) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stream:
            for line in stream:
                with self._news:
                    self._lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    @property
    def output(self) -> str:
        """What it wrote so far (the last 20,000 lines)."""
        with self._news:
            return "\n".join(self._lines)

    def wait(self, timeout: float = 30) -> int:
        """Its exit status, once it ended by itself."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(self._story(f"did not end within {timeout} s")) from None
        self._reader.join(timeout)
        return status

    def wait_line(self, pattern: str, timeout: float = 30) -> str:
        """The first line so far or to come in which `pattern` (a regular expression) is found."""
        find = re.compile(pattern).search
        with self._news:
            self._news.wait_for(lambda: self._ended or any(map(find, self._lines)), timeout)
            for line in self._lines:
                if find(line):
                    return line
            ended = self._ended
        raise TimeoutError(self._story("ended" if ended else f"took over {timeout} s", f"no line with {pattern!r}"))

    def wait_port(self, port: int, timeout: float = 30) -> None:
        """Return once `port` accepts connections."""
        wait_until(lambda: accepts(port) or not self.running, timeout, f"{self.name} accepts on port {port}")
        if not self.running:
            raise TimeoutError(self._story(f"ended before it accepted on port {port}"))

    def pause(self) -> None:
        """Stop every process of it in its tracks; peers see silence, not an end."""
        self._paused = True
        for process in self._family():  # the leader first: it cannot start another one meanwhile
            with contextlib.suppress(psutil.NoSuchProcess):  # it may end by itself meanwhile
                process.suspend()

    def resume(self) -> None:
        """Let a paused child go on."""
        if not self._paused:  # looking for its processes takes milliseconds
            return
        self._paused = False
        for process in reversed(self._family()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def terminate(self, timeout: float = 15) -> int:
        """Ask it to end, then make it end; returns the exit status once nothing of it is left."""
        family = self._family()
        if self.running:
            self._popen.send_signal(self._stop_signal)
            self._popen.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(timeout)
        return self._finish(family)

    def kill(self) -> int:
        """End it without a warning, as a crash would."""
        return self._finish(self._family())

    def _finish(self, family: list[psutil.Process]) -> int:
        for process in {*family, *self._family()}:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        status = self._popen.wait(30)
        wait_until(
            lambda: not any(is_alive(process.pid) for process in family), 30, f"the processes of {self.name} end"
        )
        self._reader.join(30)
        return status

    def _family(self) -> list[psutil.Process]:
        """The child, its descendants (PostgreSQL's lead sessions of their own) and whatever shares its session."""
        family: dict[int, psutil.Process] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self.pid)
            family = {process.pid: process for process in (leader, *leader.children(recursive=True))}
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.pid:
                    family.setdefault(process.pid, process)
        return list(family.values())

    def _story(self, *problem: str) -> str:
        return f"{self.name}: {', '.join(problem)}; its last lines:\n" + "\n".join(self.output.splitlines()[-30:])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()
