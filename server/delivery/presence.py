"""Presence: who else looks at a table, told live and never stored (contract database.md, part f).

Everybody on the page of table 5 who wants presence is a member of the space `table-5`. A subscriber that enters is
told the *other* members, the others are told that it joined; later that it left, and what it looks at. The members of
other nodes come from `presence_peers`; without Redis there are none.

Invariants: nobody is told of itself, and nobody who is not present is told anything; a `presence_id` is a random name
of the connection, by which nobody can speak in its place; a message is encoded once for all its receivers of one kind.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from server.delivery.presence_focus import Allowance, Focus, read_focus
from server.delivery.presence_peers import Member, Peers
from server.delivery.redis_channels import RedisChannels
from server.delivery.subscribers import Subscriber
from server.delivery.wire import Frame, Wire
from server.events import rooms

BEAT = 5.0  # seconds between signs of life of a node
EXPIRY = 15.0  # seconds of silence after which the members of a node have left
MAX_MEMBERS = 200  # of one space on one node: all tell all, which grows with the square
GATHERING = 0.05  # seconds in which several nodes that ask for the state get one answer
logger = logging.getLogger(__name__)


class Connection:
    """What presence keeps of one connection as long as it lives."""

    __slots__ = ("allowance", "presence_id")

    def __init__(self, now: float) -> None:
        self.presence_id = str(uuid.uuid4())
        self.allowance = Allowance(now)


class Presence:
    """The spaces of this node, and the way to those of the others.

    `beat` and `expiry` are seconds; the expiry is to be more than two beats."""

    def __init__(
        self,
        channels: RedisChannels | None = None,
        channel: str = "presence",
        *,
        beat: float = BEAT,
        expiry: float = EXPIRY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.peers = Peers(self, expiry, clock)
        self.channels = channels
        self.channel = channel
        self.beat = beat
        self.clock = clock
        self._here: dict[str, dict[Subscriber, Member]] = {}  # by room
        self._connections: WeakKeyDictionary[Subscriber, Connection] = WeakKeyDictionary()
        self._task: asyncio.Task[None] | None = None
        if channels is not None:
            channels.listen(channel, self.peers.hear, self.peers.subscribed)

    async def start(self) -> None:
        """Begins to exchange members with the other nodes."""
        if self.channels is not None:
            await self.channels.start()
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Says goodbye to the other nodes: the members of this one have left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.channels is not None:
            self.peers.goodbye()
            await self.channels.stop()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.beat)
            self.peers.turn()

    # ---- what the sockets of this node do

    def enter(self, subscriber: Subscriber, room: str) -> None:
        """Makes a subscriber that is in the room of a table page a member of the table's space; nothing happens in
        other rooms, for a member, for an anonymous visitor, and when MAX_MEMBERS are there."""
        if subscriber.user_id is None or room not in subscriber.rooms or rooms.table_of(room) is None:
            return
        here = self._here.get(room, {})
        if subscriber in here or len(here) >= MAX_MEMBERS:
            return
        member = Member(room, self._connection(subscriber).presence_id, subscriber.user_id)
        others = [entry(other) for other in (*here.values(), *self.peers.entries(room))]
        subscriber.tell("presence.members", {"space": space(room), "entries": others})
        self.announce("join", member)
        self._here.setdefault(room, {})[subscriber] = member
        self.peers.join(member)

    def left(self, subscriber: Subscriber, room: str) -> None:
        """Ends a membership, if there is one; to be called whenever a subscriber has left a room."""
        here = self._here.get(room)
        member = here.pop(subscriber, None) if here else None
        if member is None:
            return
        if not here:
            del self._here[room]
        self.announce("leave", member)
        self.peers.leave(member)
        tell_all([subscriber], "presence.space_discard", {"space": space(room)})

    def focus(self, subscriber: Subscriber, message: Mapping[str, Any]) -> None:
        """Passes on a `presence.focus` {page, table_id, focus} to the other members of the table's space; ignores
        it in silence when the subscriber is not one of them, when it says too much, and when it says it too often."""
        connection = self._connections.get(subscriber)
        if connection is None or not connection.allowance.take(self.clock()):
            return
        focus = read_focus(message)
        member = self._here.get(rooms.table(focus.table_id), {}).get(subscriber) if focus is not None else None
        if focus is not None and member is not None:
            self.announce("focus", member, focus, besides=subscriber)
            self.peers.focus(member, focus)

    def _connection(self, subscriber: Subscriber) -> Connection:
        return self._connections.setdefault(subscriber, Connection(self.clock()))

    # ---- what the peers need of this node

    def members(self) -> list[Member]:
        """Everybody present on this node."""
        return [member for here in self._here.values() for member in here.values()]

    def announce(
        self, kind: str, member: Member, focus: Focus | None = None, besides: Subscriber | None = None
    ) -> None:
        """Tells the members of the space here, `besides` one, of a `join`, `leave` or `focus` of another."""
        here = self._here.get(member.room)
        if here:
            body = {"space": space(member.room)} | entry(member) | (focus._asdict() if focus is not None else {})
            tell_all((subscriber for subscriber in list(here) if subscriber is not besides), f"presence.{kind}", body)

    def publish(self, message: bytes, *, optional: bool = False) -> None:
        """Sends a message to the other nodes, if there are any."""
        if self.channels is not None:
            self.channels.publish(self.channel, message, optional=optional)

    def soon(self, call: Callable[[], None]) -> None:
        """Calls back when several questions may have gathered."""
        asyncio.get_running_loop().call_later(GATHERING, call)


def space(room: str) -> str:
    """The presence space of a table page's room, as clients name it."""
    return f"table-{rooms.table_of(room)}"


def entry(member: Member) -> dict[str, Any]:
    """A member as clients see it."""
    return {"user_id": member.user_id, "presence_id": member.presence_id}


def tell_all(subscribers: Iterable[Subscriber], kind: str, body: dict[str, Any]) -> None:
    """Sends one ephemeral message to many, as `Subscriber.tell` does to one."""
    frames: dict[tuple[Wire, int], Frame] = {}
    for subscriber in subscribers:
        wire = subscriber.wire
        if wire is None:
            continue
        key = (wire, subscriber.position)
        frame = frames.get(key)
        if frame is None:
            frame = frames[key] = wire.message(kind, body, subscriber.position)
        try:
            subscriber.link.write(frame)
        except Exception:  # one broken connection must cost nobody else anything
            logger.exception("a socket could not be told of presence")
