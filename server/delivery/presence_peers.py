"""Who is present on the other nodes: soft state that heals itself, over messages of which any may be lost.

A node numbers each join and leave of its own members and says its number with every beat. A listener that meets a
node it does not know, or a number that is not the next, asks for the whole state, and asks again at every beat until
it has it. A node that was not heard for the expiry time is forgotten, its members have left; when it is heard again
it is a node not known. Focus is not numbered: a lost one is of no consequence.

Invariants: what is announced here follows from the state alone, so each member is joined once and left once however
messages repeat, overtake each other or are lost; a message that is not understood changes nothing and raises nothing.

Messages are JSON arrays: ["join", node, number, room, presence_id, user_id], ["leave", node, number, room,
presence_id], ["focus", node, room, presence_id, {page, table_id, focus}], ["beat", node, number], ["state", node,
number, [[room, presence_id, user_id], …]], ["ask", node, node asked or null for all], ["bye", node].
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

import orjson

from server.delivery.presence_focus import Focus, read_focus
from server.encoding import encode
from server.events import rooms


class Member(NamedTuple):
    """One connection in the space of one table page; `presence_id` names the connection."""

    room: str
    presence_id: str
    user_id: int


class Home(Protocol):
    """This node, as the state of the others needs it."""

    def members(self) -> list[Member]:
        """Everybody present here."""

    def announce(self, kind: str, member: Member, focus: Focus | None = None) -> None:
        """Tells the members of the space here that another one had a `join`, a `leave` or a `focus`."""

    def publish(self, message: bytes, *, optional: bool = False) -> None:
        """Sends a message to the other nodes; an optional one is the first to be dropped."""

    def soon(self, call: Callable[[], None]) -> None:
        """Calls back in a moment, so that what many ask for within it is answered once."""


class Peer:
    """What is known of one other node; `synced` while no change of its members was missed."""

    __slots__ = ("asked", "heard", "number", "rooms", "synced")

    def __init__(self) -> None:
        self.rooms: dict[str, dict[str, int]] = {}  # room -> presence_id -> user_id
        self.number = 0
        self.heard = 0.0
        self.synced = False
        self.asked = False

    def members(self) -> Iterator[Member]:
        for room, entries in self.rooms.items():
            for presence_id, user_id in entries.items():
                yield Member(room, presence_id, user_id)

    def add(self, member: Member) -> bool:
        """True when the member is new."""
        entries = self.rooms.setdefault(member.room, {})
        new = member.presence_id not in entries
        entries[member.presence_id] = member.user_id
        return new

    def find(self, room: str, presence_id: str) -> Member | None:
        user_id = self.rooms.get(room, {}).get(presence_id)
        return None if user_id is None else Member(room, presence_id, user_id)

    def remove(self, member: Member) -> None:
        entries = self.rooms[member.room]
        del entries[member.presence_id]
        if not entries:
            del self.rooms[member.room]


class Peers:
    """The other nodes, and what this one says to them. `expiry` in seconds of the clock, more than twice a beat."""

    def __init__(self, home: Home, expiry: float, clock: Callable[[], float]) -> None:
        self.home = home
        self.expiry = expiry
        self.clock = clock
        self.node = secrets.token_hex(8)
        self.number = 0
        self.peers: dict[str, Peer] = {}
        self._turned = clock()
        self._answering = False
        self._gone = False

    def entries(self, room: str) -> list[Member]:
        """Who is present in a room on the other nodes."""
        return [
            Member(room, presence_id, user_id)
            for peer in self.peers.values()
            for presence_id, user_id in peer.rooms.get(room, {}).items()
        ]

    # ---- what this node says

    def join(self, member: Member) -> None:
        """Says that a member came here."""
        self.number += 1
        self._say("join", self.number, *member)

    def leave(self, member: Member) -> None:
        """Says that a member left here."""
        self.number += 1
        self._say("leave", self.number, member.room, member.presence_id)

    def focus(self, member: Member, focus: Focus) -> None:
        """Passes on what a member looks at."""
        self._say("focus", member.room, member.presence_id, focus._asdict(), optional=True)

    def subscribed(self) -> None:
        """To be called when this node hears (again): anything may have been missed, in both directions."""
        self._answer()
        self._say("ask", None)

    def turn(self) -> None:
        """To be called once a beat: forgets who fell silent, and says that this node lives."""
        now = self.clock()
        slept, self._turned = now - self._turned > self.expiry / 2, now
        for node, peer in list(self.peers.items()):
            if slept:  # this process did, so that it could not hear: nobody else is to blame
                peer.heard = now
            elif now - peer.heard > self.expiry:
                self._forget(node)
        self._say("beat", self.number)

    def goodbye(self) -> None:
        """Says that this node ends, and nothing after it."""
        self._say("bye")
        self._gone = True

    def _say(self, kind: str, *rest: Any, optional: bool = False) -> None:
        if not self._gone:
            self.home.publish(encode([kind, self.node, *rest]), optional=optional)

    def _answer(self) -> None:
        if not self._answering:
            self._answering = True
            self.home.soon(self._say_state)

    def _say_state(self) -> None:
        self._answering = False
        self._say("state", self.number, self.home.members())

    # ---- what it hears

    def hear(self, message: bytes) -> None:
        """Takes a message of the channel, this node's own and strangers' too."""
        try:
            parsed = orjson.loads(message)
        except ValueError:
            return
        match parsed:
            case [str(), self.node, *_]:
                pass
            case ["bye", str(node)]:
                self._forget(node)
            case ["beat", str(node), int(number)]:
                self._take_beat(node, number)
            case ["ask", str(node), None | self.node]:
                self._meet(node)
                self._answer()
            case ["state", str(node), int(number), list(rows)] if (members := read_members(rows)) is not None:
                self._take_state(node, number, members)
            case ["join", str(node), int(number), *row] if (member := read_member(row)) is not None:
                if self._is_next(node, number) and self.peers[node].add(member):
                    self.home.announce("join", member)
            case ["leave", str(node), int(number), str(room), str(presence_id)]:
                if self._is_next(node, number) and (left := self.peers[node].find(room, presence_id)) is not None:
                    self.peers[node].remove(left)
                    self.home.announce("leave", left)
            case ["focus", str(node), str(room), str(presence_id), dict(frame)]:
                self._take_focus(self._meet(node).find(room, presence_id), read_focus(frame))

    def _meet(self, node: str) -> Peer:
        """The node that was heard; of one not known the state is asked for."""
        peer = self.peers.setdefault(node, Peer())
        peer.heard = self.clock()
        if not peer.synced and not peer.asked:
            self._ask(node, peer)
        return peer

    def _ask(self, node: str, peer: Peer) -> None:
        peer.synced, peer.asked = False, True
        self._say("ask", node)

    def _is_next(self, node: str, number: int) -> bool:
        """Counts a change; False when it is known already, or when one before it was missed."""
        peer = self._meet(node)
        if not peer.synced or number <= peer.number:
            return False
        if number > peer.number + 1:
            self._ask(node, peer)
            return False
        peer.number = number
        return True

    def _take_beat(self, node: str, number: int) -> None:
        known = self.peers.get(node)
        peer = self._meet(node)
        if known is not None and (not peer.synced or number != peer.number):
            self._ask(node, peer)

    def _take_state(self, node: str, number: int, members: list[Member]) -> None:
        peer = self.peers.setdefault(node, Peer())
        peer.heard = self.clock()
        if peer.synced and number < peer.number:  # sent before what is known, and overtaken
            return
        present = set(members)
        for member in [member for member in peer.members() if member not in present]:
            peer.remove(member)
            self.home.announce("leave", member)
        for member in members:
            if peer.add(member):
                self.home.announce("join", member)
        peer.number, peer.synced, peer.asked = number, True, False

    def _take_focus(self, member: Member | None, focus: Focus | None) -> None:
        if member is not None and focus is not None and rooms.table(focus.table_id) == member.room:
            self.home.announce("focus", member, focus)

    def _forget(self, node: str) -> None:
        peer = self.peers.pop(node, None)
        for member in peer.members() if peer is not None else ():
            self.home.announce("leave", member)


def read_member(row: Any) -> Member | None:
    """A member as a message spells it; None when it is none."""
    match row:
        case [str(room), str(presence_id), int(user_id)] if rooms.table_of(room) is not None:
            return Member(room, presence_id, user_id)
    return None


def read_members(rows: Iterable[Any]) -> list[Member] | None:
    """The members of a state; None when one of them is not understood."""
    members = [read_member(row) for row in rows]
    known = [member for member in members if member is not None]
    return known if len(known) == len(members) else None
