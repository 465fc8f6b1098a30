"""Changes of who is entitled to what; ours, never sent. Each relay applies them at their place in the log."""

from dataclasses import dataclass
from typing import ClassVar

from server.events.event import ControlEvent

SOURCE = "ARCHITECTURE: the relay"


@dataclass(frozen=True, slots=True)
class AccessGranted(ControlEvent):
    """The user became a member: the user's sockets join the room of the workspace."""

    type: ClassVar[str] = "control:access-granted"
    source: ClassVar[str] = SOURCE
    user_id: int
    workspace_id: int


@dataclass(frozen=True, slots=True)
class AccessEnded(ControlEvent):
    """The user (None: everybody) is no longer entitled to the workspace: its rooms and pages are left and each page
    is discarded."""

    type: ClassVar[str] = "control:access-ended"
    source: ClassVar[str] = SOURCE
    workspace_id: int
    user_id: int | None


@dataclass(frozen=True, slots=True)
class TablesClosed(ControlEvent):
    """The tables were trashed: their pages are discarded on every socket."""

    type: ClassVar[str] = "control:tables-closed"
    source: ClassVar[str] = SOURCE
    workspace_id: int
    table_ids: list[int]


@dataclass(frozen=True, slots=True)
class SessionsEnded(ControlEvent):
    """The user's sockets are told `force_disconnect` and closed, all but the one named."""

    type: ClassVar[str] = "control:sessions-ended"
    source: ClassVar[str] = SOURCE
    user_id: int
    except_socket: str | None


@dataclass(frozen=True, slots=True)
class EndpointClosed(ControlEvent):
    """An endpoint ended or its options changed: its sockets are closed with 1000 and the reason."""

    type: ClassVar[str] = "control:endpoint-closed"
    source: ClassVar[str] = SOURCE
    endpoint_id: int
    reason: str
