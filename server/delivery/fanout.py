"""Whom a room's events go to, arranged for writing: a frame is made once for all sockets that want it like this."""

from collections.abc import Iterable

from server.delivery.outlet import Audience, Crowd, Writable
from server.delivery.subscribers import Subscriber
from server.delivery.wire import Wire


class Fanout:
    """WebSockets by their wire (`audience[n]` are those of `wires[n]`), and connections that are written to in another
    way. Who is behind, or has no wire, is not among them."""

    __slots__ = ("audience", "others", "wires")

    def __init__(self, subscribers: Iterable[Subscriber]) -> None:
        self.others: list[Subscriber] = []
        groups: dict[Wire, list[Writable]] = {}
        for subscriber in subscribers:
            if subscriber.wire is None or subscriber.behind is not None:
                continue
            socket = subscriber.link.socket
            if socket is None:
                self.others.append(subscriber)
            else:
                groups.setdefault(subscriber.wire, []).append(socket)
        self.wires = list(groups)
        self.audience: Audience = [Crowd(sockets) for sockets in groups.values()]

    @property
    def is_settled(self) -> bool:
        """False where a connection has become a WebSocket meanwhile."""
        return not self.others or all(subscriber.link.socket is None for subscriber in self.others)


NOBODY = Fanout(())
