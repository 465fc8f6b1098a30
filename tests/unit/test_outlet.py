"""The outlet: what is written in one turn leaves in order, once, and in as few writes as possible."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest

from server.delivery import sending
from server.delivery.outlet import Crowd, Outlet
from server.delivery.sending import Slot

LOOP_IN_C = sending.send_to_slots


@pytest.fixture(params=["loop in C", "loop in Python"], autouse=True)
def loop_in_c(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to write to many; where there is no compiler the first is the second."""
    monkeypatch.setattr(sending, "send_to_slots", LOOP_IN_C if request.param == "loop in C" else None)


class Receiver(asyncio.Protocol):
    """A socket that is written to, beside its transport while nothing waits there; and what its peer got."""

    def __init__(self, peer: socket.socket) -> None:
        self.peer = peer
        self.frames: tuple[bytes, ...] = ()
        self.slot = Slot(-1)
        self.writes: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.transport.set_write_buffer_limits(high=0)
        self.slot.descriptor = self.own = transport.get_extra_info("socket").fileno()

    def put(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause_writing(self) -> None:
        self.slot.descriptor = -1

    def resume_writing(self) -> None:
        self.slot.descriptor = self.own

    def got(self) -> bytes:
        try:
            return self.peer.recv(1 << 20)
        except BlockingIOError:
            return b""


@asynccontextmanager
async def receivers(count: int) -> AsyncIterator[list[Receiver]]:
    loop, made = asyncio.get_running_loop(), []
    for _ in range(count):
        ours, peer = socket.socketpair()
        peer.setblocking(False)
        ours.setblocking(False)
        made.append((await loop.create_connection(lambda peer=peer: Receiver(peer), sock=ours))[1])  # type: ignore[misc]
    try:
        yield made
    finally:
        for receiver in made:
            receiver.transport.abort()
            receiver.peer.close()


def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bytes]]:
    """Notes to how many sockets a crowd's bytes go, and which."""
    writes: list[tuple[int, bytes]] = []
    write = Crowd.write

    def note(crowd: Crowd, data: bytes, without: Collection[Any] = ()) -> None:
        writes.append((sum(socket not in without for socket in crowd.sockets), data))
        write(crowd, data, without)

    monkeypatch.setattr(Crowd, "write", note)
    return writes


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_one_audience_is_told_with_one_write_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = written(monkeypatch)
    async with receivers(5) as some:
        out, raw, named = Outlet(), some[:3], some[3:]
        for number in (b"1", b"2", b"3"):
            out.tell([Crowd(raw), Crowd(named)], [b"raw" + number, b"io" + number])
        await turn()
    assert writes == [(3, b"raw1raw2raw3"), (2, b"io1io2io3")]


async def test_those_who_caused_something_cost_the_others_no_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is left out of what it caused, and told the rest in its place."""
    writes = written(monkeypatch)
    async with receivers(8) as some:
        out, stranger = Outlet(), some[7]
        audience = [Crowd(some[:5]), Crowd(some[5:7])]
        for frame, without in ((b"1", [some[0]]), (b"2", [some[6]]), (b"3", [some[0], stranger]), (b"4", [some[1]])):
            out.tell(audience, [frame, b"!" + frame], without)
        await turn()
        assert [each.got() for each in some] == [b"24", b"123", *[b"1234"] * 3, b"!1!2!3!4", b"!1!3!4", b""]
    assert writes == [(3, b"1234"), (1, b"!1!2!3!4")]


async def test_sockets_that_are_told_alike_share_a_write_though_their_rooms_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writes = written(monkeypatch)
    async with receivers(5) as some:
        out = Outlet()
        out.tell([Crowd(some)], [b"a"])
        out.tell([Crowd(some[:4])], [b"b"])
        out.tell([Crowd(some)], [b"c"])
        await turn()
        assert [each.got() for each in some] == [*[b"abc"] * 4, b"ac"]
    assert writes == [(4, b"abc")]


async def test_what_a_socket_is_written_alone_keeps_its_place() -> None:
    async with receivers(6) as some:
        out = Outlet()
        out.add(some[0], b"1")
        out.tell([Crowd(some)], [b"2"])
        out.add(some[0], b"3")
        out.tell([Crowd(some[:2])], [b"4"])
        out.tell([Crowd(some)], [b"5"])
        out.add(some[1], b"6")
        await turn()
        assert [each.got() for each in some] == [b"12345", b"2456", b"25", b"25", b"25", b"25"]


async def test_a_socket_that_does_not_read_gets_all_of_it_in_order_when_it_does() -> None:
    async with receivers(6) as some:
        out, sent = Outlet(), b""
        while some[0].slot.descriptor >= 0:  # until something waits in all transports
            frame = random.randbytes(40_000)
            out.tell([Crowd(some)], [frame])
            sent += frame
            await turn()
        out.tell([Crowd(some)], [b"and"])
        out.add(some[0], b"more")
        out.tell([Crowd(some)], [b"."])
        got = dict.fromkeys(some, b"")
        async with asyncio.timeout(10):
            while any(len(got[each]) < len(sent) + 4 for each in some):
                for each in some:
                    got[each] += each.got()
                await turn()
        assert [got[each].removeprefix(sent) for each in some] == [b"andmore.", *[b"and."] * 5]
        assert all(each.slot.descriptor >= 0 for each in some)


async def test_a_socket_that_has_ended_costs_the_others_nothing() -> None:
    async with receivers(6) as some:
        out = Outlet()
        some[1].peer.close()
        some[2].transport.abort()
        some[3].put = lambda data: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        some[3].slot.descriptor = -1
        out.tell([Crowd(some)], [b"x"])
        await turn()
        assert [some[n].got() for n in (0, 4, 5)] == [b"x"] * 3
        assert some[3].transport.is_closing()


async def test_any_sequence_leaves_in_order() -> None:
    dice = random.Random(11)
    async with receivers(9) as some:
        out = Outlet()
        rooms = [some[:5], some[3:], some, some[2:6]]
        audiences = [[Crowd(room[: len(room) // 2]), Crowd(room[len(room) // 2 :])] for room in rooms]
        expected = dict.fromkeys(some, b"")
        for number in range(3000):
            frame = b"<%d>" % number
            if dice.random() < 0.2:
                one = dice.choice(some)
                out.add(one, frame)
                expected[one] += frame
            else:
                room = dice.choice(rooms)
                half = len(room) // 2
                without = dice.sample(some, dice.choice((0, 0, 1, 2)))
                out.tell(audiences[rooms.index(room)], [frame, b"!" + frame], without)
                for place, each in enumerate(room):
                    if each not in without:
                        expected[each] += frame if place < half else b"!" + frame
            if dice.random() < 0.1:
                await turn()
        got = dict.fromkeys(some, b"")
        async with asyncio.timeout(10):
            while any(len(got[each]) < len(expected[each]) for each in some):
                await turn()
                for each in some:
                    got[each] += each.got()
        assert got == expected
