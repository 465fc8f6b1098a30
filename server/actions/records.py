"""Records: what visitors of an endpoint store and read (contract records.md).

Data are JSON text from the request to the store and back: checked once where they arrive, decoded only to be merged.
In place of an actor there is a visitor, whose right is checked in the transaction that acts."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import orjson

from server.actions.endpoints import ENDPOINT_NAME
from server.actions.files import release_files
from server.actions.record_strategies import force, strategy_named, with_file
from server.auth.visitors import Visitor, check_visitor
from server.encoding import encode, now
from server.errors import ANSWER_TOO_LARGE, ENDPOINT_INVALID, NO_RECORD, Refused
from server.events import rooms
from server.events.records import RecordChanged
from server.store import record_pages
from server.store.history import History, read_history
from server.store.models import Endpoint, Project, StoredRecord, Workspace
from server.store.transaction import Transaction

UNIQUE_ID = re.compile(r"[0-9a-f]{32}")
MAX_PAGE = 64 << 20  # characters of data in one answer: it is held in memory as a whole
Envelope = dict[str, Any]


class Place(NamedTuple):
    """An endpoint with its project."""

    endpoint: Endpoint
    project: Project


def find_place(name: str) -> Place:
    """The endpoint of a name; raises Refused."""
    there = (Project.id == Endpoint.project_id, Workspace.id == Project.workspace_id)
    query = Endpoint.select(Endpoint, Project).join(Project, on=there[0], attr="project").join(Workspace, on=there[1])
    # a name that none can have is not asked for: PostgreSQL fails on some characters
    found = query.where(Endpoint.name == name, ~Workspace.trashed).first() if ENDPOINT_NAME.fullmatch(name) else None
    if found is None:
        raise Refused(ENDPOINT_INVALID)
    return Place(found, found.project)


def visit(visitor: Visitor, name: str) -> Place:
    """An endpoint for a visitor who may read it; raises Refused."""
    place = find_place(name)
    check_visitor(visitor, place.project)
    return place


def enter(tx: Transaction, visitor: Visitor, name: str) -> Endpoint:
    """Locks the workspace of an endpoint for a visitor who may change its records."""
    tx.lock_workspaces(find_place(name).project.workspace_id)
    return visit(visitor, name).endpoint


def find_origins(tx: Transaction, name: str) -> list[str]:
    """The origins that may read an endpoint's answers with credentials; empty when none is listed, or no endpoint
    has the name."""
    try:
        origins: list[str] = find_place(name).project.origins
    except Refused:
        return []
    return origins


def open_endpoint(tx: Transaction, visitor: Visitor, *, name: str) -> str:
    """The room that a visitor of an endpoint may join."""
    return rooms.endpoint(visit(visitor, name).endpoint.id)


def open_endpoint_since(
    tx: Transaction, visitor: Visitor, *, name: str, cursor: int, chunk: int, most: int | None
) -> tuple[str, History | None]:
    """The same with what was told there above the cursor; no history where the past is gone."""
    room = open_endpoint(tx, visitor, name=name)
    return room, read_history(tx.db, {room: cursor}, cursor, chunk=chunk, most=most)


def show(record: StoredRecord) -> Envelope:
    """A record as clients get it; its data are spliced in as they are stored."""
    return {
        "uniqueId": record.unique_id,
        "data": orjson.Fragment(record.data),
        "createdAt": record.created_at,
        "updatedAt": record.updated_at,
    }


def current_time() -> str:
    """The time in ISO format with milliseconds."""
    return now().isoformat(timespec="milliseconds") + "Z"


def list_records(tx: Transaction, visitor: Visitor, *, name: str, limit: int, offset: int, data_only: bool) -> bytes:
    """A page of the records of an endpoint, oldest first, as a JSON array; raises Refused when it is too large."""
    endpoint = visit(visitor, name).endpoint
    if record_pages.page_size(tx.db, endpoint.id, limit, offset) > MAX_PAGE:
        raise Refused(ANSWER_TOO_LARGE)
    return record_pages.page_of(tx.db, endpoint.id, limit, offset, data_only=data_only)


def find_records(tx: Transaction, visitor: Visitor, *, name: str, unique_ids: Sequence[str]) -> list[Envelope]:
    """Some records of an endpoint, oldest first; raises Refused when any of them is not there."""
    endpoint = visit(visitor, name).endpoint
    if not all(UNIQUE_ID.fullmatch(unique_id) for unique_id in unique_ids):
        raise Refused(NO_RECORD)
    wanted = set(unique_ids)
    query = StoredRecord.select().where(StoredRecord.endpoint_id == endpoint.id, StoredRecord.unique_id.in_(wanted))
    found = [show(record) for record in query.order_by(StoredRecord.id)]
    if len(found) != len(wanted):
        raise Refused(NO_RECORD)
    return found


def known_record(endpoint: Endpoint, unique_id: str) -> StoredRecord:
    """A record of an endpoint; raises Refused."""
    fits = UNIQUE_ID.fullmatch(unique_id)
    record = StoredRecord.find(unique_id=unique_id, endpoint_id=endpoint.id) if fits else None
    if record is None:
        raise Refused(NO_RECORD)
    return record


def tell(tx: Transaction, change: Literal["POST", "PUT", "DELETE"], record: StoredRecord) -> Envelope:
    """Tells everybody on the endpoint, the writer's own sockets too, and returns the envelope."""
    shown = show(record)
    tx.record(RecordChanged(change, shown), rooms.endpoint(record.endpoint_id))
    return shown


def create_record(tx: Transaction, visitor: Visitor, *, name: str, data: bytes) -> Envelope:
    """Stores a JSON text as a record."""
    endpoint, moment = enter(tx, visitor, name), current_time()
    record = StoredRecord.create(
        endpoint_id=endpoint.id, unique_id=uuid.uuid4().hex, data=data.decode(), created_at=moment, updated_at=moment
    )
    return tell(tx, "POST", record)


def update_record(
    tx: Transaction, visitor: Visitor, *, name: str, unique_id: str, strategy: str, data: bytes
) -> Envelope:
    """Changes a record by a strategy, see `record_strategies`; raises Refused."""
    endpoint = enter(tx, visitor, name)
    record, combine = known_record(endpoint, unique_id), strategy_named(strategy)
    if record.file_id is not None:
        stored = json.loads(record.data)
        data = encode(with_file(combine(stored, json.loads(data)), stored))
    elif combine is not force:
        data = encode(combine(json.loads(record.data), json.loads(data)))
    record.data, record.updated_at = data.decode(), current_time()
    record.save(only=[StoredRecord.data, StoredRecord.updated_at])
    return tell(tx, "PUT", record)


def delete_record(tx: Transaction, visitor: Visitor, *, name: str, unique_id: str) -> Envelope:
    """Removes a record and returns it as it was."""
    record = known_record(enter(tx, visitor, name), unique_id)
    record.delete_instance()
    if record.file_id is not None:
        release_files(tx, [record.file_id])
    return tell(tx, "DELETE", record)
