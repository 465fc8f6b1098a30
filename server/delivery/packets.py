"""Packets of Socket.IO as clients send them (revision 5 of the protocol), read strictly.

Invariants: nothing but a packet of the protocol is returned, and nothing but MalformedPacket raised, whatever came; a
payload is parsed once; a packet names its attachments before they come, each place of it exactly once, and takes no
more bytes of them than a message may have.
"""

import re
from typing import Any

from server.encoding import MAX_DEPTH, NotJson, decode
from server.metrics import Limit, met

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
PLAIN = {BINARY_EVENT: EVENT, BINARY_ACK: ACK}  # what a packet is once its attachments are in their places
RESERVED = frozenset({"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"})
MAX_ATTACHMENTS = 16
PLACEHOLDER = frozenset({"_placeholder", "num"})  # the keys of an object that stands for an attachment
# Kind, attachments, namespace, id; integers that JavaScript can count to have at most 15 digits, or are never reached
HEAD = re.compile(r"([0-6])(?:([0-9]{1,2})-)?(?:(/[^,]{0,100})(?:,|\Z))?([0-9]{1,15})?")


class MalformedPacket(Exception):
    """What a client sent is no packet, or none that it may send now."""


class Packet:
    """A packet; `data` is whole when nothing is `missing`. `kind` is that of the packet without attachments."""

    __slots__ = ("data", "id", "kind", "missing", "namespace", "places")

    def __init__(self, kind: int, namespace: str, number: int | None, data: Any, count: int) -> None:
        self.kind = PLAIN.get(kind, kind)
        self.namespace = namespace
        self.id = number
        self.data = data
        self.places = places_of(data, count) if count else []
        self.missing = count

    def attach(self, content: bytes, limit: int) -> None:
        """Puts the next attachment in its place; `limit` is how many bytes all may have."""
        holder, key = self.places[-self.missing]
        holder[key] = content
        self.missing -= 1
        if sum(len(holder[key]) for holder, key in self.places if isinstance(holder[key], bytes)) > limit:
            raise MalformedPacket


def read_packet(text: str, max_depth: int = MAX_DEPTH) -> Packet:
    """The packet that a message is, or begins with; raises MalformedPacket."""
    head = HEAD.match(text)
    if head is None:
        raise MalformedPacket
    kind, count, namespace, number = int(head[1]), int(head[2] or 0), head[3] or "/", head[4]
    body = text[head.end() :]
    try:
        data = decode(body, max_depth) if body else None
    except NotJson as error:
        if error.limit:
            met(Limit.JSON_DEPTH)
        raise MalformedPacket from None
    if (kind in PLAIN) != (0 < count <= MAX_ATTACHMENTS) or (kind not in PLAIN and head[2]):
        raise MalformedPacket
    packet = Packet(kind, namespace, int(number) if number else None, data, count)
    if not is_valid(packet):
        raise MalformedPacket
    return packet


def is_valid(packet: Packet) -> bool:
    """True for a packet that has what its kind demands, and nothing else."""
    data = packet.data
    if packet.kind == EVENT:
        return isinstance(data, list) and bool(data) and isinstance(data[0], str) and data[0] not in RESERVED
    if packet.kind == ACK:
        return isinstance(data, list) and packet.id is not None
    if packet.kind == CONNECT:
        return packet.id is None  # the namespace finds out what its data are worth
    return packet.kind == DISCONNECT and packet.id is None and data is None


def places_of(data: Any, count: int) -> list[tuple[Any, Any]]:
    """Where the attachments of a payload belong, in their order: the list or object, and its index or key. Raises
    MalformedPacket unless each of them has exactly one place."""
    found: dict[int, tuple[Any, Any]] = {}
    waiting = [data]
    while waiting:
        holder = waiting.pop()
        entries = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, each in entries:
            if isinstance(each, dict) and each.get("_placeholder") is True:
                number = each.get("num")
                if type(number) is not int or number in found or each.keys() != PLACEHOLDER:
                    raise MalformedPacket
                found[number] = holder, key
            else:
                waiting.append(each)
    if found.keys() != set(range(count)):
        raise MalformedPacket
    return [found[number] for number in range(count)]
