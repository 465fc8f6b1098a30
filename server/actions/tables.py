"""Tables of a database (contract database.md)."""

from collections.abc import Iterable
from typing import Any

from peewee import fn

from server.actions import jobs
from server.actions.ordering import hashed, put_first
from server.actions.table_access import open_database, open_table, show_table
from server.actions.table_content import DEFAULT, TableContent, default_options
from server.actions.views import create_first_view
from server.auth.actors import Actor
from server.errors import TABLE_NOT_IN_DATABASE, Refused
from server.events import rooms, shapes
from server.events.control import TablesClosed
from server.events.databases import (
    TableCreated,
    TableDeleted,
    TablesReOrdered,
    TablesReordered,
    TableUpdated,
)
from server.store.models import TableField, UserTable
from server.store.table_schema import load_schema
from server.store.transaction import Transaction
from server.store.user_rows import insert_rows
from server.store.user_tables import create_table as make_table


def tables_of(database_ids: Iterable[int]) -> dict[int, list[shapes.Table]]:
    """The tables of several databases, in order."""
    ids = list(database_ids)
    found: dict[int, list[shapes.Table]] = {number: [] for number in ids}
    query = UserTable.select().where(UserTable.database_id.in_(ids), ~UserTable.trashed)
    for table in query.order_by(UserTable.order, UserTable.id):
        found[table.database_id].append(show_table(table.id, table.name, table.order, table.database_id))
    return found


def list_tables(tx: Transaction, actor: Actor, *, database_id: int) -> list[shapes.Table]:
    """The tables of a database, in order."""
    open_database(tx, actor, database_id, for_change=False)
    return tables_of([database_id])[database_id]


def get_table(tx: Transaction, actor: Actor, *, table_id: int) -> shapes.Table:
    return open_table(tx, actor, table_id, for_change=False).show()


def create_table(
    tx: Transaction, actor: Actor, *, database_id: int, name: str, content: TableContent = DEFAULT
) -> shapes.Table:
    """Makes a table with fields, rows and a grid."""
    workspace_id = open_database(tx, actor, database_id, for_change=True)
    shown = build_table(tx, actor, workspace_id, database_id, name, next_order(database_id), content)
    tell_created(tx, actor, workspace_id, shown)
    return shown


def import_table(
    tx: Transaction,
    actor: Actor,
    *,
    database_id: int,
    name: str,
    content: TableContent = DEFAULT,
    first_row_header: bool = False,
) -> dict[str, Any]:
    """Makes a table as a job, done when it is answered; the answer shows it as it was when it began, as recorded."""
    workspace_id = open_database(tx, actor, database_id, for_change=True)
    job = jobs.start_job(
        tx,
        actor,
        "file_import",
        database_id=database_id,
        name=name,
        table_id=None,
        first_row_header=first_row_header,
        report={"failing_rows": {}},
    )
    pending = jobs.show_job(job)
    shown = build_table(tx, actor, workspace_id, database_id, name, next_order(database_id), content)
    tell_created(tx, actor, workspace_id, shown)
    jobs.finish_job(job, table_id=shown["id"])
    return pending


def next_order(database_id: int) -> int:
    live = (UserTable.database_id == database_id) & ~UserTable.trashed
    return int(UserTable.select(fn.MAX(UserTable.order)).where(live).scalar() or 0) + 1


def build_table(
    tx: Transaction,
    actor: Actor,
    workspace_id: int,
    database_id: int,
    name: str,
    order: int,
    content: TableContent,
) -> shapes.Table:
    """Everything that makes a table, without telling anybody."""
    table = UserTable.create(database_id=database_id, workspace_id=workspace_id, name=name, order=order)
    TableField.insert_many(
        {
            "table_id": table.id,
            "name": title,
            "type": kind,
            "order": place,
            "primary": place == 0,
            "options": default_options(kind),
        }
        for place, (title, kind) in enumerate(content.fields.items())
    ).execute()
    schema = load_schema(table.id, table.version)
    make_table(tx, schema)
    insert_rows(tx, schema, [float(place) for place, _ in enumerate(content.rows, 1)], content.rows)
    create_first_view(actor, table.id)
    return show_table(table.id, name, order, database_id)


def tell_created(tx: Transaction, actor: Actor, workspace_id: int, shown: shapes.Table) -> None:
    tx.record(TableCreated(shown), rooms.workspace(workspace_id), origin=actor.origin)


def update_table(tx: Transaction, actor: Actor, *, table_id: int, name: str) -> shapes.Table:
    """Renames a table."""
    table = open_table(tx, actor, table_id, for_change=True)
    UserTable.update(name=name).where(UserTable.id == table_id).execute()
    shown = show_table(table_id, name, table.order, table.database_id)
    event = TableUpdated(table_id, shown, force_table_refresh=False)
    tx.record(event, rooms.workspace(table.workspace_id), origin=actor.origin)
    return shown


def delete_table(tx: Transaction, actor: Actor, *, table_id: int) -> None:
    """Trashes a table; its pages are discarded."""
    table = open_table(tx, actor, table_id, for_change=True)
    UserTable.update(trashed=True).where(UserTable.id == table_id).execute()
    room = rooms.workspace(table.workspace_id)
    tx.record(TableDeleted(table.database_id, table_id), room, origin=actor.origin)
    tx.record(TablesClosed(table.workspace_id, [table_id]))


def order_tables(tx: Transaction, actor: Actor, *, database_id: int, table_ids: list[int]) -> None:
    """Puts the named tables first, in this order; the others follow as they were."""
    workspace_id = open_database(tx, actor, database_id, for_change=True)
    known = [table["id"] for table in tables_of([database_id])[database_id]]
    for number in table_ids:
        if number not in known:
            raise Refused(TABLE_NOT_IN_DATABASE, f"The table id {number} does not belong to the database.")
    ordered = put_first(table_ids, known)
    for place, number in enumerate(ordered, 1):
        UserTable.update(order=place).where(UserTable.id == number).execute()
    room, names = rooms.workspace(workspace_id), [hashed(number) for number in ordered]
    tx.record(TablesReordered(hashed(database_id), names), room, origin=actor.origin)
    tx.record(TablesReOrdered(hashed(database_id), names), room, origin=actor.origin)
