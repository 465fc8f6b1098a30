"""Reading packets of Socket.IO: whatever comes is a packet of the protocol, or MalformedPacket."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from socketio.packet import Packet as LibraryPacket

from server.delivery.packets import ACK, CONNECT, DISCONNECT, EVENT, MAX_ATTACHMENTS, MalformedPacket, read_packet

PLACE = '{"_placeholder":true,"num":%d}'


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "number", "data"),
    [
        ("0", CONNECT, "/", None, None),
        ('0{"token":"x"}', CONNECT, "/", None, {"token": "x"}),
        ("0/core,", CONNECT, "/core", None, None),
        ("0/core", CONNECT, "/core", None, None),
        ('0/core,{"token":"x"}', CONNECT, "/core", None, {"token": "x"}),
        ("1", DISCONNECT, "/", None, None),
        ("1/core,", DISCONNECT, "/core", None, None),
        ('2["x"]', EVENT, "/", None, ["x"]),
        ('20["x"]', EVENT, "/", 0, ["x"]),
        ('2/core,999999999999999["x",1]', EVENT, "/core", 999_999_999_999_999, ["x", 1]),
        ('2/a/b-c.d,["x"]', EVENT, "/a/b-c.d", None, ["x"]),
        ("3/core,7[]", ACK, "/core", 7, []),
    ],
)
def test_reads_packets(text: str, kind: int, namespace: str, number: int | None, data: Any) -> None:
    packet = read_packet(text)
    assert (packet.kind, packet.namespace, packet.id, packet.data) == (kind, namespace, number, data)
    assert packet.missing == 0


def test_attachments_go_where_the_payload_says_in_the_order_of_their_numbers() -> None:
    packet = read_packet(f'53-/core,7["x",{PLACE % 2},{{"a":[{PLACE % 0}],"b":{PLACE % 1}}}]')
    for left, content in ((2, b"0"), (1, b"1"), (0, b"2")):
        packet.attach(content, 3)
        assert packet.missing == left
    assert (packet.kind, packet.id, packet.data) == (EVENT, 7, ["x", b"2", {"a": [b"0"], "b": b"1"}])


def test_attachments_have_no_more_bytes_than_a_message_may_have() -> None:
    packet = read_packet(f'52-["x",{PLACE % 0},{PLACE % 1}]')
    packet.attach(b"12345", 9)
    with pytest.raises(MalformedPacket):
        packet.attach(b"12345", 9)


def test_what_looks_like_a_placeholder_in_a_plain_event_is_data() -> None:
    assert read_packet(f'2["x",{PLACE % 5}]').data == ["x", {"_placeholder": True, "num": 5}]


@given(st.text())
def test_whatever_comes_is_a_packet_or_malformed(text: str) -> None:
    try:
        packet = read_packet(text)
    except MalformedPacket:
        return
    assert packet.kind in (CONNECT, DISCONNECT, EVENT, ACK)


HEADS = st.from_regex(r"[0-6](([0-9]{1,3}-)?(/[a-z]{0,3},?)?[0-9]{0,3})?", fullmatch=True)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
KEYS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda key: key not in ("__proto__", "_placeholder"))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | KEYS | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=16,
)


@given(HEADS, st.sampled_from(["", "[]", '["x"]', "{}", "null", "1", f'["x",{PLACE % 0}]', '["connect"]']))
def test_whatever_looks_like_a_packet_is_one_or_malformed(head: str, body: str) -> None:
    test_whatever_comes_is_a_packet_or_malformed.hypothesis.inner_test(head + body)  # type: ignore[attr-defined]


@given(st.lists(VALUES, max_size=4), st.none() | st.integers(0, 10**15 - 1))
def test_what_python_socketio_sends_is_read_as_it_was_meant(arguments: list[Any], number: int | None) -> None:
    encoded = LibraryPacket(EVENT, ["name", *arguments], namespace="/core", id=number).encode()
    text, *attachments = encoded if isinstance(encoded, list) else [encoded]
    assume(len(attachments) <= MAX_ATTACHMENTS)
    packet = read_packet(text)
    for attachment in attachments:
        packet.attach(attachment, 100)
    assert (packet.namespace, packet.id, packet.missing) == ("/core", number, 0)
    assert packet.data == ["name", *arguments]


def test_a_message_has_so_many_attachments_and_no_more() -> None:
    def message(count: int) -> str:
        return f'5{count}-["name",' + ",".join(PLACE % number for number in range(count)) + "]"

    assert read_packet(message(MAX_ATTACHMENTS)).missing == MAX_ATTACHMENTS
    with pytest.raises(MalformedPacket):
        read_packet(message(MAX_ATTACHMENTS + 1))
