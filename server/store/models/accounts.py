"""Users, workspaces and who belongs to them."""

from peewee import BigIntegerField, BooleanField, CharField, DateTimeField, IntegerField, TextField

from server.encoding import now
from server.store.models.base import JSONField, Record


class User(Record):
    """An account. `email` is lower case and serves as username; null for the account of a client, which is found by no
    login. Tokens issued before `tokens_valid_from` (seconds) are refused."""

    email = CharField(254, unique=True, null=True)
    first_name = CharField(150)
    password = CharField(255)
    is_staff = BooleanField(default=False)
    is_active = BooleanField(default=True)
    language = CharField(10, default="en")
    email_notification_frequency = CharField(20, default="instant")
    email_verified = BooleanField(default=False)
    completed_onboarding = BooleanField(default=False)
    completed_guided_tours = JSONField(default=list)
    tokens_valid_from = BigIntegerField(default=0)
    to_be_deleted = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "account"


class RefusedToken(Record):
    """A refresh token that was signed out before its time; `jti` names it, `expires_at` (seconds) ends its use."""

    jti = CharField(64, unique=True)
    expires_at = BigIntegerField(index=True)

    class Meta:
        table_name = "refused_token"


class Workspace(Record):
    """A workspace; `uuid` is its id in the items API."""

    uuid = CharField(36, unique=True)
    name = CharField(165)
    trashed = BooleanField(default=False)
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "workspace"


class Membership(Record):
    """A user in a workspace; `permissions` is ADMIN, MEMBER or CLIENT, `order` the place in the user's own list,
    `began` the log position at which it began: nothing of the workspace up to there is ever told to the user."""

    workspace_id = IntegerField()
    user_id = IntegerField(index=True)
    permissions = CharField(20)
    order = IntegerField(default=1)
    began = BigIntegerField()
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "membership"
        indexes = ((("workspace_id", "user_id"), True),)


class WorkspaceInvitation(Record):
    """An open invitation; accepting or rejecting it deletes it."""

    workspace_id = IntegerField()
    email = CharField(254, index=True)
    permissions = CharField(20)
    message = TextField(default="")
    invited_by_id = IntegerField()
    created_at = DateTimeField(default=now)
    updated_at = DateTimeField(default=now)

    class Meta:
        table_name = "workspace_invitation"
        indexes = ((("workspace_id", "email"), True),)


class UserNotification(Record):
    """A notification of one user; `workspace_id` is null for those that belong to no workspace of theirs yet."""

    user_id = IntegerField(index=True)
    workspace_id = IntegerField(null=True)
    type = CharField(64)
    sender_id = IntegerField(null=True)
    data = JSONField(default=dict)
    read = BooleanField(default=False)
    created_at = DateTimeField(default=now)

    class Meta:
        table_name = "user_notification"
