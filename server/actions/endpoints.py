"""Endpoints of a project: where records live (contract records.md). Members see them, only admins change them."""

import re
from typing import Any

from peewee import IntegrityError

from server.actions.projects import DELETED, close_endpoints, enter_project, remove_records, visible_project
from server.auth.actors import Actor
from server.errors import BAD_OPTIONS, ENDPOINT_NAME_TAKEN, NO_ENDPOINT, Refused
from server.events.control import EndpointClosed
from server.store.models import Endpoint, StoredRecord
from server.store.transaction import Transaction

ENDPOINT_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9/-]{3,252}[a-z0-9]")
ACCESS = ("read", "update", "delete")
OPTIONS_CHANGED = "The options of the endpoint changed."
USERS_DELETED = "The users of the project were deleted."


def show(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "project_id": endpoint.project_id,
        "name": endpoint.name,
        "description": endpoint.description,
        "authentication": endpoint.authentication,
        "secure": endpoint.secure,
        "access": {flag: bool(endpoint.access.get(flag)) for flag in ACCESS},
    }


def list_endpoints(tx: Transaction, actor: Actor, *, project_id: int) -> list[dict[str, Any]]:
    """The endpoints of a project, oldest first."""
    visible_project(actor, project_id)
    query = Endpoint.select().where(Endpoint.project_id == project_id)
    return [show(endpoint) for endpoint in query.order_by(Endpoint.id)]


def get_endpoint(tx: Transaction, actor: Actor, *, endpoint_id: int) -> dict[str, Any]:
    """One endpoint; members of its workspace only."""
    endpoint = known_endpoint(endpoint_id)
    visible_project(actor, endpoint.project_id)
    return show(endpoint)


def known_endpoint(endpoint_id: int) -> Endpoint:
    """An endpoint; raises Refused."""
    endpoint = Endpoint.find(id=endpoint_id)
    if endpoint is None:
        raise Refused(NO_ENDPOINT)
    return endpoint


def enter_endpoint(tx: Transaction, actor: Actor, endpoint_id: int) -> Endpoint:
    """Locks the workspace of an endpoint for one of its admins and returns the endpoint as it is then."""
    enter_project(tx, actor, known_endpoint(endpoint_id).project_id)
    return known_endpoint(endpoint_id)


def create_endpoint(
    tx: Transaction,
    actor: Actor,
    *,
    project_id: int,
    name: str,
    description: str,
    authentication: bool,
    secure: bool,
    access: dict[str, bool],
) -> dict[str, Any]:
    """Makes an endpoint; admins only. Raises Refused when the name is taken anywhere on the server."""
    enter_project(tx, actor, project_id)
    endpoint = Endpoint(
        project_id=project_id,
        name=name,
        description=description,
        authentication=authentication,
        secure=secure,
        access=access,
    )
    keep(endpoint)
    return show(endpoint)


def update_endpoint(tx: Transaction, actor: Actor, *, endpoint_id: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes an endpoint; admins only. Its sockets are closed when more than the description changed. Whoever now
    hears more than before is replayed nothing of before. Raises Refused where records would become users, or users
    records."""
    endpoint = enter_endpoint(tx, actor, endpoint_id)
    before = options(endpoint)
    if changes.get("authentication", endpoint.authentication) != endpoint.authentication and has_records(endpoint):
        raise Refused(BAD_OPTIONS, "The flag authentication can be changed only while there are no records.")
    for name, value in changes.items():
        setattr(endpoint, name, value)
    if opens(before, options(endpoint)):
        endpoint.opened = tx.position()
    keep(endpoint)
    if options(endpoint) != before:
        tx.record(EndpointClosed(endpoint_id, OPTIONS_CHANGED))
    return show(endpoint)


def options(endpoint: Endpoint) -> dict[str, Any]:
    """What clients of an endpoint depend on."""
    return {name: value for name, value in show(endpoint).items() if name != "description"}


def opens(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether somebody may read from now on what others wrote, and could not before."""
    cleared = any(before[flag] and not after[flag] for flag in ("secure", "authentication"))
    return cleared or (after["access"]["read"] and not before["access"]["read"])


def keep(endpoint: Endpoint) -> None:
    """Stores an endpoint, secure where it authenticates; raises Refused for flags that would mean nothing, or a name
    that is taken.

    The lock of the workspace does not keep out an endpoint of another one, so the unique index is asked."""
    endpoint.secure = endpoint.secure or endpoint.authentication
    if any(endpoint.access.values()) and (endpoint.authentication or not endpoint.secure):
        raise Refused(BAD_OPTIONS, "Data-access flags need a secure endpoint that is no authentication endpoint.")
    try:
        endpoint.save()
    except IntegrityError:
        raise Refused(ENDPOINT_NAME_TAKEN) from None


def delete_endpoint(tx: Transaction, actor: Actor, *, endpoint_id: int) -> None:
    """Deletes an endpoint and its records; admins only. Where those were users, the sockets on all endpoints of the
    project are closed, since some of them may be theirs."""
    endpoint = enter_endpoint(tx, actor, endpoint_id)
    remove_records(tx, [endpoint_id])
    endpoint.delete_instance()
    tx.record(EndpointClosed(endpoint_id, DELETED))
    if endpoint.authentication:
        close_endpoints(tx, endpoint.project_id, USERS_DELETED)


def has_records(endpoint: Endpoint) -> bool:
    found: bool = StoredRecord.select().where(StoredRecord.endpoint_id == endpoint.id).exists()
    return found
