"""Who may do what in a workspace: members may change its content, admins also the workspace and its members. Clients
are members that nobody sees in lists of members, and that only the items API lets in."""

from typing import Literal

from server.auth.actors import Actor
from server.errors import NO_PERMISSION, NO_WORKSPACE, NOT_IN_WORKSPACE, Refused
from server.store.models import Membership, Workspace
from server.store.transaction import Transaction

ADMIN, MEMBER, CLIENT = "ADMIN", "MEMBER", "CLIENT"
AdminOperation = Literal[
    "workspace.update",
    "workspace.delete",
    "workspace.list_workspace_users",
    "workspace.list_invitations",
    "workspace.create_invitation",
    "workspace_user.update",
    "workspace_user.delete",
    "invitation.read",
    "invitation.update",
    "invitation.delete",
    "project.update",
    "workspace.webhooks",
    "client.list",
    "client.create",
    "client.delete",
]


def membership(actor: Actor, workspace_id: int) -> Membership:
    """The actor's membership; raises Refused(NOT_IN_WORKSPACE)."""
    found = Membership.find(workspace_id=workspace_id, user_id=actor.id)
    if found is None:
        raise Refused(NOT_IN_WORKSPACE)
    return found


def require_admin(actor: Actor, workspace_id: int, operation: AdminOperation) -> Membership:
    """The actor's membership when it is an admin's; raises Refused, naming the operation as the original does."""
    found = membership(actor, workspace_id)
    if found.permissions != ADMIN:
        raise Refused(NO_PERMISSION, f"You need {operation} permissions.")
    return found


def enter_workspace(tx: Transaction, actor: Actor, workspace_id: int) -> Workspace:
    """Locks a workspace for a change by a member and returns it; raises Refused (unknown before not a member)."""
    tx.lock_workspaces(workspace_id)
    workspace = Workspace.find(id=workspace_id, trashed=False)
    if workspace is None:
        raise Refused(NO_WORKSPACE)
    membership(actor, workspace_id)
    return workspace
