"""Many records of an endpoint as one JSON array, put together by the database.

Invariant: Python never touches a single record here. The array is one value of one row, so the thread that reads it
does not hold the interpreter while the database works: 100,000 records delay the event loop by no more than the
copying of their bytes.
"""

from peewee import Database, PostgresqlDatabase

ENVELOPE = (
    """'{"uniqueId":"' || unique_id || '","data":' || data"""
    """ || ',"createdAt":"' || created_at || '","updatedAt":"' || updated_at || '"}'"""
)
PAGE = "FROM record WHERE endpoint_id = {0} ORDER BY id LIMIT {0} OFFSET {0}"


def page_size(db: Database, endpoint_id: int, limit: int, offset: int) -> int:
    """Characters of data in a page of an endpoint's records, oldest first."""
    sql = f"SELECT coalesce(sum(length(data)), 0) FROM (SELECT data {PAGE.format(db.param)}) page"
    return int(db.execute_sql(sql, (endpoint_id, limit, offset)).fetchone()[0])


def page_of(db: Database, endpoint_id: int, limit: int, offset: int, *, data_only: bool) -> bytes:
    """The JSON array of a page of an endpoint's records, oldest first; `data_only` leaves out the envelopes."""
    shown = "data" if data_only else ENVELOPE
    postgres = isinstance(db, PostgresqlDatabase)
    # SQLite before 3.44 has no ORDER BY in aggregates; it reads an ordered subquery with a LIMIT in its order
    joined = "string_agg(shown, ',' ORDER BY id)" if postgres else "group_concat(shown, ',')"
    array = f"'[' || coalesce({joined}, '') || ']'"
    chosen = array if postgres else f"CAST({array} AS BLOB)"  # bytes as they lie; PostgreSQL would send them as hex
    sql = f"SELECT {chosen} FROM (SELECT id, {shown} AS shown {PAGE.format(db.param)}) page"
    found: str | bytes = db.execute_sql(sql, (endpoint_id, limit, offset)).fetchone()[0]
    return found if isinstance(found, bytes) else found.encode()
