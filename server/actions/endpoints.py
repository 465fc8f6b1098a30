"""Endpoints of a project: where records live (contract records.md). Members see them, only admins change them."""

import re
from typing import Any

from peewee import IntegrityError

from server.actions.projects import DELETED, enter_project, remove_records, visible_project
from server.auth.actors import Actor
from server.errors import ENDPOINT_NAME_TAKEN, NO_ENDPOINT, NOT_SUPPORTED, Refused
from server.events.control import EndpointClosed
from server.store.models import Endpoint
from server.store.transaction import Transaction

ENDPOINT_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9/-]{3,252}[a-z0-9]")
ACCESS = ("read", "update", "delete")
OPTIONS_CHANGED = "The options of the endpoint changed."


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
    """Changes an endpoint; admins only. Its sockets are closed when more than the description changed."""
    endpoint = enter_endpoint(tx, actor, endpoint_id)
    before = options(endpoint)
    for name, value in changes.items():
        setattr(endpoint, name, value)
    keep(endpoint)
    if options(endpoint) != before:
        tx.record(EndpointClosed(endpoint_id, OPTIONS_CHANGED))
    return show(endpoint)


def options(endpoint: Endpoint) -> dict[str, Any]:
    """What clients of an endpoint depend on."""
    return {name: value for name, value in show(endpoint).items() if name != "description"}


def keep(endpoint: Endpoint) -> None:
    """Stores an endpoint; raises Refused for options that are not served, or a name that is taken.

    The lock of the workspace does not keep out an endpoint of another one, so the unique index is asked."""
    if endpoint.secure or endpoint.authentication or any(endpoint.access.values()):
        raise Refused(NOT_SUPPORTED, "Secure endpoints, authentication and access flags are not supported.")
    try:
        endpoint.save()
    except IntegrityError:
        raise Refused(ENDPOINT_NAME_TAKEN) from None


def delete_endpoint(tx: Transaction, actor: Actor, *, endpoint_id: int) -> None:
    """Deletes an endpoint and its records; admins only."""
    endpoint = enter_endpoint(tx, actor, endpoint_id)
    remove_records(tx, [endpoint_id])
    endpoint.delete_instance()
    tx.record(EndpointClosed(endpoint_id, DELETED))
