"""Where new and moved rows go (contract database.md, c: fractions between the neighbours)."""

from server.events import rooms
from server.events.databases import RowOrdersRecalculated
from server.store import order
from server.store.table_schema import TableSchema
from server.store.transaction import Transaction
from server.store.user_rows import Row, find_rows, last_order, order_below, renumber


def take_places(tx: Transaction, schema: TableSchema, before: Row | None, count: int = 1) -> list[float]:
    """Free places for `count` rows before a row, or at the end. Where no number fits any more the whole table is
    renumbered first, and everybody on its page is told."""
    if before is None:
        start = order.after(last_order(tx, schema))
        return [start + step for step in range(count)]
    places = order.spread(order_below(tx, schema, before.order), before.order, count)
    if places is None:
        renumber(tx, schema)
        tx.record(RowOrdersRecalculated(schema.table_id), rooms.table(schema.table_id))
        place = find_rows(tx, schema, [before.id])[before.id].order
        places = order.spread(order_below(tx, schema, place), place, count)
        assert places is not None
    return places
