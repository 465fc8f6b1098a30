"""Many records of an endpoint as one JSON array, put together by the database.

Invariant: Python never touches a single record here. The array is one value of one row, so the thread that reads it
does not hold the interpreter while the database works: 100,000 records delay the event loop by no more than the
copying of their bytes.
"""

from collections.abc import Collection
from typing import NamedTuple

from peewee import Database, PostgresqlDatabase

LAST = 2**63 - 1  # above all ids
ENVELOPE = (
    """'{"uniqueId":"' || unique_id || '","data":' || data"""
    """ || ',"createdAt":"' || created_at || '","updatedAt":"' || updated_at || '"}'"""
)


class Page(NamedTuple):
    """Which records of an endpoint: everybody's, or those of one owner, whose ids lie from `first` to `last`."""

    endpoint_id: int
    owner_id: int | None
    first: int
    last: int

    def source(self, param: str) -> str:
        """The rows of the page, in no order."""
        owned = f" AND owner_id = {param}" if self.owner_id is not None else ""
        return f"FROM record WHERE endpoint_id = {param}{owned} AND id BETWEEN {param} AND {param}"

    @property
    def values(self) -> list[int]:
        return [value for value in self if value is not None]


def open_page(db: Database, endpoint_id: int, owner_id: int | None, *, limit: int, offset: int) -> Page:
    """The page of so many records after so many.

    Its ends are counted in an index, and then no LIMIT is left: for the sake of one PostgreSQL reads the whole table by
    its primary key, and each record that is left out, in the hope of meeting enough of the endpoint's soon."""
    whole = Page(endpoint_id, owner_id, 0, LAST)
    first = id_after(db, whole, offset)
    if first is None or not limit:
        return whole._replace(first=1, last=0)
    page = whole._replace(first=first)
    last = id_after(db, page, limit - 1) or id_after(db, page, 0, newest=True)
    return page._replace(last=last or first)


def id_after(db: Database, page: Page, count: int, *, newest: bool = False) -> int | None:
    """The id of the record after so many of a page, from its beginning or from its end."""
    order = "id DESC" if newest else "id"
    sql = f"SELECT id {page.source(db.param)} ORDER BY {order} LIMIT 1 OFFSET {db.param}"
    row = db.execute_sql(sql, [*page.values, count]).fetchone()
    return int(row[0]) if row is not None else None


def page_size(db: Database, page: Page) -> int:
    """Characters of data in a page."""
    sql = f"SELECT coalesce(sum(length(data)), 0) {page.source(db.param)}"
    return int(db.execute_sql(sql, page.values).fetchone()[0])


def page_of(db: Database, page: Page, *, data_only: bool) -> bytes:
    """The JSON array of a page, oldest first; `data_only` leaves out the envelopes."""
    shown = "data" if data_only else ENVELOPE
    rows = f"SELECT id, {shown} AS shown {page.source(db.param)}"
    if isinstance(db, PostgresqlDatabase):
        sql = f"SELECT '[' || coalesce(string_agg(shown, ',' ORDER BY id), '') || ']' FROM ({rows}) page"
    else:
        # before 3.44 SQLite has no ORDER BY in aggregates; it reads an ordered subquery with a LIMIT in its order.
        # Bytes as they lie; PostgreSQL would send them as hex
        array = "'[' || coalesce(group_concat(shown, ','), '') || ']'"
        sql = f"SELECT CAST({array} AS BLOB) FROM ({rows} ORDER BY id LIMIT -1) page"
    found: str | bytes = db.execute_sql(sql, page.values).fetchone()[0]
    return found if isinstance(found, bytes) else found.encode()


def named_size(db: Database, unique_ids: Collection[str]) -> int:
    """Characters of data in the records of these ids."""
    marks = ", ".join([db.param] * len(unique_ids))
    sql = f"SELECT coalesce(sum(length(data)), 0) FROM record WHERE unique_id IN ({marks})"
    return int(db.execute_sql(sql, list(unique_ids)).fetchone()[0])
