"""Reading on from a cursor: what some rooms were told since, for every kind of replay.

Invariants: bounds and events come from one snapshot, so a caller's transaction must be one (`Store.read`); nothing is
left out silently: what cannot be told completely is answered with None, and the client has to read anew."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from peewee import Database

from server.store import log

MAX_BYTES = 1 << 20  # payloads read at once, since they are held in memory as a whole; one alone may be larger


class History(NamedTuple):
    """Part of the past of some rooms."""

    events: list[log.LoggedEvent]  # in order, each once
    position: int  # complete up to here; read on with this as cursor
    complete: bool  # False: there may be more above `position`


def read_history(
    db: Database, after: Mapping[str, int], cursor: int, *, chunk: int, most: int | None = None
) -> History | None:
    """Up to `chunk` events in any room above both the cursor and the position given for the room; fewer, but at least
    one, where they are large, so look at `complete` and not at how many there are.

    None where the past is gone: the cursor does not continue, or `most` is given and more than that many events were
    missed. Give `most` with the first chunk of a replay only."""
    bounds = log.bounds(db)
    if not bounds.continues(cursor):
        return None
    places = {room: position for room, began in after.items() if (position := max(began, cursor)) < bounds.head}
    if most is not None and bounds.head - cursor > most and misses_more(db, places, most):
        return None
    ids = log.ids_in_rooms(db, places, chunk) if places else []
    events = log.read_ids(db, ids[: fitting(log.sizes(db, ids))])
    if len(events) == len(ids) < chunk:
        return History(events, bounds.head, True)
    position = events[-1].id
    return History(events, position, position == bounds.head)


def fitting(sizes: Sequence[int]) -> int:
    """How many events from the first on are read at once."""
    return max(bisect_right(list(accumulate(sizes)), MAX_BYTES), 1)


def misses_more(db: Database, places: Mapping[str, int], most: int) -> bool:
    """Whether there are more than `most` events above these positions. Room by room, so that no more than twice
    `most` ids are held however many rooms there are."""
    ids: set[int] = set()
    for room, position in places.items():
        ids.update(log.ids_in_rooms(db, {room: position}, most + 1))
        if len(ids) > most:
            return True
    return False
