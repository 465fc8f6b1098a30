"""Frames of the event stream, and the heartbeat of many streams."""

import asyncio
from typing import Any

from server.delivery.event_stream import TURNS, Heartbeat
from server.delivery.rooms import Registry
from server.delivery.wire import EVENT_STREAM, EVENT_STREAM_UNCHUNKED
from server.events.subscription import Subscription
from server.store.log import LoggedEvent

EVENT = LoggedEvent(9, "item-removed", ("items:workspace:1",), b'"\xc3\xa4"', None)
TEXT = b'id: 9\nevent: item-removed\ndata: "\xc3\xa4"\n\n'
ROOM = Subscription("room", {"room": "items:1"}, "items:workspace:1", 1, 0)


def test_a_frame_is_one_chunk_with_its_length_in_bytes() -> None:
    assert EVENT_STREAM_UNCHUNKED.event(EVENT) == TEXT
    assert EVENT_STREAM.event(EVENT) == b"%x\r\n" % len(TEXT) + TEXT + b"\r\n"
    assert EVENT_STREAM.heartbeat(12) == b"a\r\n:\nid: 12\n\n\r\n"


def test_the_end_of_a_room_names_it_as_the_client_did() -> None:
    text = b'id: 12\nevent: room_discard\ndata: {"room":"items:1"}\n\n'
    assert EVENT_STREAM_UNCHUNKED.message(*EVENT_STREAM_UNCHUNKED.discarded(ROOM), 12) == text


def test_a_comment_is_one_line() -> None:
    assert EVENT_STREAM_UNCHUNKED.comment("a\r\nid: 1") == b": a id: 1\n"


class CountingLink:
    """A stream that counts its heartbeats."""

    wire = EVENT_STREAM

    def __init__(self, written: list[Any]) -> None:
        self.written = written
        self.beats = 0

    def write(self, frame: bytes) -> bool:
        self.beats += 1
        self.written.append(asyncio.get_running_loop().time())
        return True


async def test_the_heartbeats_of_many_streams_are_spread() -> None:
    """Streams that began in one instant get theirs in turns, each turn some of them."""
    written: list[float] = []
    heartbeat = Heartbeat(Registry().progress, 0.15)
    links: list[Any] = [CountingLink(written) for _ in range(300)]
    for link in links:
        heartbeat.add(link)
    async with asyncio.timeout(10):
        while min(link.beats for link in links) < 2:
            before = len(written)
            await asyncio.sleep(0)
            assert len(written) - before <= 300 / TURNS
    assert max(link.beats for link in links) <= 3
    for link in links:
        heartbeat.remove(link)
    assert heartbeat._timer is None
