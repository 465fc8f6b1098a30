"""The schema of a table between transactions: what is cached is what was committed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.actions import databases, fields, rows, workspaces
from server.auth.actors import Actor, actor_of
from server.errors import INVALID_BODY, Refused
from server.store.migrate import migrate
from server.store.models import User
from server.store.transaction import Store, Transaction

Table = tuple[Actor, int]


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    migrate(database_url)
    opened = Store(database_url, writers=3, readers=2, retries=5)
    yield opened
    opened.close()


def make_table(tx: Transaction) -> Table:
    user = User.create(first_name="Ann", email="ann@example.com", password="x")
    ann = actor_of(user)
    workspace = workspaces.create_workspace(tx, ann, name="Team")["id"]
    base = databases.create_application(tx, ann, workspace_id=workspace, name="Base", init_with_data=True)
    return ann, base["tables"][0]["id"]


def names(tx: Transaction, ann: Actor, table: int) -> list[str]:
    return list(rows.get_row(tx, ann, table_id=table, row_id=1, by_name=True))[2:]


async def test_a_change_that_is_rolled_back_leaves_nothing_in_the_cache(store: Store) -> None:
    """Its version is given out again, to another change."""
    ann, table = await store.write(make_table)
    before = await store.read(names, ann, table)

    def add_and_fail(tx: Transaction) -> None:
        fields.create_field(tx, ann, table_id=table, name="lost", kind="text")
        raise Refused(INVALID_BODY)

    with pytest.raises(Refused):
        await store.write(add_and_fail)
    await store.write(fields.create_field, ann, table_id=table, name="kept", kind="boolean")
    assert await store.read(names, ann, table) == [*before, "kept"]


async def test_two_stores_of_one_process_do_not_share_schemas(store: Store, tmp_path: Any) -> None:
    """Table 1 of another database is another table."""
    url = f"sqlite:///{tmp_path}/other.sqlite3"
    migrate(url)
    other = Store(url, writers=1, readers=1, retries=5)
    try:
        here, there = await store.write(make_table), await other.write(make_table)
        assert here[1] == there[1]
        await store.write(fields.create_field, here[0], table_id=here[1], name="here", kind="text")
        await other.write(fields.create_field, there[0], table_id=there[1], name="there", kind="text")
        assert (await store.read(names, *here))[-1] == "here"
        assert (await other.read(names, *there))[-1] == "there"
    finally:
        other.close()


async def test_a_batch_of_every_type_is_written_with_one_statement(store: Store) -> None:
    ann, table = await store.write(make_table)
    for name, kind, options in (
        ("num", "number", {"number_decimal_places": 2, "number_negative": True}),
        ("date", "date", {}),
        ("moment", "date", {"date_include_time": True}),
    ):
        await store.write(fields.create_field, ann, table_id=table, name=name, kind=kind, options=options)
    cells: list[dict[str, Any]] = [
        {"Name": "a", "Active": True, "num": "-1.50", "date": "2026-01-02", "moment": "2026-01-02T03:04:05.000600Z"},
        {"Name": None, "Active": False, "num": None, "date": None, "moment": None},
    ]
    items = [(number, values) for number, values in enumerate(cells, 1)]
    changed, _ = await store.write(rows.update_rows_at_once, ann, table_id=table, items=items, by_name=True)
    for shown, values in zip(changed, cells, strict=True):
        found = await store.read(rows.get_row, ann, table_id=table, row_id=shown["id"], by_name=True)
        assert found == shown
        assert values.items() <= found.items()
