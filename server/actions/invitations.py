"""Invitations into a workspace (contract database.md)."""

from typing import Any

from server.actions.notifications import mark_read, notify
from server.actions.workspaces import add_member, require_workspace, show_member, show_workspace
from server.auth.actors import Actor
from server.auth.permissions import enter_workspace, require_admin
from server.encoding import iso, now
from server.errors import INVITATION_MISMATCH, MEMBER_EXISTS, NO_INVITATION, Refused
from server.events import rooms, shapes
from server.events.workspaces import (
    GroupUserAdded,
    InvitationAccepted,
    InvitationRejected,
    InvitationUpdatedOrCreated,
)
from server.store.models import Membership, User, UserNotification, Workspace, WorkspaceInvitation
from server.store.transaction import Transaction

CREATED, ACCEPTED = "workspace_invitation_created", "workspace_invitation_accepted"
REJECTED = "workspace_invitation_rejected"


def show(invitation: WorkspaceInvitation) -> dict[str, Any]:
    """An invitation as the admins of the workspace see it."""
    return {
        "id": invitation.id,
        "workspace": invitation.workspace_id,
        "email": invitation.email,
        "permissions": invitation.permissions,
        "message": invitation.message,
        "created_on": iso(invitation.created_at),
    }


def show_invited(invitation: WorkspaceInvitation, email_exists: bool | None = None) -> shapes.Invitation:
    """An invitation as the invited person sees it."""
    inviter = User.find(id=invitation.invited_by_id)
    return {
        "id": invitation.id,
        "invited_by": inviter.first_name if inviter is not None else "",
        "workspace": Workspace.get_by_id(invitation.workspace_id).name,
        "email": invitation.email,
        "message": invitation.message,
        "created_on": iso(invitation.created_at),
        "email_exists": email_exists,
    }


def create_invitation(
    tx: Transaction, actor: Actor, *, workspace_id: int, email: str, permissions: str, message: str
) -> dict[str, Any]:
    """Invites an e-mail address, or renews its invitation; admins only."""
    enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "workspace.create_invitation")
    invited = User.find(email=email)
    if invited is not None and Membership.find(workspace_id=workspace_id, user_id=invited.id) is not None:
        raise Refused(MEMBER_EXISTS)
    values = {"permissions": permissions, "message": message, "invited_by_id": actor.id, "updated_at": now()}
    invitation, is_new = WorkspaceInvitation.get_or_create(workspace_id=workspace_id, email=email, defaults=values)
    if not is_new:
        WorkspaceInvitation.update(**values).where(WorkspaceInvitation.id == invitation.id).execute()
        invitation = WorkspaceInvitation.get_by_id(invitation.id)
    if invited is not None:
        tx.record(InvitationUpdatedOrCreated(show_invited(invitation)), rooms.user(invited.id))
        if is_new:
            notify(tx, invited.id, CREATED, actor.id, data_of(invitation))
    return show(invitation)


def data_of(invitation: WorkspaceInvitation) -> dict[str, Any]:
    """What notifications say about an invitation."""
    return {
        "invitation_id": invitation.id,
        "invited_to_workspace_id": invitation.workspace_id,
        "invited_to_workspace_name": Workspace.get_by_id(invitation.workspace_id).name,
    }


def list_invitations(tx: Transaction, actor: Actor, *, workspace_id: int) -> list[dict[str, Any]]:
    """Open invitations of a workspace; admins only."""
    require_workspace(workspace_id)
    require_admin(actor, workspace_id, "workspace.list_invitations")
    query = WorkspaceInvitation.select().where(WorkspaceInvitation.workspace_id == workspace_id)
    return [show(each) for each in query.order_by(WorkspaceInvitation.id)]


def list_pending(tx: Transaction, actor: Actor) -> list[shapes.Invitation]:
    """Open invitations for the actor's own address."""
    query = WorkspaceInvitation.select().where(WorkspaceInvitation.email == actor.email)
    return [show_invited(each) for each in query.order_by(WorkspaceInvitation.id) if not trashed(each)]


def trashed(invitation: WorkspaceInvitation) -> bool:
    return bool(Workspace.get_by_id(invitation.workspace_id).trashed)


def get_invitation(tx: Transaction, actor: Actor, *, invitation_id: int) -> dict[str, Any]:
    """One invitation; admins of its workspace only."""
    invitation = known(invitation_id)
    require_admin(actor, invitation.workspace_id, "invitation.read")
    return show(invitation)


