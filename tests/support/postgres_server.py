"""A real PostgreSQL server for the tests, in a temporary directory, on a free loopback port.

Commits are durable (`fsync=on`) unless told otherwise: tests of crashes and measurements of commits mean nothing
without. PostgreSQL refuses to run as root; root starts it as `nobody`, who then owns the directory.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.support.postgres_binaries import carried_binaries, copy_carried, system_binaries
from tests.support.processes import Child, free_port

OWNER = "roomcast"
NOBODY = "nobody"
LOCALE = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": LOCALE, "TZ": "UTC"}
OPTIONS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "max_connections": "200"}


class PostgresServer:
    """A PostgreSQL server that can be stopped, killed, paused and started again on the same port with its data."""

    def __init__(
        self, *, fsync: bool = True, options: Mapping[str, str] | None = None, binaries: Path | None = None
    ) -> None:
        self._binaries = binaries
        self._options = {**OPTIONS, "fsync": "on" if fsync else "off", **(options or {})}
        self._user = NOBODY if os.geteuid() == 0 else None
        self._home: Path | None = None
        self._child: Child | None = None
        self.port = free_port()

    @property
    def child(self) -> Child:
        """The running process; RuntimeError when it is not started."""
        if self._child is None:
            raise RuntimeError("the PostgreSQL server is not running")
        return self._child

    @property
    def directory(self) -> Path:
        """Where its data are; RuntimeError before the first start."""
        if self._home is None:
            raise RuntimeError("the PostgreSQL server was never started")
        return self._home

    def url(self, database: str) -> str:
        """The DATABASE_URL of a database."""
        return f"postgres://{OWNER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> Self:
        """Start it, unless it runs; returns when it accepts connections."""
        if self._child is not None and self._child.running:
            return self
        home = self._home or self._make_home()
        settings = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        self._child = Child(
            [self._folder() / "postgres", "-D", home / "data", "-p", str(self.port), *settings],
            env=ENVIRONMENT,
            cwd=home,
            user=self._user,
            stop_signal=signal.SIGINT,  # "fast": does not wait until the clients leave
            death_signal=signal.SIGQUIT,  # takes its processes and its shared memory along
        )
        self._child.wait_line("database system is ready to accept connections", timeout=60)
        return self

    def stop(self) -> None:
        """End it in order; connections close, data stay."""
        if self._child is not None:
            self._child.terminate(timeout=30)
            self._child = None

    def kill(self) -> None:
        """End all its processes as a crash of the machine would."""
        self.child.kill()
        self._child = None

    def restart(self) -> None:
        """Stop it in order and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and silent."""
        self.child.pause()

    def resume(self) -> None:
        """Let a frozen server go on."""
        self.child.resume()

    def reset(self) -> None:
        """Running, whatever an earlier test did to it."""
        if self._child is not None:
            self._child.resume()
        self.start()

    def create_database(self) -> str:
        """The DATABASE_URL of a new, empty database."""
        name = f"test_{uuid4().hex[:16]}"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, with the connections to it."""
        name = url.rpartition("/")[2]
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def close(self) -> None:
        """Stop it and remove its data."""
        self.stop()
        if self._home is not None:
            shutil.rmtree(self._home)
            self._home = None

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)

    def _make_home(self) -> Path:
        home = Path(tempfile.mkdtemp(prefix="roomcast-postgres-", dir=self._shared_folder()))
        self._home = home
        self._binaries = self._find_binaries(home)
        if self._user:
            for path in (home, *home.rglob("*")):
                shutil.chown(path, self._user)
        options = ["-D", "data", "-U", OWNER, "--auth=trust", "--encoding=UTF8", f"--locale={LOCALE}", "--no-sync"]
        made = subprocess.run(
            [self._folder() / "initdb", *options],
            cwd=home,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            user=self._user,
            extra_groups=[] if self._user else None,
            timeout=120,
            check=False,
        )
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        return home

    def _shared_folder(self) -> str | None:
        """Where temporary directories lie that another user can reach; TMPDIR may be root's own."""
        open_to_all = all(folder.stat().st_mode & 1 for folder in _with_parents(Path(tempfile.gettempdir())))
        return None if open_to_all or self._user is None else "/tmp"

    def _find_binaries(self, home: Path) -> Path:
        chosen = self._binaries or system_binaries() or carried_binaries()
        if chosen is None:
            raise RuntimeError("no PostgreSQL: install postgresql, or the packages of requirements-dev.lock")
        if self._user and chosen == carried_binaries():
            return copy_carried(chosen, home / "programs")
        return chosen

    def _folder(self) -> Path:
        assert self._binaries is not None
        return self._binaries

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_parents(folder: Path) -> list[Path]:
    resolved = folder.resolve()
    return [resolved, *resolved.parents]
