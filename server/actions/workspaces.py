"""Workspaces and their members (contract database.md)."""

import uuid
from collections.abc import Iterable
from typing import Any

from peewee import fn

from server.actions import projects
from server.actions.item_files import release_originals
from server.auth.actors import Actor
from server.auth.managers import workspace_permissions
from server.auth.permissions import ADMIN, CLIENT, enter_workspace, membership, require_admin
from server.encoding import iso
from server.errors import (
    CANNOT_REMOVE_YOURSELF,
    LAST_ADMIN,
    NO_MEMBER,
    NO_WORKSPACE,
    Refused,
)
from server.events import rooms, shapes
from server.events.control import AccessEnded, AccessGranted
from server.events.workspaces import (
    BeforeGroupDeleted,
    GroupCreated,
    GroupDeleted,
    GroupsReordered,
    GroupUpdated,
    GroupUserDeleted,
    GroupUserUpdated,
)
from server.store.models import Item, Membership, User, UserNotification, Workspace
from server.store.sql import run
from server.store.transaction import Transaction

WORKSPACES_OF = """
    SELECT m.workspace_id, m.began FROM membership m JOIN workspace w ON w.id = m.workspace_id
    WHERE m.user_id = ? AND NOT w.trashed ORDER BY m."order", m.workspace_id"""


def show(workspace: Workspace) -> shapes.Workspace:
    """The three keys that appear everywhere."""
    return {"id": workspace.id, "name": workspace.name, "generative_ai_models_enabled": {}}


def show_member(member: Membership, user: User) -> shapes.Member:
    return {
        "id": member.id,
        "name": user.first_name,
        "email": user.email,
        "workspace": member.workspace_id,
        "permissions": member.permissions,
        "created_on": iso(member.created_at),
        "user_id": user.id,
        "to_be_deleted": user.to_be_deleted,
    }


def members_of(workspace_ids: Iterable[int]) -> dict[int, list[shapes.Member]]:
    """The members of several workspaces, oldest first; clients are none of them."""
    ids = list(workspace_ids)
    found: dict[int, list[shapes.Member]] = {number: [] for number in ids}
    people = Membership.workspace_id.in_(ids) & (Membership.permissions != CLIENT)
    members = list(Membership.select().where(people).order_by(Membership.id))
    users = {user.id: user for user in User.select().where(User.id.in_({each.user_id for each in members}))}
    for member in members:
        found[member.workspace_id].append(show_member(member, users[member.user_id]))
    return found


def show_workspace(actor: Actor, workspace_id: int) -> dict[str, Any]:
    """A workspace as one of its members sees it."""
    workspace, member = Workspace.get_by_id(workspace_id), membership(actor, workspace_id)
    return full(workspace, member, members_of([workspace_id])[workspace_id])


def full(workspace: Workspace, member: Membership, users: list[shapes.Member], **more: Any) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "users": users,
        "order": member.order,
        "permissions": member.permissions,
        **more,
        "generative_ai_models_enabled": {},
    }


def workspaces_of(tx: Transaction, actor: Actor) -> dict[int, int]:
    """The workspaces that the actor is a member of and that are not trashed, in the actor's own order: id -> where the
    membership began."""
    return dict(run(tx, WORKSPACES_OF, [actor.id]).fetchall())


def list_workspaces(tx: Transaction, actor: Actor) -> list[dict[str, Any]]:
    """The actor's workspaces in the actor's own order."""
    members = list(
        Membership.select().where(Membership.user_id == actor.id).order_by(Membership.order, Membership.workspace_id)
    )
    ids = [member.workspace_id for member in members]
    found = {each.id: each for each in Workspace.select().where(Workspace.id.in_(ids), ~Workspace.trashed)}
    users, unread = members_of(found), unread_notifications(actor)
    return [
        full(
            found[member.workspace_id],
            member,
            users[member.workspace_id],
            unread_notifications_count=unread.get(member.workspace_id, 0),
        )
        for member in members
        if member.workspace_id in found
    ]


def unread_notifications(actor: Actor) -> dict[int, int]:
    """Unread notifications per workspace."""
    query = (
        UserNotification.select(UserNotification.workspace_id, fn.COUNT(UserNotification.id))
        .where(UserNotification.user_id == actor.id, ~UserNotification.read)
        .group_by(UserNotification.workspace_id)
    )
    return dict(query.tuples())


def create_workspace(tx: Transaction, actor: Actor, *, name: str) -> dict[str, Any]:
    """Makes a workspace with the actor as its admin."""
    workspace = Workspace.create(name=name, uuid=str(uuid.uuid4()))
    add_member(tx, workspace.id, actor.id, ADMIN)
    tx.record(GroupCreated(show(workspace)), rooms.workspace(workspace.id), origin=actor.origin)
    return show_workspace(actor, workspace.id)


def add_member(tx: Transaction, workspace_id: int, user_id: int, permissions: str) -> Membership:
    """Adds a member at the end of the user's own list; the user's sockets hear the workspace from here on."""
    highest = Membership.select(fn.MAX(Membership.order)).where(Membership.user_id == user_id).scalar() or 0
    member: Membership = Membership.create(
        workspace_id=workspace_id, user_id=user_id, permissions=permissions, order=highest + 1, began=tx.position()
    )
    tx.record(AccessGranted(user_id, workspace_id))
    return member


