"""Events of the items API (contract items.md); the payload is the one argument of the Socket.IO event."""

from dataclasses import dataclass
from typing import Any, ClassVar

from server.encoding import encode
from server.events.event import Event

SOURCE = "items.md Socket.IO"


@dataclass(frozen=True, slots=True)
class ItemUpdated(Event):
    type: ClassVar[str] = "item-updated"
    audience: ClassVar[tuple[str, ...]] = ("items:workspace",)
    source: ClassVar[str] = SOURCE
    item: dict[str, Any]

    def payload(self) -> bytes:
        return encode(self.item)


@dataclass(frozen=True, slots=True)
class ItemRemoved(Event):
    type: ClassVar[str] = "item-removed"
    audience: ClassVar[tuple[str, ...]] = ("items:workspace",)
    source: ClassVar[str] = SOURCE
    item_id: str

    def payload(self) -> bytes:
        return encode(self.item_id)


@dataclass(frozen=True, slots=True)
class ColumnPatched(Event):
    type: ClassVar[str] = "column-patched"
    audience: ClassVar[tuple[str, ...]] = ("items:workspace",)
    source: ClassVar[str] = SOURCE
    column: dict[str, Any]

    def payload(self) -> bytes:
        return encode(self.column)
