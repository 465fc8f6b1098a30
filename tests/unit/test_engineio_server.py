"""What python-engineio and python-socketio do with our Engine.IO server, and the clockwork of its pings.

The hooks are private: a new version of the libraries that renames one would otherwise silently go its own way.
"""

import asyncio
import gc
import inspect
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import engineio
import pytest
import socketio
from engineio import packet
from engineio.base_server import BaseServer

from server.delivery import engineio_socket
from server.delivery.deadlines import Deadlines
from server.delivery.engineio_server import EngineServer
from server.delivery.engineio_socket import EngineSocket
from server.delivery.pings import Pings
from server.delivery.rooms import Registry
from server.delivery.socketio_server import SocketIOServer
from tests.support.engineio import websocket_server


def socketio_server(**options: Any) -> SocketIOServer:
    return SocketIOServer(
        Registry(), websockets=websocket_server(max_frame_size=5000), redis_url="", channel="", **options
    )


# ---- hooks


@pytest.mark.parametrize(
    ("owner", "name", "parameters"),
    [
        (engineio.AsyncServer, "attach", "self app engineio_path"),
        (engineio.AsyncServer, "handle_request", "self args kwargs"),
        (engineio.AsyncServer, "send", "self sid data"),
        (engineio.AsyncServer, "send_packet", "self sid pkt"),
        (engineio.AsyncServer, "disconnect", "self sid"),
        (engineio.AsyncServer, "generate_id", "self"),
        (socketio.AsyncServer, "_engineio_server_class", "self"),
        (socketio.AsyncServer, "_handle_eio_connect", "self eio_sid environ"),
        (socketio.AsyncServer, "_handle_eio_message", "self eio_sid data"),
        (socketio.AsyncServer, "_handle_eio_disconnect", "self eio_sid reason"),
        (socketio.AsyncServer, "_handle_disconnect", "self eio_sid namespace reason"),
        (socketio.AsyncServer, "_send_packet", "self eio_sid pkt"),
        (socketio.AsyncServer, "_send_eio_packet", "self eio_sid eio_pkt"),
    ],
)
def test_what_we_override_or_stand_in_for_is_still_called_like_this(owner: type, name: str, parameters: str) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters.split()


def test_python_socketio_builds_our_server_with_our_handlers() -> None:
    server = socketio_server(ping_interval=3, ping_timeout=4, transports=["websocket"])
    eio = server.eio
    assert type(eio) is EngineServer
    assert eio.handlers == {
        "connect": server._handle_eio_connect,
        "message": server._handle_eio_message,
        "disconnect": server._handle_eio_disconnect,
    }
    assert (eio.ping_interval, eio.ping_timeout, eio.transports) == (3, 4, ["websocket"])
    assert eio.max_http_buffer_size == 5000
    assert eio.start_service_task is False, "its own clock must not run"


def test_packets_and_reasons_are_those_of_the_library() -> None:
    types = (packet.OPEN, packet.CLOSE, packet.PING, packet.PONG, packet.MESSAGE, packet.UPGRADE, packet.NOOP)
    assert types == (0, 1, 2, 3, 4, 5, 6)
    for name, text in vars(BaseServer.reason).items():
        if name.isupper():
            assert getattr(engineio_socket, name) == text
    assert packet.Packet(packet.MESSAGE, b"x").encode() == b"x"
    assert packet.Packet(packet.MESSAGE, "x").encode() == "4x"


async def test_python_engineio_finds_what_it_needs_on_a_connection() -> None:
    """Whatever python-socketio and applications may call reaches a connection that is none of python-engineio's."""
    server = socketio_server()
    eio, ended = server.eio, []
    eio.handlers = {"disconnect": lambda sid, reason: asyncio.sleep(0, ended.append((sid, reason)))}
    request: Any = None
    socket = eio.sockets["x"] = EngineSocket(eio, "x", request)
    await eio.save_session("x", {"name": "Ann"})
    async with eio.session("x") as session:
        assert session == {"name": "Ann"}
    assert eio.transport("x") == "polling"
    await eio.send("x", "text")
    await eio.send("x", b"bytes")
    await server._send_packet("x", socketio.packet.Packet(socketio.packet.EVENT, ["e", b"!"], namespace="/"))
    assert socket.outbox.take() == ["4text", b"bytes", '451-["e",{"_placeholder":true,"num":0}]', b"!"]
    await eio.disconnect("x")
    assert socket.closed
    assert socket.outbox.take() == ["1"]
    assert ended == [("x", "server disconnect")]
    await eio.send("x", "late")
    await eio.disconnect("x")
    with pytest.raises(KeyError):
        await eio.get_session("x")
    assert not eio.sockets


async def test_a_handler_that_fails_costs_nothing_else_but_its_connection() -> None:
    eio = socketio_server().eio

    async def fails(*_: Any) -> None:
        raise TypeError("broken")

    eio.handlers = dict.fromkeys(("connect", "message", "disconnect"), fails)
    request: Any = None
    socket = EngineSocket(eio, "x", request)
    assert not await eio.begin(socket)
    assert socket.closed
    assert not eio.sockets
    assert len(eio.pings) == 0
    await socket.take("4message")


