"""Connection state recovery of Socket.IO: a client that comes back is told what it missed, wherever it comes back.

Invariants:
- a session is durable before its client knows of it, and a change of its rooms before it is acknowledged; what many
  connections ask for within some milliseconds is one transaction;
- taking a session up fences its earlier connection first: here at once, elsewhere by an event of the log with the
  session's generation, which also makes everything that the earlier one still does a no-op;
- a session heard what its rooms were told, as the changes of entitlement in the log left and joined them: recovering
  is a relay of its own, over a registry with one connection, from the client's offset to where the relay stands.
"""

import asyncio
import logging
import math
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import orjson

from server import faults
from server.delivery import entitlements
from server.delivery.relay import Relay
from server.delivery.replay import CHUNK, pace
from server.delivery.rooms import Registry
from server.delivery.subscribers import Session, Subscriber
from server.errors import CloseCode, Refused, Unavailable
from server.events import rooms
from server.events.control import AccessGranted
from server.events.rooms import CONTROL
from server.events.subscription import Subscription
from server.store import sessions as stored
from server.store.gathering import Outcome, settle
from server.store.history import History, read_history
from server.store.log import LoggedEvent
from server.store.transaction import Store, Transaction

logger = logging.getLogger(__name__)
T = TypeVar("T")
Entitled: TypeAlias = Callable[[Transaction], Mapping[str, int]]
"""What a client may hear: name of a room -> where the entitlement began. Changes nothing; raises Refused."""
GATHER = 0.005  # seconds in which changes of sessions are gathered into one transaction
MOST_AT_ONCE = 200  # changes in one transaction


@dataclass(frozen=True, slots=True)
class State:
    """What a connection hears at a log position: rooms with the position from which it was told them, subscriptions,
    and where others ended of which its client may not know yet."""

    position: int
    rooms: dict[str, int]
    subscriptions: dict[str, Subscription]
    ended: list[tuple[int, Subscription]]

    @classmethod
    def of(cls, who: Subscriber) -> "State":
        """The state of a connection that has met the relay. A page that stays listed in another spelling, though its
        room was left, is heard no more and not kept."""
        heard = {key: one for key, one in who.subscriptions.items() if one.room in who.rooms}
        return cls(who.position, dict(who.rooms), heard, list(who.ended or ()))

    @classmethod
    def load(cls, kept: Any) -> "State | None":
        """The reverse of `dump`; None for what another version has kept."""
        try:
            subscriptions = {key: Subscription(**one) for key, one in dict(kept["subscriptions"]).items()}
            ended = [(int(position), Subscription(**one)) for position, one in kept["ended"]]
            places = {room: int(start) for room, start in dict(kept["rooms"]).items()}
            state = cls(int(kept["position"]), places, subscriptions, ended)
        except (KeyError, TypeError, ValueError):
            return None
        return state if all(one.room in places for one in subscriptions.values()) else None

    def dump(self) -> str:
        """JSON for `load`."""
        return orjson.dumps(self).decode()


@dataclass(frozen=True, slots=True)
class Resumption:
    """A session that a connection takes up: its client was told everything up to `offset`; `memberships` says where the
    user's entitlement to each workspace began, as of the position `checked` or later."""

    session: Session
    sid: str
    offset: int
    state: State
    memberships: dict[int, int]
    checked: int


class Names(NamedTuple):
    """Those of a new session: of its connection, and its own."""

    sid: str
    pid: str

    @classmethod
    def fresh(cls) -> Self:
        """What nobody has had or can guess, from one call of the kernel: each gives up the interpreter's lock."""
        drawn = urlsafe_b64encode(os.urandom(39)).decode()  # three bytes are four characters
        return cls(drawn[:20], drawn[20:])


class Known(NamedTuple):
    """What a client says that comes back: its session, and the offset of what it last received, None for nothing."""

    pid: str
    offset: int | None


