"""The registry, and the private hooks of python-socketio's client manager that it stands in for."""

import random
from typing import Any

import pytest
import socketio

from server.delivery.rooms import Registry
from server.delivery.socketio_server import SocketIOLink, SocketIOServer
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_SOCKETIO, texts_of
from server.events.event import Origin
from tests.support.engineio import websocket_server
from tests.unit.doubles import subscriber


def audience(registry: Registry, *rooms: str) -> list[Subscriber]:
    """Whom an event goes to, of connections that are no WebSockets."""
    return registry.fanout(rooms).others


def test_an_event_reaches_everybody_in_any_of_its_rooms_once() -> None:
    registry = Registry()
    ann, bob, eve = (subscriber(name, number) for number, name in enumerate(("ann", "bob", "eve")))
    for who in (ann, bob, eve):
        registry.add(who)
    registry.join(ann, "one", 0)
    registry.join(ann, "two", 0)
    registry.join(bob, "two", 0)
    assert audience(registry, "one", "two") == [ann, bob]
    assert audience(registry, "three") == []


@pytest.mark.parametrize(
    ("origin", "left_out"),
    [
        (Origin(1, "ann"), True),
        (Origin(2, "ann"), False),  # somebody else's socket is never silenced
        (Origin(1, "nobody"), False),
    ],
)
def test_only_the_acting_users_own_socket_is_left_out(origin: Origin, left_out: bool) -> None:
    registry = Registry()
    ann = subscriber("ann", 1)
    registry.add(ann)
    registry.join(ann, "room", 0)
    assert (ann in registry.authors(origin, ("room",))) is left_out
    assert ann not in registry.authors(origin, ("elsewhere",)), "whoever is there shares at most the WebSocket"


def test_the_two_indexes_mirror_each_other_through_any_sequence() -> None:
    registry, dice = Registry(), random.Random(7)
    everybody = [subscriber(f"s{number}", number % 3) for number in range(8)]
    for who in everybody:
        registry.add(who)
    for _ in range(2000):
        who, room = dice.choice(everybody), f"r{dice.randrange(5)}"
        if dice.random() < 0.5:
            registry.join(who, room, dice.randrange(9))
        else:
            registry.leave(who, room)
        if dice.random() < 0.05:
            registry.remove(who)
            registry.add(who)
        seen = {(room, each.sid) for room, members in registry.members.items() for each in members}
        assert seen == {(room, each.sid) for each in everybody for room in each.rooms}
        assert all(registry.members.values()), "an empty room does not exist"
    for who in everybody:
        registry.remove(who)
    assert not registry.members
    assert not registry.users
    assert not registry.subscribers


class Engine:
    """An Engine.IO connection that only remembers."""

    link = None

    def __init__(self, server: SocketIOServer, sid: str) -> None:
        self.sid = sid
        self.alive = True
        self.written = b""
        self.restarted = False
        server.eio.sockets[sid] = self

    def write(self, frames: bytes) -> bool:
        self.written += frames
        return self.alive

    def restart(self) -> None:
        self.restarted = True


def client_of(server: SocketIOServer, engine: Any, sid: str, namespace: str = "/core") -> Subscriber:
    link = SocketIOLink(server, sid, engine, namespace)
    return Subscriber(server.manager.registry.progress, sid, 1, CORE_SOCKETIO, link)


def connected(namespace: str = "/core") -> tuple[SocketIOServer, str]:
    """A server with one client of a namespace."""
    server = SocketIOServer(Registry(), websockets=websocket_server(), redis_url="", channel="")
    engine: Any = Engine(server, "eio")
    who = client_of(server, engine, "sid", namespace)
    assert server.welcome(engine, namespace, who) is not None
    server.manager.registry.add(who)
    return server, "sid"


async def test_a_client_passes_through_the_states_that_python_socketio_asks_for() -> None:
    server, sid = connected()
    manager = server.manager
    assert texts_of(server.eio.sockets["eio"].written) == ['40/core,{"sid":"sid"}']
    assert manager.is_connected(sid, "/core")
    assert not manager.is_connected(sid, "/events")
    assert manager.sid_from_eio_sid("eio", "/core") == sid
    assert manager.eio_sid_from_sid(sid, "/core") == "eio"
    assert list(manager.get_namespaces()) == ["/core"]
    assert manager.pre_disconnect(sid, "/core") == "eio"
    assert not manager.is_connected(sid, "/core")
    await manager.disconnect(sid, "/core")
    assert list(manager.get_namespaces()) == []
    assert not server.manager.registry.subscribers


async def test_rooms_and_participants_as_python_socketio_sees_them() -> None:
    server, sid = connected()
    manager = server.manager
    await server.enter_room(sid, "blue", namespace="/core")
    assert server.rooms(sid, namespace="/core") == [sid, "blue"]
    assert list(manager.get_participants("/core", "blue")) == [(sid, "eio")]
    assert list(manager.get_participants("/core", sid)) == [(sid, "eio")]
    assert list(manager.get_participants("/core", None)) == [(sid, "eio")]
    assert list(manager.get_participants("/core", ["blue", "red", sid])) == [(sid, "eio")]
    assert list(manager.get_participants("/events", "blue")) == []
    await server.close_room("blue", namespace="/core")
    assert server.rooms(sid, namespace="/core") == [sid]
    with pytest.raises(ValueError, match="sid is not connected"):
        manager.basic_enter_room("nobody", "/core", "blue")


async def test_raw_sockets_share_the_rooms_but_not_the_namespaces() -> None:
    server, sid = connected()
    registry = server.manager.registry
    raw = subscriber("raw", 1)
    registry.add(raw)
    registry.join(raw, "blue", 0)
    await server.enter_room(sid, "blue", namespace="/core")
    assert len(audience(registry, "blue")) == 2
    assert list(server.manager.get_participants("/core", "blue")) == [(sid, "eio")]


async def test_a_client_that_died_meanwhile_is_not_entered() -> None:
    server, _ = connected()
    gone: Any = Engine(server, "gone")
    gone.alive = False
    assert server.welcome(gone, "/core", client_of(server, gone, "ghost")) is None
    assert list(server.manager.clients) == ["sid"]


async def test_a_client_that_comes_back_takes_its_place_over_and_the_late_end_of_the_old_one_changes_nothing() -> None:
    """The story: the old connection is half-open when the client is back under its sid; when it ends at last, its
    disconnect must not throw the new one out of its rooms."""
    server, sid = connected()
    old, new = server.eio.sockets["eio"], Engine(server, "new")
    registry = server.manager.registry
    back = client_of(server, new, sid)
    assert server.welcome(new, "/core", back) is not None  # type: ignore[arg-type]
    registry.add(back)
    registry.join(back, "blue", 0)
    assert old.restarted
    await server._handle_eio_disconnect("eio", "ping timeout")
    assert server.manager.clients[sid].subscriber is back
    assert audience(registry, "blue") == [back]


def test_the_hooks_that_are_overridden_still_exist() -> None:
    """A new python-socketio that renames one of these would otherwise silently go its own way."""
    for name in (
        "is_connected", "sid_from_eio_sid", "eio_sid_from_sid",
        "pre_disconnect", "basic_disconnect", "basic_enter_room", "basic_leave_room", "basic_close_room", "get_rooms",
        "get_participants", "get_namespaces", "is_sid_room",
    ):  # fmt: skip
        assert hasattr(socketio.AsyncManager, name), name
    for name in ("_engineio_server_class", "_handle_eio_message", "_handle_disconnect", "_handle_eio_connect"):
        assert hasattr(socketio.AsyncServer, name), name
