"""What a client sends over a WebSocket, message by message (RFC 6455, sections 5 to 8).

Invariants: a frame that breaks the protocol, or passes the limit, is refused by its header, before its payload has
come; nothing is kept but an unfinished frame and an unfinished message, of no more than the limit. No extension is
ever agreed on, so reserved bits are an error.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from server.errors import CloseCode
from server.metrics import Limit, met

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPCODES = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
CONTROL_SIZE = 125  # bytes of a control frame at most
CLOSE_CODES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)))  # that a client may send

Payload: TypeAlias = str | bytes  # of a text, and of anything else


class BrokenProtocol(Exception):
    """What came is not WebSocket, or is too much; `code` is what to close with."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Frame(NamedTuple):
    """Where a frame lies in a buffer; its four bytes of mask stand before `start`."""

    final: bool
    opcode: int
    start: int
    end: int


class WebSocketReader:
    """Takes bytes as they come and gives messages; `limit` is the size of the largest message, in bytes."""

    __slots__ = ("_at", "_buffer", "_fragments", "_opcode", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer: bytes | bytearray = b""  # what has come
        self._at = 0  # how much of it was read
        self._fragments: bytearray | None = None  # of a message whose last frame has not come
        self._opcode = 0

    def feed(self, data: bytes) -> None:
        """Takes what has come."""
        if self._at == len(self._buffer):
            self._buffer = data
        else:
            if self._at or isinstance(self._buffer, bytes):
                self._buffer = bytearray(memoryview(self._buffer)[self._at :])
            self._buffer += data
        self._at = 0

    def messages(self) -> Iterator[tuple[int, Payload]]:
        """The opcode and the payload of each message, control frame too, that is whole now; whoever stops in between
        goes on with the next one. Raises BrokenProtocol."""
        while (frame := self._frame(self._buffer, self._at)) is not None:
            self._at = frame.end
            mask = self._buffer[frame.start - 4 : frame.start]
            payload = unmask(self._buffer[frame.start : frame.end], mask)
            if self._at == len(self._buffer):
                self._buffer, self._at = b"", 0  # an idle connection keeps nothing
            if (message := self._message(frame.final, frame.opcode, payload)) is not None:
                yield message

    def _frame(self, buffer: bytes | bytearray, begin: int) -> Frame | None:
        """The frame that begins there; None when it is not whole."""
        if len(buffer) < begin + 2:
            return None
        final, opcode, size = buffer[begin] & 0x80 != 0, buffer[begin] & 0x7F, buffer[begin + 1] & 0x7F
        if opcode not in OPCODES or not buffer[begin + 1] & 0x80:
            raise BrokenProtocol(CloseCode.PROTOCOL, "not a frame of a client")
        if opcode >= CLOSE and (size > CONTROL_SIZE or not final):
            raise BrokenProtocol(CloseCode.PROTOCOL, "a control frame that is too long or in pieces")
        start = begin + 6
        if size > 125:
            start += 2 if size == 126 else 8
            if len(buffer) < start - 4:
                return None
            size = int.from_bytes(buffer[begin + 2 : start - 4], "big")
        if opcode < CLOSE and size + len(self._fragments or b"") > self.limit:
            met(Limit.FRAME_SIZE)
            raise BrokenProtocol(CloseCode.TOO_BIG, "message too big")
        return Frame(final, opcode, start, start + size) if len(buffer) >= start + size else None

    def _message(self, final: bool, opcode: int, payload: bytes) -> tuple[int, Payload] | None:
        """The message that a frame completes."""
        if opcode >= CLOSE:
            return opcode, payload
        if (opcode == CONTINUATION) != (self._fragments is not None):
            raise BrokenProtocol(CloseCode.PROTOCOL, "a piece of no message, or of another")
        if self._fragments is not None:
            self._fragments += payload
        elif not final:
            self._opcode, self._fragments = opcode, bytearray(payload)
        if not final:
            return None
        if self._fragments is not None:
            opcode, payload, self._fragments = self._opcode, bytes(self._fragments), None
        return opcode, text_of(payload) if opcode == TEXT else payload


def unmask(payload: bytes | bytearray, mask: bytes | bytearray) -> bytes:
    """The payload without its mask; one operation on two long numbers is the fastest way that Python has."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def text_of(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise BrokenProtocol(CloseCode.NOT_TEXT, "not UTF-8") from None


def code_of(payload: bytes) -> int:
    """The code of a close frame, 1000 where it has none; raises BrokenProtocol."""
    if not payload:
        return CloseCode.GOODBYE
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or code not in CLOSE_CODES:
        raise BrokenProtocol(CloseCode.PROTOCOL, "no close code")
    text_of(payload[2:])
    return code
