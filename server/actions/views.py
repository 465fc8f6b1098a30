"""Views of a table: every table is born with one grid."""

import secrets
from collections.abc import Collection

from server.actions.table_access import OpenTable, open_table
from server.auth.actors import Actor
from server.events import shapes
from server.store.models import TableView
from server.store.transaction import Transaction

# what `include` names, and the keys that it adds
PARTS = {
    "filters": ("filters", "filter_groups"),
    "sortings": ("sortings",),
    "group_bys": ("group_bys",),
    "decorations": ("decorations",),
}


def create_first_view(actor: Actor, table_id: int) -> None:
    """The grid of a new table."""
    TableView.create(table_id=table_id, name="Grid", order=1, owned_by_id=actor.id, slug=secrets.token_urlsafe(32))


def show_view(table: OpenTable, view: TableView, include: Collection[str]) -> shapes.View:
    parts: dict[str, list[shapes.View]] = {key: [] for name in PARTS if name in include for key in PARTS[name]}
    return {
        "id": view.id,
        "table_id": table.id,
        "name": view.name,
        "order": view.order,
        "type": view.type,
        "table": {"id": table.id, "name": table.name, "order": table.order, "database_id": table.database_id},
        "filter_type": "AND",
        **parts,
        "filters_disabled": False,
        "public_view_has_password": False,
        "show_logo": True,
        "allow_public_export": False,
        "ownership_type": "collaborative",
        "owned_by_id": view.owned_by_id,
        "row_identifier_type": "id",
        "row_height_size": "small",
        "public": False,
        "slug": view.slug,
    }


def list_views(tx: Transaction, actor: Actor, *, table_id: int, include: Collection[str]) -> list[shapes.View]:
    """The views of a table in order; `include` adds their parts."""
    table = open_table(tx, actor, table_id, for_change=False)
    query = TableView.select().where(TableView.table_id == table_id).order_by(TableView.order, TableView.id)
    return [show_view(table, view, include) for view in query]
