"""Many records of an endpoint as one JSON array, put together by the database.

Invariant: Python never touches a single record here. The array is one value of one row, so the thread that reads it
does not hold the interpreter while the database works: 100,000 records delay the event loop by no more than the
copying of their bytes.
"""

from typing import NamedTuple

from peewee import Database, PostgresqlDatabase

ENVELOPE = (
    """'{"uniqueId":"' || unique_id || '","data":' || data"""
    """ || ',"createdAt":"' || created_at || '","updatedAt":"' || updated_at || '"}'"""
)


class Page(NamedTuple):
    """Which records of an endpoint: everybody's, or those of one owner; so many after so many."""

    endpoint_id: int
    owner_id: int | None
    limit: int
    offset: int

    def source(self, param: str) -> str:
        """The rows of the page, oldest first."""
        owned = f" AND owner_id = {param}" if self.owner_id is not None else ""
        return f"FROM record WHERE endpoint_id = {param}{owned} ORDER BY id LIMIT {param} OFFSET {param}"

    @property
    def values(self) -> list[int]:
        return [value for value in self if value is not None]


def page_size(db: Database, page: Page) -> int:
    """Characters of data in a page."""
    sql = f"SELECT coalesce(sum(length(data)), 0) FROM (SELECT data {page.source(db.param)}) page"
    return int(db.execute_sql(sql, page.values).fetchone()[0])


def page_of(db: Database, page: Page, *, data_only: bool) -> bytes:
    """The JSON array of a page; `data_only` leaves out the envelopes."""
    shown = "data" if data_only else ENVELOPE
    postgres = isinstance(db, PostgresqlDatabase)
    # SQLite before 3.44 has no ORDER BY in aggregates; it reads an ordered subquery with a LIMIT in its order
    joined = "string_agg(shown, ',' ORDER BY id)" if postgres else "group_concat(shown, ',')"
    array = f"'[' || coalesce({joined}, '') || ']'"
    chosen = array if postgres else f"CAST({array} AS BLOB)"  # bytes as they lie; PostgreSQL would send them as hex
    sql = f"SELECT {chosen} FROM (SELECT id, {shown} AS shown {page.source(db.param)}) page"
    found: str | bytes = db.execute_sql(sql, page.values).fetchone()[0]
    return found if isinstance(found, bytes) else found.encode()
