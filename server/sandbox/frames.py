"""What the server and its worker processes say to each other: frames, each a length and parts of a kind and a length.

Bytes travel as they are, everything else as JSON. Nothing that is read makes the reader run code.
"""

import struct
from collections.abc import Iterator
from typing import Any

import orjson

from server.encoding import encode

LENGTH = struct.Struct("<I")
PART = struct.Struct("<cI")
BYTES, JSON = b"b", b"j"
READY, BEGAN, RESULT, REFUSED, BROKEN, NO_MEMORY = "ready", "began", "result", "refused", "broken", "no memory"
"""What a worker says, as the first part: that it waits, that a call begins, and how the call ended."""


def pack(*parts: Any) -> bytes:
    """A frame of these parts; raises TypeError or ValueError for what is neither bytes nor JSON."""
    kinds = [(BYTES, part) if isinstance(part, bytes) else (JSON, encode(part)) for part in parts]
    pieces = [piece for kind, raw in kinds for piece in (PART.pack(kind, len(raw)), raw)]
    return b"".join([LENGTH.pack(sum(map(len, pieces))), *pieces])


def unpack(content: bytes) -> list[Any]:
    """The parts of a frame without its length; raises ValueError or struct.error."""
    return list(parts_of(content))


def parts_of(content: bytes) -> Iterator[Any]:
    at = 0
    while at < len(content):
        kind, length = PART.unpack_from(content, at)
        at += PART.size
        raw = content[at : at + length]
        at += length
        yield raw if kind == BYTES else orjson.loads(raw)
