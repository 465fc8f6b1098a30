"""Events of the items API (contract items.md); the payload is the one argument of the Socket.IO event."""

from typing import Any

from server.encoding import encode
from server.events.event import Event, event

SOURCE = "items.md Socket.IO"


@event("item-updated", "items:workspace", source=SOURCE)
class ItemUpdated(Event):
    item: dict[str, Any]

    def payload(self) -> bytes:
        return encode(self.item)


@event("item-removed", "items:workspace", source=SOURCE)
class ItemRemoved(Event):
    item_id: str

    def payload(self) -> bytes:
        return encode(self.item_id)


@event("column-patched", "items:workspace", source=SOURCE)
class ColumnPatched(Event):
    column: dict[str, Any]

    def payload(self) -> bytes:
        return encode(self.column)
