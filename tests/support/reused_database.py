"""A migrated PostgreSQL database that test after test uses, emptied in between: most tests are over sooner than a new
database would be made.

Invariant: an emptied database differs from a new one in nothing but its name and its age.
"""

import psycopg
from psycopg import sql

from server.store.migrate import migrate
from tests.support.postgres_server import PostgresServer

HISTORY = "schema_migration"  # the only table with rows after a migration
LEAVE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
RELATIONS = "SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace"
RESTART = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE schemaname = 'public' AND sequencename NOT LIKE 'schema_migration%'
"""

Connection = psycopg.Connection[tuple[str, str]]


class ReusedDatabase:
    """One database of a server, for one test at a time."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        server.reset()
        self.url = server.create_database()
        migrate(self.url)
        with psycopg.connect(self.url) as connection:
            self._relations = relations(connection)
            for name in self._tables:
                count = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(name))
                assert connection.execute(count).rowcount == 0, f"a migration fills {name}; `empty` would lose that"

    @property
    def _tables(self) -> set[str]:
        return {name for name, kind in self._relations if kind == "r" and name != HISTORY}

    def empty(self) -> None:
        """Ends the connections to it, removes users' tables and all rows, and begins all ids anew."""
        self._server.reset()
        with psycopg.connect(self.url) as connection:
            connection.execute(LEAVE)
            for name, kind in relations(connection) - self._relations:
                if kind == "r":
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)))
            for name in self._tables:
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            connection.execute(RESTART)
            assert relations(connection) == self._relations


def relations(connection: Connection) -> set[tuple[str, str]]:
    """Tables, indexes and sequences, with their kinds."""
    return set(connection.execute(RELATIONS))
