"""Statements that make tables, written once for both databases.

`{id}` and `{bigid}` are keys that the database counts, `{logid}` one that we do; none of them is ever given twice.
"""

from peewee import Database, PostgresqlDatabase

TYPES = {
    "sqlite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "bigid": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "logid": "INTEGER PRIMARY KEY",
        "bytes": "BLOB",
        "clustered": " WITHOUT ROWID",
    },
    "postgres": {
        "id": "SERIAL PRIMARY KEY",
        "bigid": "BIGSERIAL PRIMARY KEY",
        "logid": "BIGINT PRIMARY KEY",
        "bytes": "BYTEA",
        "clustered": "",
    },
}


def create(db: Database, statements: str) -> None:
    """Runs statements that are separated by semicolons."""
    dialect = "postgres" if isinstance(db, PostgresqlDatabase) else "sqlite"
    for statement in statements.format(**TYPES[dialect]).split(";"):
        if statement.strip():
            db.execute_sql(statement)
