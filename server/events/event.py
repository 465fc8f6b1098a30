"""What an event is, and the catalogue of all of them.

Invariants: an event class is the only description of a message type; its payload is exactly what the contract
names. The wire adds framing around the payload and never looks inside.
"""

from dataclasses import fields
from typing import Any, ClassVar, NamedTuple

from server.encoding import encode

CATALOGUE: dict[str, type["Event"]] = {}


class Origin(NamedTuple):
    """Who caused an event: the acting user and the socket named by the request, which is left out when both match."""

    user_id: int
    socket_id: str


class Event:
    """Base of all message types; subclasses are frozen dataclasses whose fields are the payload's keys.

    `type` is the name on the wire, `audience` the kinds of rooms that may get it (`core:table`, …), `source` where
    it is documented.
    """

    __slots__ = ()
    type: ClassVar[str] = ""
    audience: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Enters every class with a type into the catalogue; `@dataclass(slots=True)` makes a class twice."""
        super().__init_subclass__(**kwargs)
        if cls.type:
            CATALOGUE[cls.type] = cls

    def payload(self) -> bytes:
        """The bytes that are stored and sent."""
        raise NotImplementedError


class CoreEvent(Event):
    """A message of the database API: the payload is the whole raw message, `type` first."""

    __slots__ = ()

    def payload(self) -> bytes:
        return encode({"type": self.type} | {field.name: getattr(self, field.name) for field in fields(self)})  # type: ignore[arg-type]


class ControlEvent(Event):
    """A change of who is entitled to what. It is never sent: every relay applies it to its own registry at its
    place in the log, before the next event."""

    __slots__ = ()
    audience = ("control",)

    def payload(self) -> bytes:
        return encode({field.name: getattr(self, field.name) for field in fields(self)})  # type: ignore[arg-type]
