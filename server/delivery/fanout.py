"""Whom a room's events go to, arranged for writing: a frame is made once for all sockets that want it like this."""

from collections.abc import Collection, Iterable

from server.delivery.outlet import Audience, Crowd, Writable
from server.delivery.subscribers import Subscriber
from server.delivery.wire import Wire


class Fanout:
    """WebSockets by their wire (`audience[n]` are those of `wires[n]`), but for those that are `left_out`; and
    connections that are written to in another way. Who is behind, or has no wire, is not among them."""

    __slots__ = ("audience", "left_out", "others", "wires")

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
        self.left_out: list[Writable] = []

    def without(self, gone: Collection[Subscriber]) -> "Fanout":
        """The same without some of them; costs nothing for the others that are WebSockets."""
        rest = Fanout(subscriber for subscriber in self.others if subscriber not in gone)
        rest.wires, rest.audience = self.wires, self.audience
        rest.left_out = [one.link.socket for one in gone if one.link.socket is not None]
        return rest

    @property
    def is_settled(self) -> bool:
        """False where a connection has become a WebSocket meanwhile."""
        return all(subscriber.link.socket is None for subscriber in self.others)


NOBODY = Fanout(())
