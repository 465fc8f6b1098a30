"""Records: what visitors of an endpoint store and read (contract records.md).

Data are JSON text from the request to the store and back: checked once where they arrive, decoded only to be merged.
In place of an actor there is a visitor, whose right is checked in the transaction that acts: `visit` and `enter` are
the one door. On a secure endpoint a visitor is a user and a record has an owner; one without, made before the endpoint
was secure or with the master key, is everybody's with a data-access flag and nobody's without."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import orjson

from server.actions.endpoints import ENDPOINT_NAME
from server.actions.files import release_files
from server.actions.record_strategies import force, strategy_named, with_file
from server.actions.record_users import change_password, change_user, forget_user, make_user
from server.auth.tokens import Claims
from server.auth.visitors import Visitor, check_visitor, find_user
from server.encoding import encode, now
from server.errors import ANSWER_TOO_LARGE, ENDPOINT_INVALID, NO_RECORD, NOT_OWNER, Refused
from server.events import rooms
from server.events.records import RecordChanged
from server.store import record_pages, record_places
from server.store.models import Endpoint, Project, StoredRecord
from server.store.transaction import Transaction

UNIQUE_ID = re.compile(r"[0-9a-f]{32}")
MAX_PAGE = 64 << 20  # characters of data in one answer: it is held in memory as a whole
Envelope = dict[str, Any]


class Place(NamedTuple):
    """An endpoint with its project, and the user who is there; None where everybody may everything: on an endpoint that
    is not secure, and with the master key."""

    endpoint: Endpoint
    project: Project
    user: Claims | None = None

    @property
    def owner_id(self) -> int | None:
        """Who owns a record that is made here."""
        return self.user.user_id if self.user is not None else None

    @property
    def sees(self) -> int | None:
        """Whose records alone are seen; None: everybody's."""
        return None if self.endpoint.access.get("read") else self.owner_id

    def require(self, flag: Literal["update", "delete"], record: StoredRecord) -> None:
        """Raises Refused unless the record is the user's own, or the flag lets others do so too."""
        if self.user is not None and record.owner_id != self.owner_id and not self.endpoint.access.get(flag):
            raise Refused(NOT_OWNER)


def find_place(name: str) -> Place:
    """The endpoint of a name; raises Refused."""
    # a name that none can have is not asked for: PostgreSQL fails on some characters
    found = record_places.find_place(name) if ENDPOINT_NAME.fullmatch(name) else None
    if found is None:
        raise Refused(ENDPOINT_INVALID)
    return Place(*found)


def visit(visitor: Visitor, name: str, *, newcomer: bool = False) -> Place:
    """An endpoint for a visitor who may read it; raises Refused. A newcomer needs no token to become a user."""
    place = find_place(name)
    check_visitor(visitor, place.project)
    open_to_all = not place.endpoint.secure or (newcomer and place.endpoint.authentication)
    if open_to_all or visitor.master_key is not None:
        return place
    return place._replace(user=find_user(visitor, place.project))


def enter(tx: Transaction, visitor: Visitor, name: str, *, newcomer: bool = False) -> Place:
    """Locks the workspace of an endpoint for a visitor who may change records there."""
    if tx.postgres:  # SQLite has one writer, so what it finds before the lock is as good as after it
        tx.lock_workspaces(find_place(name).project.workspace_id)
    return visit(visitor, name, newcomer=newcomer)


def find_origins(tx: Transaction, name: str) -> list[str]:
    """The origins that may read an endpoint's answers with credentials; empty when none is listed, or no endpoint
    has the name."""
    try:
        origins: list[str] = find_place(name).project.origins
    except Refused:
        return []
    return origins


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


def list_records(
    tx: Transaction, visitor: Visitor, *, name: str, limit: int, offset: int, data_only: bool, most: int = MAX_PAGE
) -> bytes:
    """A page of the records of an endpoint, oldest first, as a JSON array; raises Refused when their data have more
    than `most` characters. A user gets from an authentication endpoint the own record."""
    place = visit(visitor, name)
    if place.endpoint.authentication and place.user is not None:
        own = show(known_user(place.endpoint, place.user.user_id))
        return encode(own["data"] if data_only else own)
    page = record_pages.open_page(tx.db, place.endpoint.id, place.sees, limit=limit, offset=offset)
    if record_pages.page_size(tx.db, page) > most:
        raise Refused(ANSWER_TOO_LARGE)
    return record_pages.page_of(tx.db, page, data_only=data_only)


