"""What a socket asked to hear."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Subscription:
    """A page of the database API or the selected workspace of the items API: its room, and what it depends on.

    `parameters` are echoed as the client sent them; `table_id` is None where no table is concerned; `began` is the log
    position at which the entitlement began: what was told before is not for this user."""

    name: str
    parameters: dict[str, Any]
    room: str
    workspace_id: int
    began: int
    table_id: int | None = None
