"""Records of uploaded files (contract records.md): `data` is `{fileName, mimeType, size, metadata}`.

`metadata` are the text parts of the upload, and what clients make of them: PUT changes `data` as that of any record,
but what describes the file stays as it is."""

import uuid
from collections.abc import Sequence
from typing import Any

from server.actions.files import FoundFile, Received, find_file, keep_file
from server.actions.records import Envelope, Place, audience, current_time, enter, known_record, show, visit
from server.auth.visitors import Visitor
from server.encoding import encode
from server.errors import BAD_CONTENT_TYPE, NO_RECORD, Refused
from server.events.records import RecordChanged
from server.store.models import StoredRecord
from server.store.transaction import Transaction


def open_upload(tx: Transaction, visitor: Visitor, *, name: str) -> None:
    """Raises Refused for a visitor who may not store files: before many megabytes are read in vain."""
    require_no_users(visit(visitor, name))


def require_no_users(place: Place) -> None:
    """Raises Refused where records are users."""
    if place.endpoint.authentication:
        raise Refused(BAD_CONTENT_TYPE)


def create_file_records(
    tx: Transaction, visitor: Visitor, *, name: str, files: Sequence[Received], metadata: dict[str, Any]
) -> list[Envelope]:
    """Stores a record for each file; one message tells of them all."""
    place, moment = enter(tx, visitor, name), current_time()
    require_no_users(place)
    records = [
        StoredRecord.create(
            endpoint_id=place.endpoint.id,
            unique_id=uuid.uuid4().hex,
            data=encode(describe(file) | {"metadata": metadata}).decode(),
            file_id=keep_file(tx, file),
            created_at=moment,
            updated_at=moment,
            owner_id=place.owner_id,
        )
        for file in files
    ]
    shown = [show(record) for record in records]
    tx.record(RecordChanged("POST", shown if len(shown) > 1 else shown[0]), *audience(records[0]))
    return shown


def describe(file: Received) -> dict[str, Any]:
    """What clients see of a file."""
    return {"fileName": file.name, "mimeType": file.content_type, "size": file.size}


def find_record_file(tx: Transaction, visitor: Visitor, *, name: str, unique_id: str | None) -> FoundFile:
    """The file of a record; raises Refused, where the visitor does not see the record too."""
    place = visit(visitor, name)
    record = known_record(place, unique_id)
    if place.sees not in (None, record.owner_id):
        raise Refused(NO_RECORD)
    file = find_file(tx, record.file_id) if record.file_id is not None else None
    if file is None:
        raise Refused(NO_RECORD, "The record has no file.")
    return file