def update_workspace(tx: Transaction, actor: Actor, *, workspace_id: int, name: str | None) -> shapes.Workspace:
    """Renames a workspace; admins only."""
    workspace = enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "workspace.update")
    if name is not None:
        workspace.name = name
        workspace.save(only=[Workspace.name])
    shown = show(workspace)
    tx.record(GroupUpdated(workspace_id, shown), rooms.workspace(workspace_id), origin=actor.origin)
    return shown


def delete_workspace(tx: Transaction, actor: Actor, *, workspace_id: int) -> None:
    """Trashes a workspace; admins only. Its pages are discarded, and the files of its items."""
    enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "workspace.delete")
    Workspace.update(trashed=True).where(Workspace.id == workspace_id).execute()
    room = rooms.workspace(workspace_id)
    tx.record(BeforeGroupDeleted(workspace_id), room, origin=actor.origin)
    tx.record(GroupDeleted(workspace_id), room, origin=actor.origin)
    tx.record(AccessEnded(workspace_id, None))
    projects.close_workspace(tx, workspace_id)
    release_originals(tx, Item.workspace_id == workspace_id)


def order_workspaces(tx: Transaction, actor: Actor, *, workspace_ids: list[int]) -> None:
    """Puts the named workspaces first in the actor's own list, in this order."""
    tx.lock_users(actor.id)
    members = {each.workspace_id: each for each in Membership.select().where(Membership.user_id == actor.id)}
    rest = sorted((each for each in members.values() if each.workspace_id not in workspace_ids), key=lambda m: m.order)
    ordered = [members[number] for number in dict.fromkeys(workspace_ids) if number in members] + rest
    for place, member in enumerate(ordered, 1):
        Membership.update(order=place).where(Membership.id == member.id).execute()
    tx.record(GroupsReordered(workspace_ids), rooms.user(actor.id), origin=actor.origin)


def list_members(tx: Transaction, actor: Actor, *, workspace_id: int) -> list[dict[str, Any]]:
    """All members of a workspace; admins only."""
    require_workspace(workspace_id)
    require_admin(actor, workspace_id, "workspace.list_workspace_users")
    extra: dict[str, Any] = {"role_uid": None, "highest_role_uid": None, "teams": []}
    return [{**member, **extra} for member in members_of([workspace_id])[workspace_id]]


def require_workspace(workspace_id: int) -> Workspace:
    """A workspace for reading; raises Refused when it does not exist or is trashed."""
    workspace = Workspace.find(id=workspace_id, trashed=False)
    if workspace is None:
        raise Refused(NO_WORKSPACE)
    return workspace


def update_member(tx: Transaction, actor: Actor, *, member_id: int, permissions: str | None) -> shapes.Member:
    """Makes a member an admin or the reverse; admins only, and one admin must remain."""
    member = enter_membership(tx, actor, member_id)
    require_admin(actor, member.workspace_id, "workspace_user.update")
    if permissions is not None and permissions != member.permissions:
        if member.permissions == ADMIN:
            require_other_admin(member)
        member.permissions = permissions
        member.save(only=[Membership.permissions])
    shown = show_member(member, User.get_by_id(member.user_id))
    room = rooms.workspace(member.workspace_id)
    tx.record(GroupUserUpdated(member.id, member.workspace_id, shown), room, origin=actor.origin)
    return shown


def enter_membership(tx: Transaction, actor: Actor, member_id: int) -> Membership:
    """Locks the workspace of a membership and returns the membership as it is then."""
    known = Membership.find(id=member_id)
    if known is None:
        raise Refused(NO_MEMBER)
    enter_workspace(tx, actor, known.workspace_id)
    member = Membership.find(id=member_id)
    if member is None or member.permissions == CLIENT:
        raise Refused(NO_MEMBER)
    return member


def require_other_admin(member: Membership) -> None:
    others = Membership.select().where(
        Membership.workspace_id == member.workspace_id, Membership.permissions == ADMIN, Membership.id != member.id
    )
    if not others.exists():
        raise Refused(LAST_ADMIN)


def remove_member(tx: Transaction, actor: Actor, *, member_id: int) -> None:
    """Takes somebody out of a workspace; admins only."""
    member = enter_membership(tx, actor, member_id)
    require_admin(actor, member.workspace_id, "workspace_user.delete")
    if member.user_id == actor.id:
        raise Refused(CANNOT_REMOVE_YOURSELF)
    end_membership(tx, actor, member)


def leave_workspace(tx: Transaction, actor: Actor, *, workspace_id: int) -> None:
    """Takes oneself out of a workspace; the last admin stays."""
    enter_workspace(tx, actor, workspace_id)
    member = membership(actor, workspace_id)
    if member.permissions == ADMIN:
        require_other_admin(member)
    end_membership(tx, actor, member)


def end_membership(tx: Transaction, actor: Actor, member: Membership) -> None:
    """The members and the removed user are told; then the user's sockets hear nothing more of the workspace."""
    shown = show_member(member, User.get_by_id(member.user_id))
    member.delete_instance()
    audience = (rooms.workspace(member.workspace_id), rooms.user(member.user_id))
    event = GroupUserDeleted(member.id, member.workspace_id, {**shown, "id": None})
    tx.record(event, *audience, origin=actor.origin)
    tx.record(AccessEnded(member.workspace_id, member.user_id))


def get_permissions(tx: Transaction, actor: Actor, *, workspace_id: int) -> list[dict[str, Any]]:
    """The permission managers of a workspace for the actor."""
    require_workspace(workspace_id)
    return workspace_permissions(actor.is_staff, membership(actor, workspace_id).permissions == ADMIN)