class Sessions:
    """The sessions of this process, kept in the database."""

    def __init__(self, store: Store, registry: Registry, *, lifetime: float, replay_limit: int) -> None:
        self.store = store
        self.registry = registry
        self.lifetime = lifetime
        self.replay_limit = replay_limit
        self._wanted: list[tuple[Callable[[Transaction], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._touching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begins to keep the sessions of connections that stand from expiring."""
        self._touching = asyncio.create_task(self._touch())

    async def stop(self) -> None:
        tasks = [task for task in (self._touching, self._writer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def open(
        self, namespace: str, user_id: int, entitled: Entitled, fresh: Names, known: Known | None
    ) -> Resumption:
        """The session that a client comes back to; where it knows none or it cannot be recovered, a new one with fresh
        names. `entitled` says which rooms the client may hear. All in one transaction; raises Refused and
        Unavailable."""

        def run(tx: Transaction) -> Resumption:
            position = tx.position()  # before the rooms are read: what changes later is told by the log
            places = entitled(tx)
            found = self._take(tx, namespace, user_id, known) if known is not None else None
            return found or self._begin(tx, namespace, user_id, fresh, places, position)

        return await self._write(run)

    def _begin(
        self, tx: Transaction, namespace: str, user_id: int, fresh: Names, places: Mapping[str, int], position: int
    ) -> Resumption:
        state = State(position, dict.fromkeys(places, position), {}, [])
        session = Session(fresh.pid, 1)
        row = stored.Begun(fresh.pid, fresh.sid, namespace, user_id, session.generation, position, state.dump())
        stored.begin(tx, row)
        checked = tx.position()
        if checked == position:
            allowed = {number: at for room, at in places.items() if (number := rooms.workspace_of(room)) is not None}
        else:  # the rooms may have been others at `checked`
            allowed = stored.memberships(tx, user_id)
        return Resumption(session, fresh.sid, position, state, allowed, checked)

    def _take(self, tx: Transaction, namespace: str, user_id: int, known: Known) -> Resumption | None:
        pid, offset = known
        found = stored.take(tx, pid, namespace, user_id)
        if found is None:
            return None
        state = State.load(found.state)
        if state is None or stored.was_ended(tx, found, state.position):
            stored.end(tx, pid, found.generation)
            return None
        cursor = found.began if offset is None else max(offset, found.began) if offset else 0
        places = missed(state.rooms, cursor, user_id, state.position)
        # a chunk of one event: whether the past is there, and not too long
        past = read_history(tx.db, places, min(cursor, state.position), chunk=1, most=self.replay_limit)
        checked = tx.position()  # before the memberships are read: what begins later is told by the log
        if past is None or cursor > checked:
            stored.end(tx, pid, found.generation)
            return None
        allowed = stored.memberships(tx, user_id)
        return Resumption(Session(pid, found.generation), found.sid, cursor, state, allowed, checked)

    async def keep(self, who: Subscriber) -> bool:
        """Makes durable what a connection hears now; False when its session goes on elsewhere. Raises Unavailable."""
        assert who.session is not None
        state, session = State.of(who).dump(), who.session
        faults.reach("before_session")
        return await self._write(partial(stored.keep, pid=session.pid, generation=session.generation, state=state))

    async def end(self, session: Session) -> None:
        """Forgets the session of a client that left of its own will."""
        await self._write(partial(stored.end, pid=session.pid, generation=session.generation))

    async def _write(self, change: Callable[[Transaction], T]) -> T:
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._wanted.append((change, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await done

    async def _write_all(self) -> None:
        """One transaction after the other, so that the changes of one session keep their order."""
        while self._wanted:
            await asyncio.sleep(GATHER)
            batch, self._wanted = self._wanted[:MOST_AT_ONCE], self._wanted[MOST_AT_ONCE:]
            outcomes = await self._make([change for change, _ in batch])
            for (_, done), outcome in zip(batch, outcomes, strict=True):
                settle(done, outcome)

    async def _make(self, changes: Sequence[Callable[[Transaction], Any]]) -> list[Outcome]:
        """Makes changes in one transaction; where one of them raises, in two, until it is alone."""
        try:
            return await self.store.write(make_all, changes)
        except Exception as error:
            if len(changes) == 1 or isinstance(error, Unavailable):
                return [Outcome(None, error)] * len(changes)
            middle = len(changes) // 2
            return [*await self._make(changes[:middle]), *await self._make(changes[middle:])]

    async def _touch(self) -> None:
        """Keeps sessions whose connection stands, and what the log needs to recover them, young."""
        while True:
            await asyncio.sleep(self.lifetime / 4)
            for who in [who for who in self.registry.subscribers if who.session is not None]:
                try:
                    if who in self.registry.subscribers and who.behind is None:
                        await self.keep(who)
                except Unavailable:
                    break  # it is tried again long before the sessions expire
                except Exception:
                    logger.exception("a session could not be kept")


def make_all(tx: Transaction, changes: Sequence[Callable[[Transaction], Any]]) -> list[Outcome]:
    """Makes changes of sessions, one after the other; raises what one of them raises, but for a refusal, which comes
    before anything is changed."""
    outcomes = []
    for change in changes:
        try:
            outcomes.append(Outcome(change(tx), None))
        except Refused as refusal:
            outcomes.append(Outcome(None, refusal))
    return outcomes


def missed(places: dict[str, int], offset: int, user_id: int, position: int) -> dict[str, int]:
    """What to read for a session: its own rooms, of which the client knows what happened up to its offset, and those
    that say what became of its entitlements after `position`, which may be long before."""
    workspaces = {number for room in places if (number := rooms.workspace_of(room)) is not None}
    controls = [rooms.control_user(user_id), *(rooms.control_workspace(number) for number in workspaces)]
    return {room: max(began, offset) for room, began in places.items()} | dict.fromkeys(controls, position)


class Recovery:
    """Tells one connection what its session missed, and lets it into the registry where it meets the relay.

    What belongs to a workspace is told only above the beginning of a membership that holds when it is read."""

    def __init__(self, relay: Relay, subscriber: Subscriber, resumption: Resumption) -> None:
        self.relay = relay
        self.subscriber = subscriber
        self.offset, self.state = resumption.offset, resumption.state
        self.memberships, self.checked = resumption.memberships, resumption.checked
        self.workspaces = {one.room: one.workspace_id for one in self.state.subscriptions.values()}
        self.wire = subscriber.wire
        self.alone = Registry()
        subscriber.behind = self.offset
        self.alone.add(subscriber)
        for key, subscription in self.state.subscriptions.items():
            self.alone.subscribe(subscriber, key, subscription, self.state.rooms[subscription.room])
        for room, start in self.state.rooms.items():
            self.alone.join(subscriber, room, start)

    async def run(self, is_current: Callable[[], bool]) -> None:
        """Runs until the connection is live, or gone: `is_current` is asked after every wait. Raises Unavailable."""
        for position, subscription in self.state.ended:
            if position > self.offset and self.wire is not None:
                self.subscriber.tell(*self.wire.discarded(subscription))
        cursor = min(self.offset, self.state.position)
        await self.relay.reached(max(self.offset, self.checked))  # another process may have told the client more
        if is_current() and self.meet(cursor):
            return
        while True:
            history = await self.read(cursor)
            await self.relay.reached(self.checked)
            if not is_current() or not self.subscriber.link.alive:
                return
            if history is None:
                self.subscriber.link.close(CloseCode.RESTART, "history is gone")
                return
            cursor, complete = self.tell_all(history)
            if complete and self.meet(cursor):
                return
            await pace(self.subscriber)

    async def read(self, cursor: int) -> History | None:
        """The next part of what the session missed."""
        user_id = self.subscriber.user_id
        assert user_id is not None
        places = missed(self.subscriber.rooms, self.offset, user_id, self.state.position)

        def run(tx: Transaction) -> tuple[dict[int, int], int, History | None]:
            history = read_history(tx.db, places, cursor, chunk=CHUNK)
            return stored.memberships(tx, user_id), tx.position(), history

        self.memberships, self.checked, history = await self.relay.store.read(run)
        return history

    def tell_all(self, history: History) -> tuple[int, bool]:
        """Tells a part of history and returns where it ended. A room that was joined in it was not read from there on,
        so the rest is read again."""
        for event in history.events:
            known = len(self.subscriber.rooms)
            self.take(event)
            faults.reach("mid_replay")
            if len(self.subscriber.rooms) > known:
                return event.id, False
        return history.position, history.complete

    def take(self, event: LoggedEvent) -> None:
        """Applies or tells one event at its place, as the relay would have done."""
        heard = event.id > self.offset
        if event.rooms[0] == CONTROL:
            if event.id > self.state.position:
                self.subscriber.behind = max(event.id, self.offset)
                self.subscriber.wire = self.wire if heard else None  # the client knows what happened up to its offset
                entitlements.apply(self.alone, event)
                self.subscriber.wire = self.wire
            if event.type == AccessGranted.type and event.id > self.checked:
                granted = orjson.loads(event.payload)
                if granted["user_id"] == self.subscriber.user_id:
                    self.memberships[granted["workspace_id"]] = event.id
        elif heard and self.subscriber.hears(event) and self.may_hear(event):
            self.subscriber.behind = event.id
            self.subscriber.write(event)

    def may_hear(self, event: LoggedEvent) -> bool:
        """True where the user is entitled to one of the rooms now, and was when the event happened."""
        return any(self.began(room) < event.id for room in event.rooms if room in self.subscriber.rooms)

    def began(self, room: str) -> float:
        """Where the entitlement to a room began; beyond everything where there is none."""
        workspace = self.workspaces.get(room) or rooms.workspace_of(room)
        return self.memberships.get(workspace, math.inf) if workspace is not None else 0

    def meet(self, cursor: int) -> bool:
        """Tells the rest from the relay's memory and lets the connection in, in one turn of the event loop; False
        where the relay no longer remembers that much."""
        tail = self.relay.recent(cursor)
        if tail is None:
            return False
        for event in tail:
            self.take(event)
        if self.subscriber in self.alone.subscribers:  # not closed by what happened meanwhile
            self.let_in()
        return True

    def let_in(self) -> None:
        """Moves the connection from its own registry to everybody's."""
        registry, subscriber = self.relay.registry, self.subscriber
        places, subscriptions = dict(subscriber.rooms), dict(subscriber.subscriptions)
        self.alone.remove(subscriber)
        registry.add(subscriber)
        for key, subscription in subscriptions.items():
            registry.subscribe(subscriber, key, subscription, places[subscription.room])
        for room, start in places.items():
            registry.join(subscriber, room, start)
        subscriber.behind = None
