"""Fixtures for all tests. Servers start when the first test asks for one and serve the whole session.

Nothing is skipped: a server that cannot be had fails the tests that need it, and says what to install.
"""

import gc
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from server.auth import passwords
from server.store.migrate import migrate
from tests.support.node import Toolchain, install, toolchain
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.reused_database import ReusedDatabase

pytest_plugins = ["tests.support.security_report"]
BUDGETS = {
    "unit": 60,
    "integration": 360,
    "conformance": 150,
    "faults": 240,
    "security": 90,
}  # seconds on two cores; CONTRIBUTING.md names them too


def pytest_collection_finish() -> None:
    """Takes what was imported and collected out of the garbage collector's rounds, as `serve` does."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how long each folder of tests took and how long it may take; a statement, not a test."""
    spent: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[report.nodeid.split("/")[1]] += round(report.duration * 1000)
    for folder, milliseconds in sorted(spent.items()):
        terminalreporter.write_line(f"tests/{folder}: {milliseconds / 1000:.0f} s of {BUDGETS.get(folder)} s")


@pytest.fixture(scope="session", autouse=True)
def quick_hashing() -> Iterator[None]:
    """Hashes passwords as always, but with little work: every test signs somebody up. Processes of their own hash as
    in production, and so do tests of passwords (`real_hashing`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


@pytest.fixture
def real_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes passwords as in production."""
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis server of the session; a test may stop, kill or pause it."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The REDIS_URL of a running, empty server."""
    redis_server.reset()
    return redis_server.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of the session, with durable commits; a test may stop, kill or pause it."""
    deadlocks = {"deadlock_timeout": "50ms"}  # found soon: it is the server's second, not ours, that would pass
    with PostgresServer(options=deadlocks) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The DATABASE_URL of a new, empty database."""
    postgres_server.reset()
    url = postgres_server.create_database()
    yield url
    postgres_server.reset()
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def reused_database(postgres_server: PostgresServer) -> ReusedDatabase:
    """A migrated PostgreSQL database for tests that need no other than an empty one."""
    return ReusedDatabase(postgres_server)


@pytest.fixture
def migrated_postgres_url(reused_database: ReusedDatabase) -> str:
    """The DATABASE_URL of a migrated database without rows, where it need not be a new one."""
    reused_database.empty()
    return reused_database.url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database without rows, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.sqlite3"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite database without rows, for what is the same on every database."""
    return f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'test.sqlite3')}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database without rows, of each kind."""
    url: str = request.getfixturevalue("migrated_postgres_url" if request.param == "postgres" else "sqlite_url")
    return url


@pytest.fixture(scope="session")
def node() -> Toolchain:
    """Node.js with the official clients installed; `NodeClient(node)` runs one."""
    tools = toolchain()
    install(tools)
    return tools