def find_records(tx: Transaction, visitor: Visitor, *, name: str, unique_ids: Sequence[str]) -> list[Envelope]:
    """Some records of an endpoint, oldest first; raises Refused when any of them is not there, or not seen, and where
    several have more data than one answer may have."""
    place = visit(visitor, name)
    if not all(UNIQUE_ID.fullmatch(unique_id) for unique_id in unique_ids):
        raise Refused(NO_RECORD)
    wanted = set(unique_ids)
    if len(wanted) > 1 and record_pages.named_size(tx.db, wanted) > MAX_PAGE:
        raise Refused(ANSWER_TOO_LARGE, "The answer is too large: name fewer records.")
    # by ids alone: asked for the endpoint too, SQLite looks for them among all its records
    named = StoredRecord.find_all("unique_id", wanted)
    here = (record for record in named if record.endpoint_id == place.endpoint.id)
    found = [show(record) for record in here if place.sees in (None, record.owner_id)]
    if len(found) != len(wanted):
        raise Refused(NO_RECORD)
    return found


def known_record(place: Place, unique_id: str | None) -> StoredRecord:
    """A record of an endpoint, which a user of an authentication endpoint need not name; raises Refused."""
    if unique_id is None:
        if place.endpoint.authentication and place.user is not None:
            return known_user(place.endpoint, place.user.user_id)
        raise Refused(NO_RECORD, "The parameter uniqueId is missing.")
    fits = UNIQUE_ID.fullmatch(unique_id)
    record = StoredRecord.find(unique_id=unique_id, endpoint_id=place.endpoint.id) if fits else None
    if record is None:
        raise Refused(NO_RECORD)
    return record


def known_user(endpoint: Endpoint, user_id: int) -> StoredRecord:
    """The record of a user; raises Refused on another authentication endpoint than the user's."""
    record = StoredRecord.find(id=user_id, endpoint_id=endpoint.id)
    if record is None:
        raise Refused(NO_RECORD)
    return record


def audience(record: StoredRecord) -> tuple[str, ...]:
    """The rooms that are told of a record: everybody on the endpoint, and those who hear only of their own."""
    everybody, owner = rooms.endpoint(record.endpoint_id), record.owner_id
    return (everybody, rooms.endpoint_owner(record.endpoint_id, owner)) if owner is not None else (everybody,)


def tell(tx: Transaction, change: Literal["POST", "PUT", "DELETE"], record: StoredRecord) -> Envelope:
    """Tells everybody on the endpoint, the writer's own sockets too, and returns the envelope."""
    shown = show(record)
    tx.record(RecordChanged(change, shown), *audience(record))
    return shown


def create_record(
    tx: Transaction, visitor: Visitor, *, name: str, data: bytes, password: str | None = None
) -> Envelope:
    """Stores a JSON text as a record; on an authentication endpoint it becomes a user with this password (hashed)."""
    place, moment = enter(tx, visitor, name, newcomer=True), current_time()
    record = StoredRecord.create(
        endpoint_id=place.endpoint.id,
        unique_id=uuid.uuid4().hex,
        data=data.decode(),
        created_at=moment,
        updated_at=moment,
        owner_id=place.owner_id,
    )
    if place.endpoint.authentication:
        make_user(record, password)
    return tell(tx, "POST", record)


def update_record(
    tx: Transaction,
    visitor: Visitor,
    *,
    name: str,
    unique_id: str | None,
    strategy: str,
    data: bytes,
    password: str | None = None,
) -> Envelope:
    """Changes a record by a strategy, see `record_strategies`, and a user's password (hashed); raises Refused."""
    place = enter(tx, visitor, name)
    record, combine = known_record(place, unique_id), strategy_named(strategy)
    place.require("update", record)
    if place.endpoint.authentication:
        data = change_user(record, combine, data)
    elif record.file_id is not None:
        stored = json.loads(record.data)
        data = encode(with_file(combine(stored, json.loads(data)), stored))
    elif combine is not force:
        data = encode(combine(json.loads(record.data), json.loads(data)))
    record.data, record.updated_at = data.decode(), current_time()
    record.save(only=[StoredRecord.data, StoredRecord.updated_at])
    shown = tell(tx, "PUT", record)
    if place.endpoint.authentication and password is not None:
        change_password(tx, record.id, password)
    return shown


def delete_record(tx: Transaction, visitor: Visitor, *, name: str, unique_id: str | None) -> Envelope:
    """Removes a record and returns it as it was; with a user's record ends the user."""
    place = enter(tx, visitor, name)
    record = known_record(place, unique_id)
    place.require("delete", record)
    record.delete_instance()
    if record.file_id is not None:
        release_files(tx, [record.file_id])
    shown = tell(tx, "DELETE", record)
    if place.endpoint.authentication:
        forget_user(tx, record.id)
    return shown
