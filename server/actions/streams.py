"""Streams over HTTP: the rooms that an account may name, and what they were told (contract mirrors.md).

A name is `workspace:ID`, `table:ID`, `row:TABLE:ROW` or `items:WORKSPACE`; it never is the name of a room itself."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from server.actions.boards import find_workspace
from server.actions.pages import MAX_ID, with_history
from server.actions.rows import require_rows
from server.actions.table_access import open_table
from server.actions.workspaces import require_workspace
from server.auth.actors import Actor
from server.auth.permissions import membership
from server.errors import Refused
from server.events import rooms
from server.events.subscription import Subscription
from server.store.log import LoggedEvent
from server.store.transaction import Transaction

STREAM = re.compile(r"(workspace|table|items):[0-9]{1,10}|row:[0-9]{1,10}:[0-9]{1,10}|items:[0-9A-Fa-f-]{36}")
NAME = "room"  # of the subscriptions made here


def is_stream(name: str) -> bool:
    """Whether a name can be that of a stream."""
    return STREAM.fullmatch(name) is not None


def open_streams(tx: Transaction, actor: Actor, *, names: Sequence[str]) -> list[Subscription]:
    """What the names stand for, each once; raises Refused, as reading the thing does, for the first one that is
    unknown or not for the actor. The names must be those of streams."""
    return [open_stream(tx, actor, name) for name in dict.fromkeys(names)]


def open_stream(tx: Transaction, actor: Actor, name: str) -> Subscription:
    """What one name stands for; a refusal says which name it was."""
    kind, *ids = name.split(":")
    try:
        found = OPEN[kind](tx, actor, *ids)
    except Refused as refusal:
        raise Refused(refusal.kind, f"{name}: {refusal.detail}".removesuffix(": ")) from None
    return replace(found, name=NAME, parameters={NAME: name})


def open_workspace_stream(tx: Transaction, actor: Actor, workspace: str) -> Subscription:
    number = require_workspace(as_id(workspace)).id
    return Subscription(NAME, {}, rooms.workspace(number), number, membership(actor, number).began)


def open_table_stream(tx: Transaction, actor: Actor, table: str) -> Subscription:
    found = open_table(tx, actor, as_id(table), for_change=False)
    return Subscription(NAME, {}, rooms.table(found.id), found.workspace_id, found.began, found.id)


def open_row_stream(tx: Transaction, actor: Actor, table: str, row: str) -> Subscription:
    found = open_table(tx, actor, as_id(table), for_change=False)
    (one,) = require_rows(tx, found.schema, [as_id(row)], str)
    return Subscription(NAME, {}, rooms.row(found.id, one.id), found.workspace_id, found.began, found.id)


def open_items_stream(tx: Transaction, actor: Actor, workspace: str) -> Subscription:
    number = find_workspace(workspace).id
    return Subscription(NAME, {}, rooms.items(number), number, membership(actor, number).began)


OPEN: dict[str, Callable[..., Subscription]] = {
    "workspace": open_workspace_stream,
    "table": open_table_stream,
    "row": open_row_stream,
    "items": open_items_stream,
}


def as_id(text: str) -> int:
    """An id; what is larger than any becomes the largest."""
    return min(int(text), MAX_ID)


def list_events(
    tx: Transaction, actor: Actor, *, names: Sequence[str], after: int | None, limit: int
) -> dict[str, Any]:
    """Up to `limit` events that the streams were told above a position; raises Refused.

    `position` is how far the page is complete: read on with it. `refresh` says that the past above `after` is gone, or
    not for the actor: read the state anew, then go on from `position`. Without `after`, just where the log ends."""
    find = partial(open_streams, names=names)
    if after is None:
        find(tx, actor)
        return page([], tx.position(), refresh=False)
    _, history = with_history(tx, actor, find=find, cursor=after, chunk=limit, most=None)
    if history is None:
        return page([], tx.position(), refresh=True)
    return page(history.events, history.position, refresh=False)


def page(events: list[LoggedEvent], position: int, *, refresh: bool) -> dict[str, Any]:
    """A page as clients get it; the payloads are spliced in as they are stored."""
    shown = [{"id": event.id, "type": event.type, "data": orjson.Fragment(event.payload)} for event in events]
    return {"events": shown, "position": position, "refresh": refresh}
