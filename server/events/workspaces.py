"""Messages about users, workspaces, members, invitations and notifications (contract database.md, a)."""

from server.events import shapes
from server.events.event import CoreEvent, event

SOURCE = "database.md (a) Users and workspaces"


@event("user_updated", "core:workspace", "core:user", source=SOURCE)
class UserUpdated(CoreEvent):
    user: shapes.Person


@event("group_created", "core:workspace", source=SOURCE)
class GroupCreated(CoreEvent):
    workspace: shapes.Workspace


@event("group_updated", "core:workspace", source=SOURCE)
class GroupUpdated(CoreEvent):
    workspace_id: int
    workspace: shapes.Workspace


@event("before_group_deleted", "core:workspace", source="database.md (g)")
class BeforeGroupDeleted(CoreEvent):
    workspace_id: int


@event("group_deleted", "core:workspace", source=SOURCE)
class GroupDeleted(CoreEvent):
    workspace_id: int


@event("groups_reordered", "core:user", source=SOURCE)
class GroupsReordered(CoreEvent):
    workspace_ids: list[int]


@event("group_user_added", "core:workspace", source=SOURCE)
class GroupUserAdded(CoreEvent):
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@event("group_user_updated", "core:workspace", source=SOURCE)
class GroupUserUpdated(CoreEvent):
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@event("group_user_deleted", "core:workspace", "core:user", source=SOURCE)
class GroupUserDeleted(CoreEvent):
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@event("workspace_invitation_updated_or_created", "core:user", source=SOURCE)
class InvitationUpdatedOrCreated(CoreEvent):
    invitation: shapes.Invitation


@event("workspace_invitation_accepted", "core:user", source=SOURCE)
class InvitationAccepted(CoreEvent):
    invitation: shapes.Invitation


@event("workspace_invitation_rejected", "core:user", source=SOURCE)
class InvitationRejected(CoreEvent):
    invitation: shapes.Invitation


@event("notifications_created", "core:user", source="database.md (a) Public views, notifications, premium")
class NotificationsCreated(CoreEvent):
    notifications: list[shapes.Notification]


@event("notification_marked_as_read", "core:user", source="database.md (a) Public views, notifications, premium")
class NotificationMarkedAsRead(CoreEvent):
    notification: shapes.Notification
