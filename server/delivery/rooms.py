"""Rooms: the one registry of who is in which room, for Socket.IO clients and raw sockets alike.

Invariants: `members[room]` and `subscriber.rooms` mirror each other; an empty room does not exist; joining, leaving
and disconnecting cost what the socket's own rooms cost. `RoomsManager` is the same registry behind python-socketio's
client manager interface: its private bookkeeping hooks are overridden and pinned by `tests/unit/test_rooms.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from socketio import AsyncManager, AsyncRedisManager

from server.delivery.subscribers import Subscriber
from server.store.log import LoggedEvent


class Registry:
    """Who is connected, by socket id, by user and by room."""

    def __init__(self) -> None:
        self.subscribers: dict[str, Subscriber] = {}
        self.users: dict[int, dict[Subscriber, None]] = {}
        self.members: dict[str, dict[Subscriber, None]] = {}

    def add(self, subscriber: Subscriber) -> None:
        """Enters a connection; it is in no room yet."""
        self.subscribers[subscriber.sid] = subscriber
        if subscriber.user_id is not None:
            self.users.setdefault(subscriber.user_id, {})[subscriber] = None

    def identify(self, subscriber: Subscriber, user_id: int) -> None:
        """Names the user of a connection that was entered before it was known."""
        subscriber.user_id = user_id
        self.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Forgets a connection and all its rooms; harmless when it is not there."""
        for room in list(subscriber.rooms):
            self.leave(subscriber, room)
        subscriber.subscriptions.clear()
        if self.subscribers.get(subscriber.sid) is subscriber:
            del self.subscribers[subscriber.sid]
        if subscriber.user_id is not None:
            discard(self.users, subscriber.user_id, subscriber)

    def join(self, subscriber: Subscriber, room: str) -> None:
        self.members.setdefault(room, {})[subscriber] = None
        subscriber.rooms.add(room)

    def leave(self, subscriber: Subscriber, room: str) -> None:
        if room in subscriber.rooms:
            subscriber.rooms.remove(room)
            discard(self.members, room, subscriber)

    def audience(self, event: LoggedEvent) -> list[Subscriber]:
        """Everybody in any of the event's rooms, each once, without the socket that caused it."""
        rooms = [members for room in event.rooms if (members := self.members.get(room))]
        if not rooms:
            return []
        found = rooms[0] if len(rooms) == 1 else dict.fromkeys(member for members in rooms for member in members)
        cause = self.subscribers.get(event.origin.socket_id) if event.origin else None
        if cause is not None and event.origin is not None and cause.user_id == event.origin.user_id and cause in found:
            return [subscriber for subscriber in found if subscriber is not cause]
        return list(found)


def discard(index: dict[Any, dict[Subscriber, None]], key: Any, subscriber: Subscriber) -> None:
    """Takes a subscriber out of one entry of an index, and the entry out when it is empty."""
    found = index.get(key)
    if found is not None:
        found.pop(subscriber, None)
        if not found:
            del index[key]


class Client:
    """A Socket.IO connection to one namespace: what python-socketio asks about it."""

    __slots__ = ("eio_sid", "namespace", "state", "subscriber")

    def __init__(self, eio_sid: str, namespace: str, subscriber: Subscriber) -> None:
        self.eio_sid = eio_sid
        self.namespace = namespace
        self.subscriber = subscriber
        self.state = "connecting"  # then connected, disconnecting


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

    async def pre_connect(self, eio_sid: str, namespace: str) -> str | None:
        """Enters a client before its connect handler runs; None when it is connected already."""
        if (eio_sid, namespace) in self.sids:
            return None
        sid: str = self.server.eio.generate_id()
        subscriber = self.server.subscriber(sid, eio_sid, namespace)
        subscriber.hold()  # until the CONNECT reply is out
        self.clients[sid] = Client(eio_sid, namespace, subscriber)
        self.sids[eio_sid, namespace] = sid
        self.populated[namespace] += 1
        self.registry.add(subscriber)
        return sid

    async def connect(self, sid: str, namespace: str) -> str | None:
        """Called when the CONNECT reply was queued: from now on events follow it."""
        if sid not in self.clients:
            found = await self.pre_connect(sid, namespace)  # `sid` is an Engine.IO sid here
            if found is None:
                return None
            sid = found
        client = self.clients[sid]
        client.state = "connected"
        client.subscriber.release()
        if not self.server.is_alive(client.eio_sid):
            await self._lay_to_rest(sid, namespace)
        return sid

    async def _lay_to_rest(self, sid: str, namespace: str) -> None:
        """Ends a client that died while its connect handler ran: python-socketio, which saw it die, took it for not
        connected yet and will not come back, so it would stay in its rooms for ever."""
        self.pre_disconnect(sid, namespace)
        await self.server._trigger_event("disconnect", namespace, sid, self.server.reason.TRANSPORT_CLOSE)
        self.basic_disconnect(sid, namespace)

    def is_pre_connected(self, sid: str, namespace: str) -> bool:
        return self._in_state(sid, namespace, "connecting")

    def is_connected(self, sid: str, namespace: str) -> bool:
        return self._in_state(sid, namespace, "connected")

    def _in_state(self, sid: str, namespace: str, state: str) -> bool:
        client = self.clients.get(sid)
        return client is not None and client.namespace == namespace and client.state == state

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        return self.sids.get((eio_sid, namespace))

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        client = self.clients.get(sid)
        return client.eio_sid if client is not None and client.namespace == namespace else None

    def pre_disconnect(self, sid: str, namespace: str) -> str | None:
        client = self.clients.get(sid)
        if client is None:
            return None
        client.state = "disconnecting"
        return client.eio_sid

    def basic_disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        client = self.clients.pop(sid, None)
        if client is None:
            return
        self.registry.remove(client.subscriber)
        self.sids.pop((client.eio_sid, client.namespace), None)
        self.callbacks.pop(sid, None)
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
        self.registry.join(client.subscriber, room)

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
