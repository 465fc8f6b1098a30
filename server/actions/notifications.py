"""Notifications: what a user should know even when offline (contract database.md)."""

from typing import Any

from server.actions.people import person
from server.actions.workspaces import require_workspace
from server.auth.actors import Actor
from server.auth.permissions import membership
from server.encoding import iso
from server.errors import NO_NOTIFICATION, Refused
from server.events import rooms, shapes
from server.events.workspaces import NotificationMarkedAsRead, NotificationsCreated
from server.store.models import User, UserNotification
from server.store.transaction import Transaction


def show(notification: UserNotification, sender: User | None) -> shapes.Notification:
    workspace = notification.workspace_id
    return {
        "id": notification.id,
        "type": notification.type,
        "sender": person(sender) if sender is not None else None,
        "workspace": {"id": workspace} if workspace is not None else None,
        "created_on": iso(notification.created_at),
        "read": notification.read,
        "data": notification.data,
    }


def notify(
    tx: Transaction, user_id: int, kind: str, sender_id: int, data: dict[str, Any], workspace_id: int | None = None
) -> None:
    """Keeps a notification for a user and tells it to all the user's sockets."""
    made = UserNotification.create(
        user_id=user_id, workspace_id=workspace_id, type=kind, sender_id=sender_id, data=data
    )
    tx.record(NotificationsCreated([show(made, User.get_by_id(sender_id))]), rooms.user(user_id))


def mark_read(tx: Transaction, notification: UserNotification, actor: Actor | None) -> shapes.Notification:
    """Marks one as read; `actor` names the socket to leave out, None tells all."""
    notification.read = True
    notification.save(only=[UserNotification.read])
    shown = show(notification, User.find(id=notification.sender_id))
    origin = actor.origin if actor is not None else None
    tx.record(NotificationMarkedAsRead(shown), rooms.user(notification.user_id), origin=origin)
    return shown


def list_notifications(
    tx: Transaction, actor: Actor, *, workspace_id: int, limit: int, offset: int
) -> tuple[int, list[shapes.Notification]]:
    """(count, page) of a user's notifications in a workspace and outside of any, newest first."""
    require_workspace(workspace_id)
    membership(actor, workspace_id)
    query = UserNotification.select().where(
        UserNotification.user_id == actor.id,
        (UserNotification.workspace_id == workspace_id) | UserNotification.workspace_id.is_null(),
    )
    page = list(query.order_by(UserNotification.id.desc()).limit(limit).offset(offset))
    senders = {user.id: user for user in User.select().where(User.id.in_({each.sender_id for each in page}))}
    return query.count(), [show(each, senders.get(each.sender_id)) for each in page]


def read_notification(tx: Transaction, actor: Actor, *, notification_id: int) -> shapes.Notification:
    """Marks one of the actor's notifications as read."""
    found = UserNotification.find(id=notification_id, user_id=actor.id)
    if found is None:
        raise Refused(NO_NOTIFICATION)
    return mark_read(tx, found, actor)
