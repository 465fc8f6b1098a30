"""The relay: order, gaps, entitlement changes at their place, admission."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from server.delivery.outlet import Outlet
from server.delivery.relay import GAP_PATIENCE, Relay
from server.delivery.rooms import Registry
from server.delivery.sending import Slot
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_RAW, CORE_SOCKETIO, ITEMS_SOCKETIO, texts_of
from server.events import rooms
from server.events.control import AccessEnded, AccessGranted, SessionsEnded, TablesClosed, WebhooksChanged
from server.events.event import ControlEvent, Origin
from server.events.subscription import Subscription
from server.store.log import LoggedEvent, Recorded
from server.store.migrate import migrate
from server.store.retention import prune
from server.store.transaction import Store, Transaction
from tests.unit.doubles import MemoryLink, payloads, subscriber

PATIENCE = 10.0


def said(number: int, room: str = "core:table:1") -> LoggedEvent:
    return LoggedEvent(number, "said", (room,), b'{"n":%d}' % number, None)


def control(number: int, event: ControlEvent) -> LoggedEvent:
    return LoggedEvent(number, event.type, (rooms.CONTROL,), event.payload(), None)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/log.sqlite3"
    migrate(url)
    opened = Store(url, writers=1, readers=1, retries=2)
    yield opened
    opened.close()


@pytest.fixture
async def relay(store: Store) -> AsyncIterator[Relay]:
    """A started relay whose log is empty; it looks at the log only when it is woken."""
    made = Relay(store, Registry(), Outlet(), poll_interval=3600)
    await made.start()
    yield made
    await made.stop()


def listener(relay: Relay, *names: str, user_id: int = 1, sid: str = "s") -> Subscriber:
    who = subscriber(sid, user_id, registry=relay.registry)
    relay.registry.add(who)
    for name in names:
        relay.registry.join(who, name, relay.cursor)
    return who


async def test_events_are_delivered_in_order_and_once_however_they_come(relay: Relay) -> None:
    who = listener(relay, "core:table:1")
    for batch in ([1], [3], [2, 3], [1, 2], [5, 4]):
        relay.hear([said(number) for number in batch])
    assert payloads(who) == [b'{"n":%d}' % number for number in range(1, 6)]


async def test_a_gap_is_filled_from_the_log(relay: Relay, store: Store) -> None:
    who = listener(relay, "core:table:1")
    heard: list[LoggedEvent] = []
    store.on_commit = heard.extend

    def write(tx: Transaction, number: int) -> None:
        tx.recorded.append(Recorded("said", ("core:table:1",), b'{"n":%d}' % number, None))

    for number in (1, 2, 3):
        await store.write(write, number)
    await relay.reached(0)
    relay.hear(heard[2:])  # the bell lost the first two
    await asyncio.wait_for(relay.reached(3), PATIENCE)
    assert payloads(who) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


async def test_the_log_is_looked_at_only_for_a_gap_that_stays(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[tuple[int, float]] = loop.create_future()
    monkeypatch.setattr(relay, "wake", lambda: woken.set_result((relay.cursor, loop.time())))
    began = loop.time()
    relay.hear([said(2)])
    relay.hear([said(1)])  # which closes the first gap
    relay.hear([said(4)])
    cursor, moment = await asyncio.wait_for(woken, PATIENCE)
    assert cursor == 2
    assert moment - began > 1.5 * GAP_PATIENCE, "the second gap has a time of its own"


async def test_a_silent_relay_looks_at_the_log_by_itself(store: Store) -> None:
    relay = Relay(store, Registry(), Outlet(), poll_interval=0.01)
    await relay.start()
    who = listener(relay, "core:workspace:7")
    store.on_commit = lambda events: None  # a bell that never rings

    def write(tx: Transaction) -> None:
        tx.record(TablesClosed(7, [1]))

    await store.write(write)
    await asyncio.wait_for(relay.reached(1), PATIENCE)
    assert relay.last_control == 1
    assert [*who.rooms] == ["core:workspace:7"]
    await relay.stop()


async def test_a_removed_member_hears_the_page_discard_and_nothing_after_it(relay: Relay) -> None:
    who = listener(relay, "core:user:1", "core:workspace:7", "core:table:1")
    page = Subscription("table", {"table_id": 1}, "core:table:1", 7, 0, 1)
    relay.registry.subscribe(who, "key", page, relay.cursor)
    relay.hear([said(1), control(2, AccessEnded(7, 1)), said(3), said(4, "core:workspace:7")])
    discard = {"type": "page_discard", "page": "table", "parameters": {"table_id": 1}}
    assert [orjson.loads(text) for text in payloads(who)] == [{"n": 1}, discard]
    assert [*who.rooms] == ["core:user:1"]


async def test_a_trashed_table_ends_its_pages_only(relay: Relay) -> None:
    who = listener(relay, "core:workspace:7", "core:table:1", "core:table:2")
    for number in (1, 2):
        page = Subscription("table", {"table_id": number}, f"core:table:{number}", 7, 0, number)
        relay.registry.subscribe(who, number, page, relay.cursor)
    relay.hear([control(1, TablesClosed(7, [1])), said(2, "core:table:1"), said(3, "core:table:2")])
    assert [orjson.loads(text).get("n", "discard") for text in payloads(who)] == ["discard", 3]


async def test_a_new_member_hears_the_workspace_from_there_on(relay: Relay) -> None:
    who = listener(relay, "core:user:1")
    relay.hear([said(1, "core:workspace:7"), control(2, AccessGranted(1, 7)), said(3, "core:workspace:7")])
    assert payloads(who) == [b'{"n":3}']


async def test_ended_sessions_are_told_and_closed_but_for_the_acting_socket(relay: Relay) -> None:
    here, there = listener(relay, sid="here"), listener(relay, sid="there")
    relay.hear([control(1, SessionsEnded(1, "here"))])
    assert isinstance(there.link, MemoryLink)
    assert (there.link.closed, payloads(there)) == ((1000, ""), [b'{"type":"force_disconnect"}'])
    assert (here.link.closed, payloads(here)) == (None, [])
    assert list(relay.registry.users[1]) == [here]


async def test_the_acting_socket_is_left_out(relay: Relay) -> None:
    here, there = listener(relay, "r:1", sid="here"), listener(relay, "r:1", sid="there")
    relay.hear([LoggedEvent(1, "said", ("r:1",), b"{}", Origin(1, "here"))])
    assert (payloads(here), payloads(there)) == ([], [b"{}"])


async def test_what_follows_for_the_same_is_told_as_one(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the log, each author but its own, and only up to a change of entitlement."""
    told: list[bytes] = []
    monkeypatch.setattr(relay.outlet, "tell", lambda audience, frames, own: told.append(b" ".join(texts(frames))))
    shared, polls, author = SharedSocket(), listener(relay, "r:1", sid="polls"), listener(relay, "r:1", sid="author")
    listens = Subscriber(relay.registry.progress, "listens", 2, CORE_RAW, SharedLink(shared))
    relay.registry.add(listens)
    relay.registry.join(listens, "r:1", 0)
    relay.registry.join(listens, "r:2", 0)

    def event(number: int, room: str, sid: str | None = None) -> LoggedEvent:
        return LoggedEvent(number, "said", (room,), b"%d" % number, Origin(1, sid) if sid else None)

    whose = {1: "author", 2: "author", 5: "author"}
    first = [event(number, "r:2" if number == 6 else "r:1", whose.get(number)) for number in range(1, 8)]
    relay.hear([*first, control(8, WebhooksChanged(7)), event(9, "r:1"), event(11, "r:1"), event(10, "r:1")])
    assert told == [b"1 2", b"3 4", b"5", b"6", b"7", b"9 10 11"]
    assert payloads(polls) == [b"%d" % number for number in (1, 2, 3, 4, 5, 7, 9, 10, 11)]
    assert payloads(author) == [b"%d" % number for number in (3, 4, 7, 9, 10, 11)]


