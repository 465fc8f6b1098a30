"""The users of a project: records of its authentication endpoints (contract records.md).

A user logs in with the `username` or the `email` in the record's data, whichever, in any spelling of case; both share
one name space per endpoint, so that a login means one user. The password is hashed before it comes here and is never
part of the data."""

import json
import unicodedata
from collections.abc import Callable
from typing import Any

from server.encoding import encode
from server.errors import BAD_USER, USER_NAME_TAKEN, Refused
from server.events.control import RecordUserEnded
from server.store.models import RecordLogin, RecordSession, RecordUser, StoredRecord
from server.store.transaction import Transaction

NAMES = ("username", "email")
PASSWORD = "password"
MAX_NAME = 254  # characters
DELETED = "The user was deleted."
PASSWORD_CHANGED = "The password changed."


def login_name(text: str) -> str:
    """The one spelling of a name."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def names_of(data: Any) -> set[str]:
    """The names with which a user of these data logs in; raises Refused for data that are no user's."""
    if not isinstance(data, dict):
        raise Refused(BAD_USER, "A user must be an object with username or email.")
    if PASSWORD in data:  # it would be stored as it is
        raise Refused(BAD_USER, "The password cannot be stored here.")
    given = {key: data[key] for key in NAMES if data.get(key) is not None}
    if not given:
        raise Refused(BAD_USER, "The username or the email is missing.")
    return {checked_name(key, value) for key, value in given.items()}


def checked_name(key: str, value: Any) -> str:
    name = login_name(value) if isinstance(value, str) else ""
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or (key == "email" and "@" not in name):
        raise Refused(BAD_USER, f"The {key} is invalid.")
    return name


def take_names(record: StoredRecord, data: Any) -> None:
    """Gives a user the names in the data and no other; raises Refused where one is taken."""
    names, logins = names_of(data), RecordLogin.endpoint_id == record.endpoint_id
    if RecordLogin.select().where(logins, RecordLogin.name.in_(names), RecordLogin.user_id != record.id).exists():
        raise Refused(USER_NAME_TAKEN)
    RecordLogin.delete().where(RecordLogin.user_id == record.id).execute()
    for name in sorted(names):
        RecordLogin.create(endpoint_id=record.endpoint_id, name=name, user_id=record.id)


def make_user(record: StoredRecord, password: str | None) -> None:
    """Makes a new record of an authentication endpoint a user; raises Refused."""
    data = json.loads(record.data)
    names_of(data)
    if password is None:
        raise Refused(BAD_USER, "The password is missing.")
    take_names(record, data)
    RecordUser.create(record_id=record.id, endpoint_id=record.endpoint_id, password=password)
    record.owner_id = record.id
    record.save(only=[StoredRecord.owner_id])


def change_user(record: StoredRecord, combine: Callable[[Any, Any], Any], data: bytes) -> bytes:
    """The data of a user after a change. An empty object changes nothing, since a new password stood alone; data that
    name neither username nor email leave both as they are. Raises Refused."""
    stored, given = json.loads(record.data), json.loads(data)
    changed = combine(stored, given) if given != {} else stored
    if isinstance(changed, dict) and not any(key in changed for key in NAMES):
        changed = {key: stored[key] for key in NAMES if key in stored} | changed
    take_names(record, changed)
    return encode(changed)


def change_password(tx: Transaction, user_id: int, password: str) -> None:
    """Stores a new password; every login of the user ends."""
    RecordUser.update(password=password).where(RecordUser.record_id == user_id).execute()
    end_sessions(tx, user_id, PASSWORD_CHANGED)


def forget_user(tx: Transaction, user_id: int) -> None:
    """Ends a user whose record is deleted. What the user made elsewhere stays."""
    RecordLogin.delete().where(RecordLogin.user_id == user_id).execute()
    RecordUser.delete().where(RecordUser.record_id == user_id).execute()
    end_sessions(tx, user_id, DELETED)


def end_sessions(tx: Transaction, user_id: int, reason: str) -> None:
    """Ends all tokens of a user and the sockets that were opened with them."""
    RecordSession.delete().where(RecordSession.user_id == user_id).execute()
    tx.record(RecordUserEnded(user_id, None, reason))
