"""Clients: programs that act as a member of one workspace in the items API (contract items.md).

Invariants: a client has an account of its own, without an address, without a password and with one membership, so that
whatever asks who acts, or who may hear, needs to know nothing of clients; its membership is marked, so that no list of
members shows it and no admin changes it. A client belongs to its workspace, not to the admin who made it.
"""

from typing import Any

from server.actions.boards import UUID, find_workspace, unknown
from server.actions.item_shapes import stamp
from server.actions.workspaces import add_member
from server.auth.actors import Actor
from server.auth.passwords import draw_secret
from server.auth.permissions import ADMIN, CLIENT, enter_workspace, require_admin
from server.errors import NO_PERMISSION, Refused
from server.events.control import SessionsEnded
from server.store.models import Client, Membership, User, Workspace
from server.store.transaction import Transaction


def show(client: Client, workspace_uuid: str) -> dict[str, Any]:
    return {
        "client_id": client.id,
        "workspace_id": workspace_uuid,
        "name": client.name,
        "created_at": stamp(client.created_at),
    }


def list_clients(tx: Transaction, actor: Actor, *, workspace_id: str | None) -> list[dict[str, Any]]:
    """The clients of one workspace, or of all of which the actor is an admin, oldest first; raises Refused for who is
    an admin of none."""
    if workspace_id is not None:
        workspace = find_workspace(workspace_id)
        require_admin(actor, workspace.id, "client.list")
        found = {workspace.id: workspace.uuid}
    else:
        found = administered(actor)
    query = Client.select().where(Client.workspace_id.in_(list(found))).order_by(Client.created_at, Client.id)
    return [show(client, found[client.workspace_id]) for client in query]


def administered(actor: Actor) -> dict[int, str]:
    """The workspaces of which the actor is an admin: id -> UUID; raises Refused where there is none."""
    query = (
        Workspace.select(Workspace.id, Workspace.uuid)
        .join(Membership, on=(Membership.workspace_id == Workspace.id))
        .where(Membership.user_id == actor.id, Membership.permissions == ADMIN, ~Workspace.trashed)
    )
    found = dict(query.tuples())
    if not found:
        raise Refused(NO_PERMISSION, "You need client.list permissions.")
    return found


def create_client(tx: Transaction, actor: Actor, *, workspace_id: str, name: str) -> dict[str, Any]:
    """Makes a client with a secret, which is told here and never again; admins only."""
    workspace = enter_workspace(tx, actor, find_workspace(workspace_id).id)
    require_admin(actor, workspace.id, "client.create")
    account = User.create(email=None, first_name=name, password="")
    add_member(tx, workspace.id, account.id, CLIENT)
    secret, stored = draw_secret()
    client = Client.create(workspace_id=workspace.id, user_id=account.id, name=name, secret=stored)
    return show(client, workspace.uuid) | {"client_secret": secret}


def delete_client(tx: Transaction, actor: Actor, *, client_id: str) -> None:
    """Ends a client, its tokens and its sockets; admins only. What it made stays, and names its account."""
    known = find_client(client_id)
    enter_workspace(tx, actor, known.workspace_id)
    require_admin(actor, known.workspace_id, "client.delete")
    client = find_client(client_id)
    User.update(is_active=False).where(User.id == client.user_id).execute()
    Membership.delete().where(Membership.user_id == client.user_id).execute()
    client.delete_instance()
    tx.record(SessionsEnded(client.user_id, None, account_ended=True))


def find_client(client_id: str) -> Client:
    """A client by its id; raises Refused."""
    wanted = client_id.lower()
    found = Client.find(id=wanted) if UUID.fullmatch(wanted) else None
    if found is None:
        raise unknown(Client)
    return found


def find_secret(tx: Transaction, client_id: str) -> tuple[str | None, int]:
    """The hash of a client's secret, and its account; (None, 0) where there is none, or its workspace ended."""
    try:
        client = find_client(client_id)
    except Refused:
        return None, 0
    alive = Workspace.find(id=client.workspace_id, trashed=False) is not None
    return (client.secret, client.user_id) if alive else (None, 0)