# ---- the clockwork


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.failures: list[Any] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context["exception"]))

    def time(self) -> float:
        return self.now

    def do(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Calls something in the loop."""

        async def call() -> Any:
            return work(*arguments)

        return self.run_until_complete(call())

    def stand_still(self, seconds: float) -> None:
        """Lets time pass in one go, as when the loop was busy."""
        self.now += seconds
        self.run_until_complete(asyncio.sleep(0))

    def pass_on(self, seconds: float) -> None:
        """Lets time pass."""
        for _ in range(round(seconds * 100)):
            self.stand_still(0.01)


@pytest.fixture
def clock() -> Iterator[Clock]:
    loop = Clock()
    yield loop
    loop.close()


class Client:
    """A connection that keeps when it was pinged, and when it was lost."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pinged: list[float] = []
        self.ended: list[float] = []

    def ping(self) -> None:
        self.pinged.append(self.clock.now - 100)

    def lost(self) -> None:
        self.ended.append(self.clock.now - 100)


def test_waits_end_in_their_order_and_in_time(clock: Clock) -> None:
    ended: list[tuple[str, float, float]] = []
    waits = Deadlines[str](1.0, lambda name, deadline: ended.append((name, deadline - 100, clock.now - 100)))
    for name in "abc":
        clock.do(waits.start, name)
        clock.pass_on(0.3)
    clock.do(waits.start, "b")  # anew
    clock.do(waits.start, "d")
    assert clock.do(waits.cancel, "d")
    assert not clock.do(waits.cancel, "d")
    clock.pass_on(2.0)
    assert [name for name, _, _ in ended] == ["a", "c", "b"]
    assert [deadline for _, deadline, _ in ended] == pytest.approx([1.0, 1.6, 1.9])
    assert all(0 <= moment - deadline <= 2 * waits.pause + 0.03 for _, deadline, moment in ended)
    assert len(waits) == 0
    assert waits._timer is None, "no timer runs for nobody"


def test_a_wait_whose_end_fails_does_not_hold_up_the_others(clock: Clock) -> None:
    """A single exception would otherwise stop the one timer that all connections share, for good."""
    ended: list[str] = []

    def end(name: str, _: float) -> None:
        ended.append(name)
        if name == "bad":
            raise ValueError(name)

    waits = Deadlines[str](0.5, end)
    for name in ("bad", "good"):
        clock.do(waits.start, name)
    clock.pass_on(1.0)
    clock.do(waits.start, "later")
    clock.pass_on(1.0)
    assert ended == ["bad", "good", "later"]
    assert [str(failure) for failure in clock.failures] == ["bad"]


def test_a_loop_that_stood_still_ends_nobody_whose_answer_has_come(clock: Clock) -> None:
    """The story: something held the loop up for longer than clients have to answer; their answers wait in its
    sockets, but timers are due at once."""
    ended: list[str] = []
    waits = Deadlines[str](1.0, lambda name, _: ended.append(name))
    for name in ("answers", "does not"):
        clock.do(waits.start, name)
    clock.stand_still(5.0)
    assert ended == []
    assert clock.do(waits.cancel, "answers")
    clock.pass_on(0.3)
    assert ended == ["does not"]


def test_pings_follow_answers_and_silence_ends(clock: Clock) -> None:
    pings = Pings(10.0, 5.0)
    ann, bob = Client(clock), Client(clock)
    clock.do(pings.begin, ann)
    clock.pass_on(1)
    clock.do(pings.begin, bob)
    clock.pass_on(10.6)
    assert ann.pinged == pytest.approx([10.0], abs=0.6)
    assert bob.pinged == pytest.approx([11.0], abs=0.6)
    clock.do(pings.answered, ann)  # at 11.6
    clock.pass_on(4)
    assert not clock.do(pings.overdue, bob)
    clock.pass_on(0.45)  # at 16.05
    assert clock.do(pings.overdue, bob)
    clock.pass_on(6.15)
    assert ann.pinged == pytest.approx([10.0, 21.6], abs=0.6)
    assert bob.ended == pytest.approx([16.0], abs=0.6)
    assert len(bob.pinged) == 1
    assert not clock.do(pings.overdue, bob), "it is waited for no more"
    clock.do(pings.forget, ann)
    assert len(pings) == 0
    clock.pass_on(30)
    assert ann.ended == []
    assert len(ann.pinged) == 2


def test_answers_that_nobody_asked_for_change_nothing(clock: Clock) -> None:
    """A client that answers without end is neither pinged more often nor less, nor kept twice."""
    pings, ann = Pings(10.0, 5.0), Client(clock)
    clock.do(pings.answered, ann)
    assert len(pings) == 0
    clock.do(pings.begin, ann)
    for _ in range(1000):
        clock.do(pings.answered, ann)
        clock.pass_on(0.01)
    clock.pass_on(0.6)
    assert ann.pinged == pytest.approx([10.0], abs=0.6)
    for _ in range(1000):
        clock.do(pings.answered, ann)
    assert len(pings) == 1


def test_a_client_that_is_pinged_late_has_time_to_answer(clock: Clock) -> None:
    pings, ann = Pings(10.0, 4.0), Client(clock)
    clock.do(pings.begin, ann)
    clock.stand_still(60)
    clock.pass_on(0.3)
    assert len(ann.pinged) == 1
    clock.pass_on(1.6)
    assert ann.ended == []
    clock.pass_on(1.0)
    assert len(ann.ended) == 1


def test_a_connection_that_ended_is_not_kept(clock: Clock) -> None:
    """A flood of short connections would otherwise be remembered for a whole interval each."""
    pings, ann = Pings(10.0, 5.0), Client(clock)
    clock.do(pings.begin, ann)
    clock.do(pings.forget, ann)
    left = weakref.ref(ann)
    del ann
    gc.collect()
    assert left() is None


def test_stopping_ends_the_clockwork(clock: Clock) -> None:
    pings, ann = Pings(1.0, 1.0), Client(clock)
    clock.do(pings.begin, ann)
    clock.pass_on(1.5)
    clock.do(pings.stop)
    clock.pass_on(5)
    assert (len(ann.pinged), ann.ended, len(pings)) == (1, [], 0)
