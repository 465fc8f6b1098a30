"""The history of rows: what each action did to each row (contract database.md, a).

Invariants: an action that changed nothing of a row leaves no entry; the actor's own sockets are told too. Nobody can
be on the page of a row before it exists, so a creation is kept but told to nobody."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from server.actions.table_access import open_table
from server.auth.actors import Actor
from server.encoding import encode, iso, now
from server.errors import NO_ROW, Refused
from server.events import rooms, shapes
from server.events.databases import RowHistoryUpdated
from server.store.field_types import Cell
from server.store.models import RowHistory
from server.store.sql import MAX_VALUES, marks, run
from server.store.table_schema import TableSchema
from server.store.transaction import Transaction
from server.store.user_rows import Row, find_rows

COLUMNS = (
    "table_id", "row_id", "action_type", "user_id", "user_name", "before", "after", "fields_metadata", "created_at",
)  # fmt: skip


class Entry(NamedTuple):
    """What happened to one row: the changed cells by field key, and what the fields were like."""

    row_id: int
    before: dict[str, Cell]
    after: dict[str, Cell]
    fields_metadata: dict[str, Any]


def no_rows(ids: Sequence[int | str]) -> Refused:
    """The refusal for rows that do not exist; the original shows ids of the path as texts."""
    return Refused(NO_ROW, f"The rows {list(ids)} do not exist.")


def changes(schema: TableSchema, before: Iterable[Row], after: Iterable[Row]) -> Iterator[Entry]:
    """An entry for every row whose cells differ."""
    for old, new in zip(before, after, strict=True):
        places = [place for place, cell in enumerate(old.cells) if cell != new.cells[place]]
        if places:
            yield entry_of(schema, new.id, places, old.cells, new.cells)


def entry_of(
    schema: TableSchema, row_id: int, places: Iterable[int], before: Sequence[Cell], after: Sequence[Cell]
) -> Entry:
    entry = Entry(row_id, {}, {}, {})
    for place in places:
        field = schema.fields[place]
        entry.before[field.key], entry.after[field.key] = before[place], after[place]
        entry.fields_metadata[field.key] = field.kind.history_metadata(field.id, field.options)
    return entry


def creations(schema: TableSchema, rows: Iterable[Row], given: Iterable[Iterable[int]]) -> Iterator[Entry]:
    """An entry for every new row, with the cells that were given and are not null."""
    empty = [None] * len(schema.fields)
    for row, places in zip(rows, given, strict=True):
        told = [place for place in places if row.cells[place] is not None]
        yield entry_of(schema, row.id, told, empty, row.cells)


def keep(
    tx: Transaction, actor: Actor, table_id: int, action: str, entries: Sequence[Entry]
) -> dict[int, shapes.HistoryEntry]:
    """Stores entries, with one statement for every MAX_VALUES values, and returns them by row as they are shown."""
    moment = now()
    shown: dict[int, shapes.HistoryEntry] = {}
    size = MAX_VALUES // len(COLUMNS)
    for start in range(0, len(entries), size):
        chunk = {entry.row_id: entry for entry in entries[start : start + size]}
        for number, row_id in _insert(tx, actor, table_id, action, moment, list(chunk.values())):
            shown[row_id] = show_entry(number, action, (actor.id, actor.name), moment, *chunk[row_id][1:])
    return shown


def _insert(
    tx: Transaction, actor: Actor, table_id: int, action: str, moment: datetime, entries: Sequence[Entry]
) -> list[tuple[int, int]]:
    """Ids of the new entries with the ids of their rows."""
    stored_moment = moment if tx.postgres else str(moment)
    values: list[Any] = []
    for entry in entries:
        values += (table_id, entry.row_id, action, actor.id, actor.name)
        values += (encode(each).decode() for each in entry[1:])
        values.append(stored_moment)
    groups = ", ".join([f"({marks(len(COLUMNS))})"] * len(entries))
    statement = f"INSERT INTO row_history ({', '.join(COLUMNS)}) VALUES {groups} RETURNING id, row_id"
    return list(run(tx, statement, values).fetchall())


def keep_and_tell(
    tx: Transaction, actor: Actor, table_id: int, action: str, entries: Sequence[Entry], *, text_ids: bool = False
) -> None:
    """Stores entries and tells each to the page of its row, the actor's own sockets too. `text_ids`: the deletion of
    a single row names it as text, as recorded."""
    for row_id, shown in keep(tx, actor, table_id, action, entries).items():
        named = str(row_id) if text_ids else row_id
        tx.record(RowHistoryUpdated(shown, table_id, named), rooms.row(table_id, row_id))


def show_entry(
    number: int,
    action: str,
    user: tuple[int | None, str],
    moment: datetime,
    before: dict[str, Cell],
    after: dict[str, Cell],
    fields_metadata: dict[str, Any],
) -> shapes.HistoryEntry:
    return {
        "id": number,
        "action_type": action,
        "action_command_type": "DO",
        "user": {"id": user[0], "name": user[1]},
        "timestamp": iso(moment),
        "before": before,
        "after": after,
        "fields_metadata": fields_metadata,
    }


def list_row_history(
    tx: Transaction, actor: Actor, *, table_id: int, row_id: int, limit: int, offset: int
) -> tuple[int, list[shapes.HistoryEntry]]:
    """How many entries a row has, and a page of them, newest first."""
    table = open_table(tx, actor, table_id, for_change=False)
    if not find_rows(tx, table.schema, [row_id]):
        raise no_rows([str(row_id)])
    query = RowHistory.select().where(RowHistory.table_id == table_id, RowHistory.row_id == row_id)
    page = query.order_by(RowHistory.id.desc()).limit(limit).offset(offset)
    return query.count(), [
        show_entry(
            entry.id,
            entry.action_type,
            (entry.user_id, entry.user_name),
            entry.created_at,
            entry.before,
            entry.after,
            entry.fields_metadata,
        )
        for entry in page
    ]
