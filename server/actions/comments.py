"""Comments on items (contract items.md).

Invariants: every change is told with the whole item, once, and the item's `comment_count` is the number of its
comments. A comment speaks about an item and is no part of it: an item that is locked or finalized can be commented on,
since then there is nothing else that one can do about it; a deleted one cannot.
"""

from server.actions.boards import find_thing, look_at
from server.actions.item_events import tell_item
from server.actions.item_shapes import Shown, show_comment
from server.actions.items import enter_item
from server.auth.actors import Actor
from server.auth.permissions import ADMIN, membership
from server.encoding import now
from server.errors import NO_PERMISSION, Refused
from server.store.models import Comment, Item
from server.store.transaction import Transaction


def list_comments(tx: Transaction, actor: Actor, *, item_id: str, limit: int, offset: int) -> list[Shown]:
    """The comments on an item, oldest first; on a deleted one too."""
    item, _ = look_at(actor, Item, item_id)
    query = Comment.select().where(Comment.item_id == item.id).order_by(Comment.created_at, Comment.id)
    return [show_comment(comment) for comment in query.limit(limit).offset(offset)]


def create_comment(tx: Transaction, actor: Actor, *, item_id: str, text: str) -> Shown:
    """Says something about an item."""
    item = enter_item(tx, actor, item_id)
    comment = Comment.create(workspace_id=item.workspace_id, item_id=item.id, user_id=actor.id, text=text)
    count_comment(tx, actor, item, 1)
    return show_comment(comment)


def delete_comment(tx: Transaction, actor: Actor, *, comment_id: str) -> None:
    """Takes a comment back; its author and admins only."""
    item = enter_item(tx, actor, find_thing(Comment, comment_id).item_id)
    comment = find_thing(Comment, comment_id)
    if comment.user_id != actor.id and membership(actor, item.workspace_id).permissions != ADMIN:
        raise Refused(NO_PERMISSION, "Only the author or an admin may delete a comment.")
    comment.delete_instance()
    count_comment(tx, actor, item, -1)


def count_comment(tx: Transaction, actor: Actor, item: Item, change: int) -> None:
    """Counts a comment that came or went, and tells the item."""
    item.comment_count, item.updated_at = item.comment_count + change, now()
    item.save(only=["comment_count", "updated_at"])
    tell_item(tx, actor, item)