class BrokenLink(MemoryLink):
    """Takes nothing, and cannot be closed."""

    def write(self, frame: bytes) -> bool:
        super().write(frame)
        raise OSError("broken")

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        raise OSError("broken")


async def test_a_broken_connection_is_told_no_more_and_costs_the_others_nothing(relay: Relay) -> None:
    broken = Subscriber(relay.registry.progress, "broken", 1, CORE_RAW, link := BrokenLink())
    relay.registry.add(broken)
    relay.registry.join(broken, "core:table:1", 0)
    other = listener(relay, "core:table:1")
    relay.hear([said(1), said(2)])
    relay.hear([said(3)])
    assert len(link.frames) == 1
    assert link.closed is not None and broken not in relay.registry.subscribers
    assert payloads(other) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


async def test_a_connection_that_cannot_be_closed_keeps_no_other_open(relay: Relay) -> None:
    broken = Subscriber(relay.registry.progress, "broken", 1, ITEMS_SOCKETIO, link := BrokenLink())
    relay.registry.add(broken)
    other = listener(relay, sid="other")
    relay.hear([control(1, SessionsEnded(1, None))])
    assert isinstance(other.link, MemoryLink)
    assert link.closed == other.link.closed == (1000, "")
    assert not relay.registry.subscribers


def texts(frames: Sequence[bytes]) -> list[bytes]:
    return [text.encode() for frame in frames for text in texts_of(frame)]


