"""Frames: how an event looks on each wire.

Invariants: a frame is made at most once per wire and event and the same object goes to every socket of a room; it
is made by joining bytes around the stored payload, which is never parsed again. Server frames of RFC 6455 are
unmasked, so one buffer serves all sockets. A wire that recovers marks what it sends with a position, from which its
client can go on.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

from server.encoding import encode
from server.events.subscription import Subscription
from server.store.log import LoggedEvent

Frame: TypeAlias = bytes  # as they go to the transport, several joined at a time
TEXT, BINARY = 0x81, 0x82
RETRY = 2000  # milliseconds after which the client of a lost event stream comes back


class Wire(ABC):
    """One dialect on one kind of connection: frames of logged events and of ephemeral messages.

    `discarded` gives the name and body of the message that ends a subscription; `follows_workspaces` is true where a
    socket hears all workspaces of its user."""

    __slots__ = ("discarded", "follows_workspaces")

    def __init__(
        self, discarded: Callable[[Subscription], tuple[str, Any]], *, follows_workspaces: bool = False
    ) -> None:
        self.discarded = discarded
        self.follows_workspaces = follows_workspaces

    @abstractmethod
    def event(self, event: LoggedEvent) -> Frame:
        """The frame of a logged event."""

    @abstractmethod
    def message(self, kind: str, body: Any, position: int) -> Frame:
        """The frame of a message that is not in the log; `position` is how far its receiver has been told."""


def websocket_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole, final, unmasked frame of RFC 6455."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def texts_of(frames: bytes) -> list[str]:
    """The payloads of text frames that were joined: what a client gets that is polling."""
    texts, start = [], 0
    while start < len(frames):
        size, head = frames[start + 1], 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(frames[start + 2 : start + head], "big")
        start += head + size
        texts.append(frames[start - size : start].decode())
    return texts


class RawWire(Wire):
    """Raw JSON whose payload is the message; `mark` names the key that carries the position, if any."""

    __slots__ = ("mark",)

    def __init__(
        self, discarded: Callable[[Subscription], tuple[str, Any]], mark: str = "", *, follows_workspaces: bool = False
    ) -> None:
        super().__init__(discarded, follows_workspaces=follows_workspaces)
        self.mark = f',"{mark}":'.encode() if mark else b""

    def event(self, event: LoggedEvent) -> bytes:
        if not self.mark:
            return websocket_frame(event.payload)
        return websocket_frame(event.payload[:-1] + self.mark + b"%d}" % event.id)

    def message(self, kind: str, body: Any, position: int) -> bytes:
        return websocket_frame(encode({"type": kind} | body))


class ItemsRawWire(RawWire):
    """Raw JSON whose payload is the `data` of the message."""

    __slots__ = ()

    def event(self, event: LoggedEvent) -> bytes:
        mark = self.mark + b"%d" % event.id if self.mark else b""
        return websocket_frame(b'{"type":"%b","data":%b%b}' % (event.type.encode(), event.payload, mark))


class SocketIOWire(Wire):
    """Events of one namespace: the type is the name, the payload the argument; on a connection that recovers the
    position follows as a text, on ephemeral events too, because the official client takes whatever text stands last
    for its offset."""

    __slots__ = ("prefix", "recovers", "wraps")

    def __init__(
        self,
        namespace: str,
        discarded: Callable[[Subscription], tuple[str, Any]],
        *,
        recovers: bool = False,
        wraps: bool = False,
        follows_workspaces: bool = False,
    ) -> None:
        super().__init__(discarded, follows_workspaces=follows_workspaces)
        self.prefix = b'42%b,["' % namespace.encode()  # of an EVENT of Socket.IO in a MESSAGE of Engine.IO
        self.recovers = recovers
        self.wraps = wraps  # ephemeral bodies name their type too

    def event(self, event: LoggedEvent) -> bytes:
        return self.packet(event.type, event.payload, event.id)

    def message(self, kind: str, body: Any, position: int) -> bytes:
        return self.packet(kind, encode({"type": kind} | body if self.wraps else body), position)

    def packet(self, name: str, argument: bytes, position: int) -> bytes:
        """The frame of an EVENT, with the argument given as JSON."""
        offset = b',"%d"' % position if self.recovers else b""
        return websocket_frame(b'%b%b",%b%b]' % (self.prefix, name.encode(), argument, offset))


class RecordsSocketIOWire(SocketIOWire):
    """The records of one endpoint in the namespace `/ce`, whose messages name the endpoint."""

    __slots__ = ("__weakref__", "head", "named")

    def __init__(self, endpoint: str) -> None:
        super().__init__("/ce", page_discard)
        self.named = {"endpoint": endpoint}
        self.head = encode(self.named)[:-1] + b","

    def event(self, event: LoggedEvent) -> Frame:
        return self.packet(event.type, self.head + event.payload[1:], event.id)

    def message(self, kind: str, body: Any, position: int) -> Frame:
        return self.packet(kind, encode(self.named | body), position)


class EventStreamWire(Wire):
    """Server-Sent Events, each frame one chunk of the answer, or none where the client speaks HTTP/1.0. A block with an
    `id` and no data is no event; it only tells the client from where to go on."""

    __slots__ = ("chunked",)

    def __init__(self, discarded: Callable[[Subscription], tuple[str, Any]], *, chunked: bool) -> None:
        super().__init__(discarded)
        self.chunked = chunked

    def event(self, event: LoggedEvent) -> bytes:
        return self.told(event.id, event.type, event.payload)

    def message(self, kind: str, body: Any, position: int) -> bytes:
        return self.told(position, kind, encode(body))

    def told(self, position: int, kind: str, data: bytes) -> bytes:
        """An event; `data` is JSON in one line."""
        return self.chunk(b"id: %d\nevent: %b\ndata: " % (position, kind.encode()), data, b"\n\n")

    def welcome(self, position: int) -> bytes:
        """How far the client was told, and when to come back after the connection was lost."""
        return self.chunk(b"retry: %d\nid: %d\n\n" % (RETRY, position))

    def heartbeat(self, position: int) -> bytes:
        """A comment, and how far the client was told."""
        return self.chunk(b":\nid: %d\n\n" % position)

    def comment(self, text: str) -> bytes:
        """A line for people."""
        return self.chunk(b": %b\n" % " ".join(text.split()).encode())

    def chunk(self, *parts: bytes) -> bytes:
        """The parts as one chunk of an answer of unknown length (RFC 9112, 7.1)."""
        if not self.chunked:
            return b"".join(parts)
        return b"".join((b"%x\r\n" % sum(map(len, parts)), *parts, b"\r\n"))


def page_discard(page: Subscription) -> tuple[str, Any]:
    return "page_discard", {"page": page.name, "parameters": page.parameters}


def room_discard(stream: Subscription) -> tuple[str, Any]:
    return "room_discard", stream.parameters


def deselected(selected: Subscription) -> tuple[str, Any]:
    return "workspace-deselected", selected.parameters["workspace"]


def deselected_raw(selected: Subscription) -> tuple[str, Any]:
    return "workspace-deselected", {}


CORE_RAW = RawWire(page_discard, follows_workspaces=True)
CORE_RAW_2026 = RawWire(page_discard, "_event_id", follows_workspaces=True)
RECORDS_RAW = RawWire(page_discard)
RECORDS_RAW_OFFSETS = RawWire(page_discard, "offset")
CORE_SOCKETIO = SocketIOWire("/core", page_discard, wraps=True, follows_workspaces=True)
CORE_SOCKETIO_RECOVERY = SocketIOWire("/core", page_discard, wraps=True, follows_workspaces=True, recovers=True)
ITEMS_RAW = ItemsRawWire(deselected_raw)
ITEMS_RAW_OFFSETS = ItemsRawWire(deselected_raw, "offset")
ITEMS_SOCKETIO = SocketIOWire("/events", deselected)
ITEMS_SOCKETIO_RECOVERY = SocketIOWire("/events", deselected, recovers=True)
EVENT_STREAM = EventStreamWire(room_discard, chunked=True)
EVENT_STREAM_UNCHUNKED = EventStreamWire(room_discard, chunked=False)
