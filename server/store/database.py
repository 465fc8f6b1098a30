"""Opening a `DATABASE_URL`, and which failures of a database mean "try again" and which "not now"."""

from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from peewee import Database, DatabaseError, InterfaceError, OperationalError, PostgresqlDatabase, SqliteDatabase

SQLITE = "sqlite:///"
PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",  # a commit that was told to clients must survive a power cut
    "foreign_keys": 0,
    "cache_size": -65536,  # KiB
    "journal_size_limit": 64 << 20,
}
BUSY_TIMEOUT = 5  # seconds SQLite itself waits for another process's write before the action is re-run
RETRIED_STATES = {"40001", "40P01", "55P03"}  # serialisation failure, deadlock, lock not available
STATEMENT_TIMEOUT = "30s"
KEEPALIVES = {  # seconds, but for the last: milliseconds; a server that vanished is noticed within 20 s
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
LOCK_TIMEOUT = "5s"  # so that a stuck neighbour ends in a retry and then in 503, not in a hanging request


def open_database(url: str) -> Database:
    """A database object that opens one connection per thread; `url` is sqlite:///FILE or postgres://…"""
    if url.startswith(SQLITE):
        path = Path(url.removeprefix(SQLITE))
        path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteDatabase(str(path), pragmas=PRAGMAS, lock_type="IMMEDIATE", timeout=BUSY_TIMEOUT)
    options = f"-c lock_timeout={LOCK_TIMEOUT} -c statement_timeout={STATEMENT_TIMEOUT} -c timezone=UTC"
    conninfo = "postgresql://" + url.removeprefix("postgres://")
    return PostgresqlDatabase(conninfo, prefer_psycopg3=True, connect_timeout=5, options=options, **KEEPALIVES)


def database_name(url: str) -> str:
    """The database for log lines: without user and password."""
    if url.startswith(SQLITE):
        return url.removeprefix(SQLITE)
    parts = urlsplit(url)
    return f"postgres://{parts.hostname}:{parts.port or 5432}{parts.path}"


def sql_state(error: DatabaseError) -> str:
    """The SQLSTATE of a PostgreSQL error, empty for others."""
    return str(getattr(cause_of(error), "sqlstate", None) or "")


def cause_of(error: DatabaseError) -> object:
    """The driver's error behind peewee's."""
    return error.args[0] if error.args else None


def is_conflict(error: Exception) -> bool:
    """True for failures after which the same transaction may well succeed."""
    if not isinstance(error, DatabaseError):
        return False
    if isinstance(cause_of(error), psycopg.Error):
        return sql_state(error) in RETRIED_STATES
    return "locked" in str(error) or "busy" in str(error)


def is_unavailable(error: Exception) -> bool:
    """True where the database cannot be reached or written: connection lost, disk full, read-only."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError | DatabaseError):
        return False
    state = sql_state(error)
    if state:
        return state[:2] in ("08", "53", "57", "58") or state == "25006"
    if isinstance(cause_of(error), psycopg.OperationalError):
        return True  # without a state it comes from no statement but from the way to the server
    words = ("disk", "readonly", "read-only", "unable to open", "connection", "closed", "i/o error")
    return any(word in str(error).lower() for word in words)
