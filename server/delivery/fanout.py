"""Whom a room's events go to, arranged for writing: a frame is made once for all sockets that want it like this."""

from collections.abc import Iterable

from server.delivery.outlet import Writable
from server.delivery.subscribers import Subscriber
from server.delivery.wire import Wire


class Fanout:
    """WebSockets by their wire (`sockets[n]` are those of `wires[n]`), and connections that are written to in another
    way. Who is behind, or has no wire, is not among them."""

    __slots__ = ("others", "sockets", "wires")

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
        self.wires, self.sockets = list(groups), list(groups.values())

    def without(self, left_out: Iterable[Subscriber]) -> "Fanout":
        """The same without some of them."""
        gone = set(left_out)
        sockets = {subscriber.link.socket for subscriber in gone}
        rest = Fanout(subscriber for subscriber in self.others if subscriber not in gone)
        rest.wires = self.wires
        rest.sockets = [[socket for socket in group if socket not in sockets] for group in self.sockets]
        return rest

    @property
    def is_settled(self) -> bool:
        """False where a connection has become a WebSocket meanwhile."""
        return all(subscriber.link.socket is None for subscriber in self.others)


NOBODY = Fanout(())