def find_by_token(tx: Transaction, invitation_id: int) -> shapes.Invitation:
    """What somebody who holds the link of an invitation may see of it."""
    invitation = known(invitation_id)
    return show_invited(invitation, User.find(email=invitation.email) is not None)


def update_invitation(tx: Transaction, actor: Actor, *, invitation_id: int, permissions: str | None) -> dict[str, Any]:
    """Changes what the invited person will be; admins only."""
    invitation = enter_invitation(tx, actor, invitation_id)
    require_admin(actor, invitation.workspace_id, "invitation.update")
    if permissions is not None:
        invitation.permissions = permissions
        invitation.save(only=[WorkspaceInvitation.permissions])
    return show(invitation)


def delete_invitation(tx: Transaction, actor: Actor, *, invitation_id: int) -> None:
    """Takes an invitation back; admins only."""
    invitation = enter_invitation(tx, actor, invitation_id)
    require_admin(actor, invitation.workspace_id, "invitation.delete")
    invitation.delete_instance()


def enter_invitation(tx: Transaction, actor: Actor, invitation_id: int) -> WorkspaceInvitation:
    """Locks the workspace of an invitation for one of its members."""
    enter_workspace(tx, actor, known(invitation_id).workspace_id)
    return known(invitation_id)


def known(invitation_id: int) -> WorkspaceInvitation:
    """An open invitation; raises Refused."""
    invitation = WorkspaceInvitation.find(id=invitation_id)
    if invitation is None or trashed(invitation):
        raise Refused(NO_INVITATION)
    return invitation


def own(tx: Transaction, actor: Actor, invitation_id: int) -> WorkspaceInvitation:
    """Locks the workspace of an invitation for the invited person."""
    tx.lock_workspaces(known(invitation_id).workspace_id)
    invitation = known(invitation_id)
    if invitation.email != actor.email:
        raise Refused(INVITATION_MISMATCH)
    return invitation


def accept_invitation(tx: Transaction, actor: Actor, *, invitation_id: int) -> dict[str, Any]:
    """Joins the workspace; its members, the inviter and the actor's own sockets are told."""
    invitation = own(tx, actor, invitation_id)
    join(tx, actor, invitation)
    tx.record(InvitationAccepted(show_invited(invitation)), rooms.user(actor.id))
    settle(tx, actor, invitation, ACCEPTED)
    return show_workspace(actor, invitation.workspace_id)


def accept_at_signup(tx: Transaction, actor: Actor, invitation_id: int) -> None:
    """Joins the workspace of the invitation whose link led to the sign-up."""
    invitation = own(tx, actor, invitation_id)
    join(tx, actor, invitation)
    settle(tx, actor, invitation, ACCEPTED)


def join(tx: Transaction, actor: Actor, invitation: WorkspaceInvitation) -> None:
    """Makes the actor a member, unless it is one already."""
    if Membership.find(workspace_id=invitation.workspace_id, user_id=actor.id) is not None:
        return
    member = add_member(tx, invitation.workspace_id, actor.id, invitation.permissions)
    shown = show_member(member, User.get_by_id(actor.id))
    room = rooms.workspace(invitation.workspace_id)
    tx.record(GroupUserAdded(member.id, invitation.workspace_id, shown), room, origin=actor.origin)


def reject_invitation(tx: Transaction, actor: Actor, *, invitation_id: int) -> None:
    """Declines; the inviter is told."""
    invitation = own(tx, actor, invitation_id)
    tx.record(InvitationRejected(show_invited(invitation)), rooms.user(actor.id))
    settle(tx, actor, invitation, REJECTED)


def settle(tx: Transaction, actor: Actor, invitation: WorkspaceInvitation, answer: str) -> None:
    """Tells the inviter the answer, marks the invitation's notification as read, and ends the invitation."""
    if User.find(id=invitation.invited_by_id) is not None:
        notify(tx, invitation.invited_by_id, answer, actor.id, data_of(invitation), invitation.workspace_id)
    query = UserNotification.select().where(
        UserNotification.user_id == actor.id, UserNotification.type == CREATED, ~UserNotification.read
    )
    for notification in query:
        if notification.data.get("invitation_id") == invitation.id:
            mark_read(tx, notification, None)
    invitation.delete_instance()
