"""What a socket on an endpoint of records may hear (contract records.md, WebSocket)."""

from typing import NamedTuple

from server.actions.records import Place, visit
from server.auth.tokens import Claims
from server.auth.visitors import Visitor
from server.events import rooms
from server.store.history import History, read_history
from server.store.transaction import Transaction


class Heard(NamedTuple):
    """What a socket on an endpoint joins: the room of the events that it is told, and those by which it is found when
    it has to end, by its user's token among others."""

    room: str
    endings: tuple[str, ...] = ()
    user: Claims | None = None


def open_endpoint(tx: Transaction, visitor: Visitor, *, name: str) -> Heard:
    """The rooms that a visitor of an endpoint may join: who sees only own records hears only of them."""
    return heard_at(visit(visitor, name))


def heard_at(place: Place) -> Heard:
    """What a visitor hears who was let in."""
    number, user = place.endpoint.id, place.user
    if user is None:
        return Heard(rooms.endpoint(number))
    own = rooms.record_user(user.user_id)
    if place.sees is None:
        return Heard(rooms.endpoint(number), (own,), user)
    return Heard(rooms.endpoint_owner(number, user.user_id), (rooms.endpoint_owners(number), own), user)


def open_endpoint_since(
    tx: Transaction, visitor: Visitor, *, name: str, cursor: int, chunk: int, most: int | None
) -> tuple[Heard, History | None]:
    """The same with what was told there above the cursor; no history where the past is gone, nor for who hears
    of all records from before the endpoint was opened."""
    place = visit(visitor, name)
    heard = heard_at(place)
    if place.sees is None and cursor < place.endpoint.opened:
        return heard, None
    return heard, read_history(tx.db, {heard.room: cursor}, cursor, chunk=chunk, most=most)
