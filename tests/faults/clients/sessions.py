"""Socket.IO clients with connection state recovery, for the namespaces `/core` and `/events`.

What the official clients do: keep the `pid` of the CONNECT reply and, as offset, the last string argument of each
event; bring both when they connect again. The same `pid` in the reply means that the session goes on: same rooms,
missed events first. Another one means that the past is gone.
"""

from typing import Any, ClassVar

from tests.faults.clients.base import Client, Refused
from tests.faults.clients.core_raw import page_of, pages
from tests.faults.clients.engineio import ACK, EVENT, QUERY, Packet, SocketIO
from tests.faults.history import Interest


class Session(Client):
    """A client of one namespace; subclasses say how it asks for its rooms."""

    namespace: ClassVar[str]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pid: str | None = None
        self.sid: str = ""
        self.offset: str | None = None
        self.recovered = 0  # reconnections that continued the session
        self.forgotten = False  # the server did not, and the next join tells what is lost

    async def visit(self) -> None:
        socket = await self.open_socket("/socket.io/", **QUERY)
        link = SocketIO(socket, self.namespace)
        self.take_welcome(await link.connect(self.credentials()))
        asked: dict[int, Interest] = {}
        for interest in pages(self.interests):
            if interest.room in self.joined:
                self.confirmed.add(interest.room)
            else:
                self.ask_for(interest.room)
                asked[await link.emit(*self.request(interest))] = interest
        if not asked:
            self.confirmed |= self.history.rooms
        while True:
            packet = await link.next()
            if packet.kind == EVENT and packet.ack is None:
                self.take_event(*packet.data)
            elif packet.kind == ACK and packet.ack in asked:
                self.take_ack(packet, asked[packet.ack])

    def credentials(self) -> dict[str, Any]:
        """What CONNECT carries: the token always, since a pid is no credential."""
        auth: dict[str, Any] = {"token": self.login.token, "recovery": True}
        if self.pid is not None:
            auth["pid"] = self.pid
            if self.offset is not None:
                auth["offset"] = self.offset
        return auth

    def take_welcome(self, welcome: dict[str, Any]) -> None:
        """Sees whether the session goes on."""
        if self.pid is not None and welcome.get("pid") == self.pid:
            assert welcome["sid"] == self.sid, "a recovered session keeps its sid"
            self.recovered += 1
        else:
            self.forgotten = self.forgotten or bool(self.joined)
            self.joined.clear()
            self.asked.clear()
            self.offset = None
        self.pid, self.sid = welcome.get("pid"), welcome["sid"]
        self.history.sockets.add(self.sid)

    def take_event(self, name: str, *arguments: Any) -> None:
        """An event; on a recovery connection its last argument is the offset, of ephemeral ones too."""
        position = None
        if self.pid is not None:
            assert isinstance(arguments[-1], str), (name, arguments)
            self.offset = arguments[-1]
            position = int(self.offset)
        if name == "refresh":
            self.refresh(arguments[0]["position"])
        else:
            self.hear(name, arguments[0] if arguments else None, position)

    def take_ack(self, packet: Packet, interest: Interest) -> None:
        """A room was joined, and names the position from which its events follow."""
        (answer,) = packet.data
        if not answer["ok"]:
            raise Refused(answer)
        position = answer["position"]
        if self.forgotten:
            self.forgotten = False
            self.refresh(position)
        following = [each.room for each in self.interests if each.follows]
        self.join(position, interest.room, *following)

    def request(self, interest: Interest) -> tuple[Any, ...]:
        """The event that asks for a room."""
        raise NotImplementedError


class CoreSession(Session):
    """Pages of the database API."""

    style = "Socket.IO /core"
    namespace = "/core"

    def request(self, interest: Interest) -> tuple[Any, ...]:
        return "page", page_of(interest.room)


class EventsSession(Session):
    """The items of a selected workspace."""

    style = "Socket.IO /events"
    namespace = "/events"

    def request(self, interest: Interest) -> tuple[Any, ...]:
        return "select-workspace", interest.workspace
