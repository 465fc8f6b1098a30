"""The event of the records API (contract records.md): one message a change."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from server.encoding import encode
from server.events.event import Event


@dataclass(frozen=True, slots=True)
class RecordChanged(Event):
    """`change` is the HTTP method that made it; `record` the full envelope, a list for an upload of several files."""

    type: ClassVar[str] = "record"
    audience: ClassVar[tuple[str, ...]] = ("ce:endpoint",)
    source: ClassVar[str] = "records.md WebSocket"
    change: Literal["POST", "PUT", "DELETE"]
    record: dict[str, Any] | list[dict[str, Any]]

    def payload(self) -> bytes:
        return encode({"type": self.change, "record": self.record})
