"""What clients send over WebSockets: whole, in pieces, and wrong (RFC 6455)."""

import random
from collections.abc import Iterator

import pytest

from server.delivery.websocket_reader import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    TEXT,
    BrokenProtocol,
    Payload,
    WebSocketReader,
    code_of,
)

LIMIT = 70_000
MASK = b"\x11\x22\x33\x44"


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, head: int | None = None, mask: bool = True
) -> bytes:
    """A frame of a client; `head` replaces the first byte."""
    first = (0x80 if final else 0) | opcode if head is None else head
    size = len(payload)
    if size < 126:
        length = bytes([0x80 * mask | size])
    elif size < 65536:
        length = bytes([0x80 * mask | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([0x80 * mask | 127]) + size.to_bytes(8, "big")
    masked = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(payload))
    return bytes([first]) + length + (MASK + masked if mask else payload)


def read(*pieces: bytes) -> Iterator[tuple[int, Payload]]:
    reader = WebSocketReader(LIMIT)
    for piece in pieces:
        reader.feed(piece)
        yield from reader.messages()


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 127, 65535, 65536, LIMIT])
def test_messages_of_every_size(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    assert list(read(frame(BINARY, payload))) == [(BINARY, payload)]


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_bytes_may_come_in_any_pieces(step: int) -> None:
    stream = b"".join(
        (
            frame(TEXT, "grüß".encode()),
            frame(TEXT, b"in ", final=False),
            frame(PING, b"meanwhile"),
            frame(CONTINUATION, b"", final=False),
            frame(CONTINUATION, b"pieces"),
            frame(BINARY, bytes(300)),
            frame(CLOSE, b"\x03\xe8bye"),
        )
    )
    pieces = [stream[start : start + step] for start in range(0, len(stream), step)]
    assert list(read(*pieces)) == [
        (TEXT, "grüß"), (PING, b"meanwhile"), (TEXT, "in pieces"), (BINARY, bytes(300)), (CLOSE, b"\x03\xe8bye"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(frame(TEXT, b"x", mask=False), 1002, id="no mask"),
        pytest.param(frame(TEXT, b"x", head=0xC1), 1002, id="compressed"),
        pytest.param(frame(TEXT, b"x", head=0x91), 1002, id="reserved bit"),
        pytest.param(frame(3, b"x"), 1002, id="unknown data frame"),
        pytest.param(frame(11, b"x"), 1002, id="unknown control frame"),
        pytest.param(frame(PING, b"x", final=False), 1002, id="control frame in pieces"),
        pytest.param(frame(PING, bytes(126))[:2], 1002, id="long control frame, by its header"),
        pytest.param(frame(CONTINUATION, b"x"), 1002, id="a piece of nothing"),
        pytest.param(frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), 1002, id="a message inside another"),
        pytest.param(frame(BINARY, bytes(LIMIT + 1))[:10], 1009, id="one byte more than the limit, by its header"),
        pytest.param(b"\x82\xff" + (1 << 30).to_bytes(8, "big"), 1009, id="a gigabyte is announced"),
        pytest.param(b"\x82\xff" + b"\xff" * 8, 1009, id="a length with its highest bit set"),
        pytest.param(
            frame(BINARY, bytes(LIMIT), final=False) + frame(CONTINUATION, b"x"), 1009, id="too much in pieces"
        ),
        pytest.param(frame(TEXT, b"\xff"), 1007, id="no UTF-8"),
        pytest.param(frame(TEXT, b"\xed\xa0\x80"), 1007, id="a surrogate"),
        pytest.param(frame(TEXT, "ü".encode()[:1]), 1007, id="half a letter"),
    ],
)
def test_what_breaks_the_protocol(data: bytes, code: int) -> None:
    with pytest.raises(BrokenProtocol) as broken:
        list(read(data))
    assert broken.value.code == code


def test_a_hundred_thousand_pieces_cost_no_more_than_their_bytes() -> None:
    reader = WebSocketReader(LIMIT)
    reader.feed(frame(TEXT, b"a", final=False))
    for _ in range(LIMIT - 2):
        reader.feed(frame(CONTINUATION, b"a", final=False))
        assert list(reader.messages()) == []
    reader.feed(frame(CONTINUATION, b"a"))
    assert list(reader.messages()) == [(TEXT, "a" * LIMIT)]
    assert (reader._buffer, reader._fragments) == (b"", None)


def test_whoever_stops_in_between_goes_on_with_the_next_message() -> None:
    reader = WebSocketReader(LIMIT)
    reader.feed(b"".join(frame(TEXT, b"%d" % number) for number in range(5)) + frame(TEXT, b"5")[:3])
    assert [next(reader.messages()) for _ in range(2)] == [(TEXT, "0"), (TEXT, "1")]
    reader.feed(frame(TEXT, b"5")[3:] + frame(TEXT, b"6")[:1])
    assert [text for _, text in reader.messages()] == ["2", "3", "4", "5"]
    reader.feed(frame(TEXT, b"6")[1:])
    assert list(reader.messages()) == [(TEXT, "6")]


@pytest.mark.parametrize(
    ("payload", "code"), [(b"", 1000), (b"\x03\xe8", 1000), (b"\x0f\xa0why", 4000), (b"\x03\xf4", 1012)]
)
def test_codes_of_close_frames(payload: bytes, code: int) -> None:
    assert code_of(payload) == code


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x03\xe7", b"\x13\x88", b"\x03\xe8\xff"])
def test_close_frames_that_no_client_may_send(payload: bytes) -> None:
    with pytest.raises(BrokenProtocol):
        code_of(payload)
