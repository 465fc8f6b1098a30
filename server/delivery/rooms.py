"""Rooms: the one registry of who is in which room, for Socket.IO clients and raw sockets alike.

Invariants: `members[room]` and `subscriber.rooms` mirror each other; an empty room does not exist; joining, leaving
and disconnecting cost what the socket's own rooms cost; rooms and subscriptions begin and end here only. `RoomsManager`
is the same registry behind python-socketio's client manager interface: its private bookkeeping hooks are overridden
and pinned by `tests/unit/test_rooms.py`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from socketio import AsyncManager, AsyncRedisManager

from server.auth.actors import Credentials
from server.delivery.fanout import NOBODY, Fanout
from server.delivery.subscribers import Progress, Subscriber
from server.errors import TOO_MANY_CONNECTIONS, TooMany
from server.events.event import Origin
from server.events.subscription import Subscription
from server.metrics import Limit, met


class Registry:
    """Who is connected, by user, by room and by the workspaces they subscribed something of.

    `progress` says how far the relay has told them; `left` is called when a subscriber leaves a room, whatever the
    reason. A user has at most `per_user` connections, 0: any number; `seat` is asked before `add`, and who waits for
    something in between holds a seat meanwhile."""

    def __init__(self, per_user: int = 0) -> None:
        self.per_user = per_user
        self.progress = Progress(self._changed)
        self.subscribers: dict[Subscriber, None] = {}
        self.users: dict[int, dict[Subscriber, None]] = {}
        self.members: dict[str, dict[Subscriber, None]] = {}
        self.watchers: dict[int, dict[Subscriber, None]] = {}
        self.left: Callable[[Subscriber, str], None] = lambda subscriber, room: None
        self._coming: Counter[int] = Counter()  # user id -> seats that are held
        self._fanouts: dict[str, Fanout] = {}  # of rooms in which nothing has changed since

    def add(self, subscriber: Subscriber) -> None:
        """Enters a connection; it is in no room yet."""
        self.subscribers[subscriber] = None
        if subscriber.user_id is not None:
            self.users.setdefault(subscriber.user_id, {})[subscriber] = None

    def seat(self, user_id: int) -> None:
        """Raises TooMany where a user may have no further connection."""
        if self.per_user and len(self.users.get(user_id, ())) + self._coming[user_id] >= self.per_user:
            met(Limit.CONNECTIONS_PER_USER)
            raise TooMany(TOO_MANY_CONNECTIONS)

    @contextmanager
    def held_seat(self, user_id: int) -> Iterator[None]:
        """Keeps a seat for a connection that is on its way in; raises TooMany."""
        self.seat(user_id)
        self._coming[user_id] += 1
        try:
            yield
        finally:
            self._coming[user_id] -= 1
            if not self._coming[user_id]:
                del self._coming[user_id]

    def remove(self, subscriber: Subscriber) -> None:
        """Forgets a connection and all its rooms; harmless when it is not there."""
        for key in list(subscriber.subscriptions):
            self.unsubscribe(subscriber, key)
        for room in list(subscriber.rooms):
            self.leave(subscriber, room)
        self.subscribers.pop(subscriber, None)
        if subscriber.user_id is not None:
            discard(self.users, subscriber.user_id, subscriber)

    def join(self, subscriber: Subscriber, room: str, position: int) -> None:
        """Lets a connection hear a room; what is above `position` it has been told, or will be."""
        self.members.setdefault(room, {})[subscriber] = None
        self._fanouts.pop(room, None)
        subscriber.rooms[room] = min(position, subscriber.rooms.get(room, position))

    def leave(self, subscriber: Subscriber, room: str) -> None:
        if room in subscriber.rooms:
            del subscriber.rooms[room]
            discard(self.members, room, subscriber)
            self._fanouts.pop(room, None)
            self.left(subscriber, room)

    def subscribe(self, subscriber: Subscriber, key: Any, subscription: Subscription, position: int) -> None:
        """Joins the room of a subscription and keeps in mind what it depends on."""
        subscriber.subscriptions[key] = subscription
        self.watchers.setdefault(subscription.workspace_id, {})[subscriber] = None
        self.join(subscriber, subscription.room, position)

    def unsubscribe(self, subscriber: Subscriber, key: Any) -> Subscription | None:
        """Ends a subscription and returns it, None when there is none; delivery ends even while another spelling of
        the same page stays listed."""
        ended = subscriber.subscriptions.pop(key, None)
        if ended is not None:
            if not any(other.workspace_id == ended.workspace_id for other in subscriber.subscriptions.values()):
                discard(self.watchers, ended.workspace_id, subscriber)
            self.leave(subscriber, ended.room)
        return ended

    def fanout(self, rooms: Sequence[str]) -> Fanout:
        """Everybody in any of the rooms who is live, each once. A room is arranged once, until one of its members
        comes, goes or changes."""
        populated = [room for room in rooms if room in self.members]
        if len(populated) != 1:
            everybody = (member for room in populated for member in self.members[room])
            return Fanout(dict.fromkeys(everybody)) if populated else NOBODY
        found = self._fanouts.get(room := populated[0])
        if found is None or not found.is_settled:
            found = self._fanouts[room] = Fanout(self.members[room])
        return found

    def authors(self, origin: Origin | None, rooms: Sequence[str]) -> list[Subscriber]:
        """The connections in any of the rooms that caused an event, which are not told it. Others of the same client
        are: namespaces share a WebSocket, and each has rooms of its own."""
        if origin is None:
            return []
        named = [one for one in self.users.get(origin.user_id, ()) if one.sid == origin.socket_id]
        return [one for one in named if not one.rooms.keys().isdisjoint(rooms)]

    def _changed(self, subscriber: Subscriber) -> None:
        for room in subscriber.rooms:
            self._fanouts.pop(room, None)


def discard(index: dict[Any, dict[Subscriber, None]], key: Any, subscriber: Subscriber) -> None:
    """Takes a subscriber out of one entry of an index, and the entry out when it is empty."""
    found = index.get(key)
    if found is not None:
        found.pop(subscriber, None)
        if not found:
            del index[key]


class Client:
    """A Socket.IO connection to one namespace: what python-socketio asks about it, and who it is."""

    __slots__ = ("connected", "credentials", "eio_sid", "expiry", "namespace", "resume", "resuming", "subscriber")

    def __init__(self, eio_sid: str, namespace: str, subscriber: Subscriber) -> None:
        self.eio_sid = eio_sid
        self.namespace = namespace
        self.subscriber = subscriber
        self.connected = True  # False while it is being disconnected
        self.credentials: Credentials | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self.resume: asyncio.Handle | None = None  # lets it be live after an acknowledgement
        self.resuming: asyncio.Event | None = None  # set when the client has been told what it missed


class RoomsManager(AsyncManager):  # type: ignore[misc]
    """The registry as python-socketio's client manager, for one process."""

    def __init__(self, registry: Registry, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry = registry
        self.clients: dict[str, Client] = {}
        self.sids: dict[tuple[str, str], str] = {}  # (eio_sid, namespace) -> sid
        self.populated: Counter[str] = Counter()  # namespace -> clients

    @property
    def rooms(self) -> Counter[str]:
        """Where the stock manager keeps its rooms; its `emit` asks here whether a namespace has clients at all."""
        return self.populated

    @rooms.setter
    def rooms(self, rooms: object) -> None:
        pass  # the stock constructor makes an empty dictionary

    def get_namespaces(self) -> Iterable[str]:
        return list(self.populated)

    def enter(self, client: Client) -> None:
        """Enters a client whose sid is free; which rooms it joins is for the caller to say."""
        self.clients[client.subscriber.sid] = client
        self.sids[client.eio_sid, client.namespace] = client.subscriber.sid
        self.populated[client.namespace] += 1

    def is_connected(self, sid: str, namespace: str) -> bool:
        client = self.clients.get(sid)
        return client is not None and client.namespace == namespace and client.connected

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        return self.sids.get((eio_sid, namespace))

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        client = self.clients.get(sid)
        return client.eio_sid if client is not None and client.namespace == namespace else None

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        client = self.clients.get(sid)
        if client is None:
            return None
        client.connected = False
        return client.eio_sid

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        client = self.clients.get(sid)
        if client is not None:
            self.forget(client)

    def forget(self, client: Client) -> None:
        """Ends a client; harmless when it has ended, or when another connection has taken its sid over."""
        if self.clients.get(client.subscriber.sid) is not client:
            return
        del self.clients[client.subscriber.sid]
        client.connected = False
        if client.expiry is not None:
            client.expiry.cancel()
        self.registry.remove(client.subscriber)
        self.sids.pop((client.eio_sid, client.namespace), None)
        self.callbacks.pop(client.subscriber.sid, None)
        self.populated[client.namespace] -= 1
        if not self.populated[client.namespace]:
            del self.populated[client.namespace]

    def is_sid_room(self, namespace: str, room: str) -> bool:
        return self.eio_sid_from_sid(room, namespace) is not None

    def basic_enter_room(self, sid: str, namespace: str, room: str, eio_sid: str | None = None) -> None:
        client = self.clients.get(sid)
        if client is None or client.namespace != namespace:
            raise ValueError("sid is not connected to requested namespace")
        if sid != room and self.is_sid_room(namespace, room):
            raise ValueError("cannot enter a sid room")
        self.registry.join(client.subscriber, room, self.registry.progress.position)

    def basic_leave_room(self, sid: str, namespace: str, room: str) -> None:
        client = self.clients.get(sid)
        if client is not None:
            self.registry.leave(client.subscriber, room)

    def basic_close_room(self, room: str, namespace: str) -> None:
        if self.is_sid_room(namespace, room):
            raise ValueError("cannot close a sid room")
        for sid, _ in list(self.get_participants(namespace, room)):
            self.basic_leave_room(sid, namespace, room)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        client = self.clients.get(sid)
        return [sid, *client.subscriber.rooms] if client is not None else []

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        """(sid, eio_sid) of everybody of the namespace in the room, in any of a list of rooms, or (None) at all."""
        if room is None:
            yield from [(sid, c.eio_sid) for sid, c in self.clients.items() if c.namespace == namespace]
            return
        rooms = [room] if isinstance(room, str) else list(room)
        sids = dict.fromkeys(s.sid for name in rooms for s in self.registry.members.get(name, ()))
        sids |= dict.fromkeys(name for name in rooms if name in self.clients)
        for sid in sids:
            client = self.clients.get(sid)
            if client is not None and client.namespace == namespace:
                yield sid, client.eio_sid


class RedisRoomsManager(RoomsManager, AsyncRedisManager):  # type: ignore[misc]
    """The same for several processes: Redis carries acknowledgements and ephemeral emits between them."""
