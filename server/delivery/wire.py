"""Frames: how an event looks on each wire.

Invariants: a frame is made at most once per wire and event and the same object goes to every socket of a room; it
is made by joining bytes around the stored payload, which is never parsed again. Server frames of RFC 6455 are
unmasked, so one buffer serves all sockets.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from engineio.packet import MESSAGE, Packet

from server.encoding import encode
from server.events.subscription import Subscription
from server.store.log import LoggedEvent

Frame: TypeAlias = bytes | Packet  # bytes for a raw WebSocket, an Engine.IO packet for Socket.IO
TEXT, CLOSE = 0x81, 0x88


@dataclass(frozen=True, slots=True, eq=False)
class Wire:
    """One dialect on one kind of connection: frames of logged events, of ephemeral messages, and of the end of a
    subscription. `follows_workspaces` is true where a socket hears all workspaces of its user."""

    event: Callable[[LoggedEvent], Frame]
    message: Callable[[str, dict[str, Any]], Frame]
    discard: Callable[[Subscription], Frame]
    follows_workspaces: bool = False


def websocket_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole, final, unmasked frame of RFC 6455."""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; the reason is cut to the 123 bytes that fit."""
    text = reason.encode()[:123].decode(errors="ignore").encode()
    return websocket_frame(code.to_bytes(2, "big") + text, CLOSE)


def socketio_packet(namespace: str, name: str, payload: bytes) -> Packet:
    """An EVENT of Socket.IO with one argument, given as JSON."""
    return Packet(MESSAGE, f'2{namespace},["{name}",{payload.decode()}]')


# ---- database API, raw JSON: the payload is the message


def raw_event(event: LoggedEvent) -> bytes:
    return websocket_frame(event.payload)


def raw_message(kind: str, message: dict[str, Any]) -> bytes:
    return websocket_frame(encode({"type": kind} | message))


def raw_discard(page: Subscription) -> bytes:
    return raw_message("page_discard", {"page": page.name, "parameters": page.parameters})


# ---- database API as a Socket.IO namespace: the type is the event, the whole raw message its argument


def core_event(event: LoggedEvent) -> Packet:
    return socketio_packet("/core", event.type, event.payload)


def core_message(kind: str, message: dict[str, Any]) -> Packet:
    return socketio_packet("/core", kind, encode({"type": kind} | message))


def core_discard(page: Subscription) -> Packet:
    return core_message("page_discard", {"page": page.name, "parameters": page.parameters})


# ---- items API: the payload is the one argument


def items_event(event: LoggedEvent) -> Packet:
    return socketio_packet("/events", event.type, event.payload)


def items_message(kind: str, message: dict[str, Any]) -> Packet:
    return socketio_packet("/events", kind, encode(message))


def items_discard(selected: Subscription) -> Packet:
    return socketio_packet("/events", "workspace-deselected", encode(selected.parameters["workspace"]))


CORE_RAW = Wire(raw_event, raw_message, raw_discard, follows_workspaces=True)
CORE_SOCKETIO = Wire(core_event, core_message, core_discard, follows_workspaces=True)
ITEMS_SOCKETIO = Wire(items_event, items_message, items_discard)
RECORDS_RAW = Wire(raw_event, raw_message, raw_discard)
SOCKETIO_WIRES = {"/core": CORE_SOCKETIO, "/events": ITEMS_SOCKETIO}
