"""What a socket of the database API may hear: the rooms it is in from the start, and the pages it asks for."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from server.actions.table_access import open_table
from server.actions.workspaces import workspaces_of
from server.auth.actors import Actor
from server.errors import Refused
from server.events import rooms
from server.events.subscription import Subscription
from server.store.history import History, read_history
from server.store.transaction import Transaction
from server.store.user_rows import find_rows

Heard: TypeAlias = list[Subscription]
Find: TypeAlias = Callable[[Transaction, Actor], Heard]
MAX_ID = 2**31 - 1
PAGES = {"table": ("table_id",), "row": ("table_id", "row_id")}


def core_rooms(tx: Transaction, actor: Actor) -> dict[str, int]:
    """The rooms of the actor and of all the actor's workspaces: name -> where the entitlement began."""
    return {rooms.user(actor.id): 0} | {
        rooms.workspace(number): began for number, began in workspaces_of(tx, actor).items()
    }


def open_page(tx: Transaction, actor: Actor, *, page: str, parameters: dict[str, Any]) -> Subscription | None:
    """The subscription of a page; None for one that is unknown, incomplete or not for the actor.

    Ids may be sent as integers or as decimal text; they are echoed as they were sent (contract database.md, b)."""
    declared = PAGES.get(page)
    if declared is None:
        return None
    ids = [page_id(parameters.get(name)) for name in declared]
    if None in ids:
        return None
    table_id, row_id = (*ids, None)[:2]
    assert table_id is not None
    try:
        table = open_table(tx, actor, table_id, for_change=False)
    except Refused:
        return None
    if row_id is not None and not find_rows(tx, table.schema, [row_id]):
        return None
    room = rooms.table(table_id) if row_id is None else rooms.row(table_id, row_id)
    echoed = {name: parameters[name] for name in declared}
    return Subscription(page, echoed, room, table.workspace_id, table.began, table_id)


def find_page(tx: Transaction, actor: Actor, *, page: str, parameters: dict[str, Any]) -> list[Subscription]:
    """The subscription of a page, none where there is none for the actor."""
    found = open_page(tx, actor, page=page, parameters=parameters)
    return [found] if found is not None else []


def with_history(
    tx: Transaction, actor: Actor, *, find: Find, cursor: int, chunk: int, most: int | None
) -> tuple[list[Subscription], History | None]:
    """What `find` lets the actor hear, and what it was told above the cursor; no history where the past is gone, or
    belongs to an earlier membership."""
    found = find(tx, actor)
    if any(cursor < subscription.began for subscription in found):
        return found, None
    places = {subscription.room: cursor for subscription in found}
    return found, read_history(tx.db, places, cursor, chunk=chunk, most=most)


def core_history(
    tx: Transaction, actor: Actor, *, page_rooms: Sequence[str], cursor: int, chunk: int, most: int | None
) -> tuple[None, History | None]:
    """What a socket on these pages missed above the cursor in the rooms of its user, its workspaces and the pages."""
    places = core_rooms(tx, actor) | dict.fromkeys(page_rooms, cursor)
    return None, read_history(tx.db, places, cursor, chunk=chunk, most=most)


def page_id(value: Any) -> int | None:
    """An id as a frame may spell it; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 10:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_ID:
        return None
    return value