class SharedSocket:
    """A WebSocket, as the outlet sees it, that the namespaces of one client share."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.slot = Slot(-1)
        self.frames: tuple[bytes, ...] = ()
        self.written: list[bytes] = []

    def put(self, data: bytes) -> None:
        self.written.append(data)


class SharedLink(MemoryLink):
    """A namespace's stay on it."""

    def __init__(self, shared: SharedSocket) -> None:
        super().__init__()
        self.shared = shared

    @property
    def socket(self) -> SharedSocket:
        return self.shared


async def test_only_the_namespace_that_acted_is_left_out_though_others_share_its_socket(relay: Relay) -> None:
    shared = SharedSocket()
    for sid, wire, room in (("a", CORE_SOCKETIO, "core:table:1"), ("b", ITEMS_SOCKETIO, "items:workspace:1")):
        who = Subscriber(relay.registry.progress, sid, 1, wire, SharedLink(shared))
        relay.registry.add(who)
        relay.registry.join(who, room, 0)
    for number, room in enumerate(("core:table:1", "items:workspace:1"), 1):
        relay.hear([LoggedEvent(number, "said", (room,), b"%d" % number, Origin(1, "a"))])
    relay.outlet.flush()
    assert texts_of(b"".join(shared.written)) == ['42/events,["said",2]']


async def test_admission_checks_again_when_an_entitlement_changed_meanwhile(relay: Relay) -> None:
    """The story: a member asks for a page; the check says yes; before the answer is back the member is removed and
    the relay has already applied it. Joining now would let the removed member listen for good."""
    answers = iter([(True, 0), (False, 1)])
    checks = 0

    async def check() -> tuple[bool, int]:
        nonlocal checks
        checks += 1
        if checks == 1:
            relay.hear([control(1, AccessEnded(7, 1))])
        return next(answers)

    assert await relay.admit(check) is False
    assert checks == 2


async def test_admission_does_not_check_again_for_what_entitles_no_socket(relay: Relay) -> None:
    """The story: an admin makes and removes webhooks as fast as the log takes it, and nobody else gets in."""
    checks = 0

    async def check() -> tuple[bool, int]:
        nonlocal checks
        checks += 1
        relay.hear([control(checks, WebhooksChanged(7))])
        return True, 0

    assert await relay.admit(check) is True
    assert checks == 1


async def test_admission_waits_until_the_relay_has_come_to_what_the_check_saw(relay: Relay, store: Store) -> None:
    store.on_commit = lambda events: None

    def write(tx: Transaction) -> None:
        tx.record(AccessGranted(1, 7))

    await store.write(write)

    async def check() -> tuple[str, int]:
        return "yes", 1

    assert await asyncio.wait_for(relay.admit(check), PATIENCE) == "yes"
    assert relay.cursor == 1


async def test_a_relay_whose_cursor_was_pruned_sends_its_sockets_away(relay: Relay, store: Store) -> None:
    """The story: a process was frozen for longer than events are kept. Whom it let in may have been removed meanwhile,
    and nothing says so any more: all must come back and be told that they missed something."""
    who = listener(relay, "core:table:1")
    store.on_commit = lambda events: None  # it hears nothing

    def write(tx: Transaction) -> None:
        tx.recorded += [Recorded("said", ("core:table:1",), b"{}", None)] * 5

    await store.write(write)
    await store.write(lambda tx: prune(tx, keep_events=2, keep_seconds=1e9))
    relay.wake()
    await asyncio.wait_for(relay.reached(5), PATIENCE)
    assert isinstance(who.link, MemoryLink)
    assert who.link.closed == (1012, "history is gone")
    assert (payloads(who), relay.cursor, relay.last_control) == ([], 5, 5)
    assert not relay.registry.subscribers


async def test_what_was_delivered_last_is_remembered(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.delivery.relay.REMEMBERED", 3)
    relay.hear([said(number) for number in range(1, 6)])
    assert [event.id for event in relay.recent(2) or ()] == [3, 4, 5]
    assert [event.id for event in relay.recent(4) or ()] == [5]
    assert relay.recent(5) == []
    assert relay.recent(1) is None
