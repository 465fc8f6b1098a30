"""The server as it is released, in a process on a core of its own, with its clients on the other one."""

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.load import CORE
from bench.rest_client import Person
from bench.servers import cpu_seconds, pinned
from tests.support.processes import Child, free_port

SECRET = "k" * 48


def take_client_core() -> None:
    """Keeps this thread, the load generator, off the core of the servers."""
    os.sched_setaffinity(0, {min(CORE, (os.cpu_count() or 1) - 1)})


class Released:
    """`python -m server serve` with default settings; use as a context manager. Files lie in `folder`."""

    def __init__(self, database_url: str | None = None) -> None:
        self.port = free_port()
        self.stack = ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="roomcast-bench-")))
        self.database_url = database_url or f"sqlite:///{self.folder}/bench.sqlite3"
        self.child: Child

    def environ(self) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": self.database_url,
            "FILE_STORAGE": f"file://{self.folder}/files",
            "SECRET_KEY": SECRET,
            "LOG_LEVEL": "WARNING",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }

    def __enter__(self) -> Self:
        with Child([sys.executable, "-m", "server", "migrate"], env=self.environ()) as migrate:
            if migrate.wait() != 0:
                raise RuntimeError(f"the database cannot be migrated:\n{migrate.output}")
        self.child = self.stack.enter_context(
            Child(pinned([sys.executable, "-m", "server", "serve"]), env=self.environ())
        )
        self.child.wait_port(self.port)
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def cpu(self) -> float:
        return cpu_seconds(self.child.pid)

    def sign_up(self) -> Person:
        return Person.sign_up(self.port, "ann")
