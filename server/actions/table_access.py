"""The way into a database, a table or a field: one query finds it with its parents and the actor's membership.

Refusals come in the recorded order: unknown or trashed, parents included, before not a member. A change takes the
lock of the workspace first; on PostgreSQL the workspace has to be asked for, and never changes.
"""

from dataclasses import dataclass

from server.auth.actors import Actor
from server.errors import NO_APPLICATION, NO_FIELD, NO_TABLE, NOT_IN_WORKSPACE, ErrorCode, Refused
from server.events import shapes
from server.store.models import TableField
from server.store.sql import run
from server.store.table_schema import TableSchema, cached_schema
from server.store.transaction import WORKSPACES, Transaction

TABLE_ACCESS = """
    SELECT t.database_id, t.workspace_id, t.name, t."order", t.version, m.began FROM user_table t
    JOIN application a ON a.id = t.database_id JOIN workspace w ON w.id = t.workspace_id
    LEFT JOIN membership m ON m.workspace_id = t.workspace_id AND m.user_id = ?
    WHERE t.id = ? AND NOT t.trashed AND NOT a.trashed AND NOT w.trashed"""
DATABASE_ACCESS = """
    SELECT a.workspace_id, m.id FROM application a JOIN workspace w ON w.id = a.workspace_id
    LEFT JOIN membership m ON m.workspace_id = a.workspace_id AND m.user_id = ?
    WHERE a.id = ? AND NOT a.trashed AND NOT w.trashed"""


@dataclass(frozen=True, slots=True)
class OpenTable:
    """A table that the actor may use."""

    id: int
    database_id: int
    workspace_id: int
    name: str
    order: int
    schema: TableSchema
    began: int  # of the actor's membership

    def show(self) -> shapes.Table:
        return show_table(self.id, self.name, self.order, self.database_id)


def show_table(table_id: int, name: str, order: int, database_id: int) -> shapes.Table:
    return {"id": table_id, "name": name, "order": order, "database_id": database_id, "data_sync": None}


def open_table(
    tx: Transaction, actor: Actor, table_id: int, *, for_change: bool, unknown: ErrorCode = NO_TABLE
) -> OpenTable:
    """A table with its schema; raises Refused. Call it before anything was changed in this transaction."""
    if for_change:
        _lock_workspace_of(tx, "user_table", table_id)
    found = run(tx, TABLE_ACCESS, [actor.id, table_id]).fetchone()
    if found is None:
        raise Refused(unknown)
    database_id, workspace_id, name, order, version, began = found
    if began is None:
        raise Refused(NOT_IN_WORKSPACE)
    return OpenTable(table_id, database_id, workspace_id, name, order, cached_schema(tx, table_id, version), began)


def open_database(tx: Transaction, actor: Actor, database_id: int, *, for_change: bool) -> int:
    """The workspace of a database that the actor may use; raises Refused."""
    if for_change:
        _lock_workspace_of(tx, "application", database_id)
    found = run(tx, DATABASE_ACCESS, [actor.id, database_id]).fetchone()
    if found is None:
        raise Refused(NO_APPLICATION)
    workspace_id, membership = found
    if membership is None:
        raise Refused(NOT_IN_WORKSPACE)
    return int(workspace_id)


def open_field(tx: Transaction, actor: Actor, field_id: int, *, for_change: bool) -> tuple[OpenTable, TableField]:
    """A field and its table; raises Refused."""
    known = TableField.find(id=field_id)
    if known is None:
        raise Refused(NO_FIELD)
    table = open_table(tx, actor, known.table_id, for_change=for_change, unknown=NO_FIELD)
    field = TableField.find(id=field_id, trashed=False)  # again: now nobody else can change it
    if field is None:
        raise Refused(NO_FIELD)
    return table, field


def _lock_workspace_of(tx: Transaction, parent: str, number: int) -> None:
    """SQLite has one writer and needs no lock. One statement asks for the workspace and locks it: it never changes."""
    if tx.postgres:
        run(tx, f"SELECT pg_advisory_xact_lock({WORKSPACES}, workspace_id) FROM {parent} WHERE id = ?", [number])
