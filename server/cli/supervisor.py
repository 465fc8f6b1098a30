"""Several serving processes on one port, and the small process that looks after them.

Invariants: the supervisor runs no event loop and no thread, so that forking is safe at any time; a worker that dies
is replaced, on the same listening socket; workers hang on a pipe, the leash: when the supervisor closes it, or dies,
they stop gracefully. So a signal reaches each worker once, also on platforms that signal every process themselves.
"""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType

EARLY = 5.0  # seconds: a worker that dies sooner has not really started
EARLY_LIMIT = 5  # such deaths in a row after which the supervisor gives up
PAUSE = 1.0  # seconds before a worker that died early is replaced
logger = logging.getLogger(__name__)
Serve = Callable[[socket.socket, int], int]


class Supervisor:
    """Keeps one worker a listening socket; `serve(listener, leash)` is a worker's work and returns its status."""

    def __init__(self, listeners: list[socket.socket], serve: Serve) -> None:
        self.listeners = listeners
        self.serve = serve
        self.workers: dict[int, tuple[socket.socket, float]] = {}  # process id -> its socket, when it started
        self.leash, self.hand = os.pipe()
        self.stopping = False
        self.early = 0
        self.status = 0

    def run(self) -> int:
        """Serves until a signal; returns the exit status: 0, or 1 when workers failed for good."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.on_signal)
        for listener in self.listeners:
            self.start(listener)
        while self.workers:
            pid, status = os.wait()
            listener, started = self.workers.pop(pid)
            self.on_end(listener, os.waitstatus_to_exitcode(status), time.monotonic() - started)
        return self.status

    def start(self, listener: socket.socket) -> None:
        """Forks a worker, unless the end has begun."""
        block()
        pid = os.fork() if not self.stopping else -1
        if pid == 0:
            self.become_worker(listener)
        if pid > 0:
            self.workers[pid] = (listener, time.monotonic())
        unblock()

    def become_worker(self, listener: socket.socket) -> None:
        """In the child: lets go of what is not its own, serves, exits."""
        status = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            unblock()
            os.close(self.hand)
            for other in self.listeners:
                if other is not listener:
                    other.close()
            status = self.serve(listener, self.leash)
        except BaseException:
            logger.exception("worker failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # the supervisor's own clean-up is not the worker's

    def on_end(self, listener: socket.socket, status: int, age: float) -> None:
        """Replaces a worker, or notes how it stopped."""
        if self.stopping:
            self.status = self.status or int(status != 0)
            return
        logger.error("worker ended with status %d after %.0f s", status, age)
        self.early = self.early + 1 if age < EARLY else 0
        if self.early >= EARLY_LIMIT:
            logger.critical("workers cannot start; giving up")
            self.status = 1
            self.stop()
            return
        if self.early:
            time.sleep(PAUSE)
        self.start(listener)

    def stop(self) -> None:
        """Closes the port, so that nobody waits at it in vain, and lets the workers stop."""
        self.stopping = True
        for listener in self.listeners:
            listener.close()
        os.close(self.hand)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The first signal begins the end, the second one is the end."""
        if not self.stopping:
            self.stop()
            return
        for pid in self.workers:
            os.kill(pid, signal.SIGKILL)
        os._exit(128 + number)


def block() -> None:
    """Holds signals back, so that none arrives between a fork and the note of it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))


def unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
