"""Changes of who is entitled to what; ours, never sent. Each relay applies them at their place in the log."""

from server.events import rooms
from server.events.event import ControlEvent, event

SOURCE = "ARCHITECTURE: the relay"


@event("control:access-granted", source=SOURCE)
class AccessGranted(ControlEvent):
    """The user became a member: the user's sockets join the room of the workspace."""

    user_id: int
    workspace_id: int

    def concerns(self) -> tuple[str, ...]:
        return (rooms.control_user(self.user_id),)


@event("control:access-ended", source=SOURCE)
class AccessEnded(ControlEvent):
    """The user (None: everybody) is no longer entitled to the workspace: its rooms and pages are left and each page
    is discarded."""

    workspace_id: int
    user_id: int | None

    def concerns(self) -> tuple[str, ...]:
        if self.user_id is None:
            return (rooms.control_workspace(self.workspace_id),)
        return (rooms.control_user(self.user_id),)


@event("control:tables-closed", source=SOURCE)
class TablesClosed(ControlEvent):
    """The tables were trashed: their pages are discarded on every socket."""

    workspace_id: int
    table_ids: list[int]

    def concerns(self) -> tuple[str, ...]:
        return (rooms.control_workspace(self.workspace_id),)


@event("control:sessions-ended", source=SOURCE)
class SessionsEnded(ControlEvent):
    """The user's sockets are told `force_disconnect` and closed, all but the one named: with 4403 where the account
    itself has ended."""

    user_id: int
    except_socket: str | None
    account_ended: bool = False

    def concerns(self) -> tuple[str, ...]:
        return (rooms.control_user(self.user_id),)


@event("control:token-ended", source=SOURCE)
class TokenEnded(ControlEvent):
    """The user has signed out: the sockets that were opened with the token of this id are closed."""

    user_id: int
    jti: str

    def concerns(self) -> tuple[str, ...]:
        return (rooms.control_user(self.user_id),)


@event("control:session-moved", source=SOURCE)
class SessionMoved(ControlEvent):
    """A Socket.IO session goes on in another connection: connections of an earlier generation are cut everywhere."""

    user_id: int
    sid: str
    generation: int


@event("control:new-epoch", source=SOURCE)
class EpochBegan(ControlEvent):
    """The database was restored from a backup: what was told after the backup is not in this log, so ids go on far
    above all that any client can have seen."""

    restored_at: int


@event("control:webhooks-changed", source=SOURCE)
class WebhooksChanged(ControlEvent):
    """Webhooks of a workspace were made or ended: each process looks at what there is to be told."""

    workspace_id: int


@event("control:endpoint-closed", source=SOURCE)
class EndpointClosed(ControlEvent):
    """An endpoint ended or its options changed: its sockets are closed with 1000 and the reason."""

    endpoint_id: int
    reason: str


@event("control:record-user-ended", source=SOURCE)
class RecordUserEnded(ControlEvent):
    """Tokens of a user of an authentication endpoint ended, one or (None) all: the sockets that were opened with them
    are closed with 1000 and the reason."""

    user_id: int
    jti: str | None
    reason: str
