"""Messages about users, workspaces, members, invitations and notifications (contract database.md, a)."""

from dataclasses import dataclass
from typing import ClassVar

from server.events import shapes
from server.events.event import CoreEvent

SOURCE = "database.md (a) Users and workspaces"


@dataclass(frozen=True, slots=True)
class UserUpdated(CoreEvent):
    type: ClassVar[str] = "user_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace", "core:user")
    source: ClassVar[str] = SOURCE
    user: shapes.Person


@dataclass(frozen=True, slots=True)
class GroupCreated(CoreEvent):
    type: ClassVar[str] = "group_created"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = SOURCE
    workspace: shapes.Workspace


@dataclass(frozen=True, slots=True)
class GroupUpdated(CoreEvent):
    type: ClassVar[str] = "group_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = SOURCE
    workspace_id: int
    workspace: shapes.Workspace


@dataclass(frozen=True, slots=True)
class BeforeGroupDeleted(CoreEvent):
    type: ClassVar[str] = "before_group_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = "database.md (g)"
    workspace_id: int


@dataclass(frozen=True, slots=True)
class GroupDeleted(CoreEvent):
    type: ClassVar[str] = "group_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = SOURCE
    workspace_id: int


@dataclass(frozen=True, slots=True)
class GroupsReordered(CoreEvent):
    type: ClassVar[str] = "groups_reordered"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = SOURCE
    workspace_ids: list[int]


@dataclass(frozen=True, slots=True)
class GroupUserAdded(CoreEvent):
    type: ClassVar[str] = "group_user_added"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = SOURCE
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@dataclass(frozen=True, slots=True)
class GroupUserUpdated(CoreEvent):
    type: ClassVar[str] = "group_user_updated"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace",)
    source: ClassVar[str] = SOURCE
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@dataclass(frozen=True, slots=True)
class GroupUserDeleted(CoreEvent):
    type: ClassVar[str] = "group_user_deleted"
    audience: ClassVar[tuple[str, ...]] = ("core:workspace", "core:user")
    source: ClassVar[str] = SOURCE
    id: int
    workspace_id: int
    workspace_user: shapes.Member


@dataclass(frozen=True, slots=True)
class InvitationUpdatedOrCreated(CoreEvent):
    type: ClassVar[str] = "workspace_invitation_updated_or_created"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = SOURCE
    invitation: shapes.Invitation


@dataclass(frozen=True, slots=True)
class InvitationAccepted(CoreEvent):
    type: ClassVar[str] = "workspace_invitation_accepted"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = SOURCE
    invitation: shapes.Invitation


@dataclass(frozen=True, slots=True)
class InvitationRejected(CoreEvent):
    type: ClassVar[str] = "workspace_invitation_rejected"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = SOURCE
    invitation: shapes.Invitation


@dataclass(frozen=True, slots=True)
class NotificationsCreated(CoreEvent):
    type: ClassVar[str] = "notifications_created"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = "database.md (a) Public views, notifications, premium"
    notifications: list[shapes.Notification]


@dataclass(frozen=True, slots=True)
class NotificationMarkedAsRead(CoreEvent):
    type: ClassVar[str] = "notification_marked_as_read"
    audience: ClassVar[tuple[str, ...]] = ("core:user",)
    source: ClassVar[str] = "database.md (a) Public views, notifications, premium"
    notification: shapes.Notification
