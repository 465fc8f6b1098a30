"""The event of the records API (contract records.md): one message a change."""

from typing import Any, Literal

from server.encoding import encode
from server.events.event import Event, event


@event("record", "ce:endpoint", source="records.md WebSocket")
class RecordChanged(Event):
    """`change` is the HTTP method that made it; `record` the full envelope, a list for an upload of several files."""

    change: Literal["POST", "PUT", "DELETE"]
    record: dict[str, Any] | list[dict[str, Any]]

    def payload(self) -> bytes:
        return encode({"type": self.change, "record": self.record})
