"""What an event is, and the catalogue of all of them.

Invariants: an event class is the only description of a message type; its payload is exactly what the contract
names. The wire adds framing around the payload and never looks inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeVar, dataclass_transform

from server.encoding import encode
from server.events.rooms import CONTROL

E = TypeVar("E", bound="Event")
CATALOGUE: dict[str, type["Event"]] = {}


class Origin(NamedTuple):
    """Who caused an event: the acting user and the socket named by the request, which is left out when both match."""

    user_id: int
    socket_id: str


class Event:
    """Base of all message types; the fields of a subclass are its payload's keys.

    `type` is the name on the wire, `audience` the kinds of rooms that may get it (`core:table`, …), `source` where
    it is documented."""

    __slots__ = ()
    type: ClassVar[str] = ""
    __match_args__: ClassVar[tuple[str, ...]] = ()  # the names of the fields, by `dataclass`
    audience: ClassVar[tuple[str, ...]] = ()
    source: ClassVar[str] = ""

    def payload(self) -> bytes:
        """The bytes that are stored and sent."""
        raise NotImplementedError


@dataclass_transform(frozen_default=True)
def event(name: str, *audience: str, source: str) -> Callable[[type[E]], type[E]]:
    """Makes a class a message type of the catalogue: its name on the wire, the kinds of rooms that may get it (none:
    the relays alone), and where it is documented."""

    def enter(cls: type[E]) -> type[E]:
        made = dataclass(frozen=True, slots=True)(cls)
        made.type, made.audience, made.source = name, audience or (CONTROL,), source
        CATALOGUE[name] = made
        return made

    return enter


class CoreEvent(Event):
    """A message of the database API: the payload is the whole raw message, `type` first."""

    __slots__ = ()

    def payload(self) -> bytes:
        return encode({"type": self.type, **{key: getattr(self, key) for key in self.__match_args__}})


class ControlEvent(Event):
    """A change of who is entitled to what. It is never sent: every relay applies it to its own registry at its
    place in the log, before the next event."""

    __slots__ = ()

    def concerns(self) -> tuple[str, ...]:
        """The control rooms under which the replay of one connection finds it."""
        return ()

    def payload(self) -> bytes:
        return encode({key: getattr(self, key) for key in self.__match_args__})
