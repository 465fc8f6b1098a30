"""Bringing the schema up to date: numbered files in `migrations/`, applied in order, each in one transaction.

Invariant: only one process migrates at a time; the others wait and then find nothing left to do.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peewee import Database, PostgresqlDatabase
from playhouse.migrations import Runner

from server.store.database import open_database

MIGRATIONS = Path(__file__).with_name("migrations")
MIGRATION_LOCK = 0x6D696772


def migrate(url: str) -> list[str]:
    """Applies all pending migrations to the database and returns their names."""
    db = open_database(url)
    with db.connection_context(), migration_lock(db):
        names: list[str] = Runner(db, str(MIGRATIONS)).up()
    return names


def lacking(url: str) -> list[str]:
    """Names of migrations that the database at `url` still lacks."""
    db = open_database(url)
    with db.connection_context():
        return pending(db)


def pending(db: Database) -> list[str]:
    """Names of migrations that this database still lacks."""
    return [item.name for item in Runner(db, str(MIGRATIONS)).status() if item.path and not item.applied]


@contextmanager
def migration_lock(db: Database) -> Iterator[None]:
    """PostgreSQL: a session lock; SQLite: a lock on a file beside the database."""
    if isinstance(db, PostgresqlDatabase):
        db.execute_sql("SET lock_timeout = 0")
        db.execute_sql("SET statement_timeout = 0")
        db.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        try:
            yield
        finally:
            db.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
        return
    with Path(db.database + "-migrate.lock").open("w") as file:  # stays: unlinking would let two hold it
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
