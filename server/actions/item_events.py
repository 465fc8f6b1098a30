"""Telling of changed items (contract items.md, "What triggers what")."""

from collections.abc import Sequence

from server.actions.item_shapes import Shown, show_items
from server.auth.actors import Actor
from server.events import rooms
from server.events.items import ItemUpdated
from server.store.models import Item
from server.store.transaction import Transaction


def tell_items(tx: Transaction, actor: Actor, items: Sequence[Item]) -> list[Shown]:
    """Records `item-updated` for each item, in this order, and returns what was told."""
    shown = show_items(tx, items)
    for item, each in zip(items, shown, strict=True):
        tx.record(ItemUpdated(each), rooms.items(item.workspace_id), origin=actor.origin)
    return shown


def tell_item(tx: Transaction, actor: Actor, item: Item) -> Shown:
    return tell_items(tx, actor, [item])[0]
