"""Clients that come with a position they read with the state, in every style that takes one, and ask for what is above.

`start` is that position, or anything else that a client may bring in its place. Socket.IO names no positions, or on
connections that recover those of the connection; so the test finds them by what was told.
"""

from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from tests.faults.clients.base import Client, Refused, messages
from tests.faults.clients.core_raw import CoreRaw, check_welcome, page_of
from tests.faults.clients.engineio import ACK, EVENT, QUERY, SocketIO
from tests.faults.clients.mirrors import RECORD, EndpointSocket, ItemsRaw
from tests.faults.clients.sessions import CoreSession, EventsSession
from tests.faults.clients.streams import EventPages, EventStream
from tests.faults.history import Interest, Refreshed, Told


class Newcomer(Client):
    """What they share: whatever a reply says, everything above `start` is promised."""

    def join(self, above: int | None, *rooms: str) -> None:
        super().join(self.history.start, *rooms)

    def refresh(self, position: int) -> None:
        self.cursor = position  # whatever it was
        super().refresh(position)

    @property
    def told(self) -> int:
        """How many events it heard."""
        return sum(isinstance(entry, Told) for entry in self.history.entries)

    @property
    def refreshed(self) -> bool:
        """Whether it was told to read anew, before it was told anything else."""
        said = [entry for entry in self.history.entries if isinstance(entry, Told | Refreshed)]
        return bool(said) and isinstance(said[0], Refreshed)


class Returning(Newcomer, CoreRaw):
    """`replay_events` with a position from elsewhere."""

    style = "replay_events"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.based = True


class CoreSince(Newcomer):
    """A page of the core socket."""

    style = "page with since"

    async def visit(self) -> None:
        (interest,) = self.interests
        socket = await self.open_socket("/ws/core/", jwt_token=self.login.token)
        async for message in messages(socket):
            match message["type"]:
                case "authentication":
                    check_welcome(message)
                    self.ask_for(interest.room)
                    await socket.send_json({**page_of(interest.room), "since": self.cursor})
                    self.join(None, interest.room)
                case "page_refused":
                    raise Refused(message)
                case "refresh":
                    self.refresh(message["position"])
                case kind:
                    self.hear(kind, message, message.pop("_event_id", None))


class OfSocketIO(Newcomer):
    """A namespace whose sessions are kept, or not."""

    recovers: ClassVar[bool] = False

    def credentials(self) -> dict[str, Any]:
        return {"token": self.login.token, "recovery": self.recovers}

    def hear(self, kind: str, payload: Any, position: int | None) -> None:
        super().hear(kind, payload, None)


class PageSince(OfSocketIO, CoreSession):
    style = "/core page with since"

    def request(self, interest: Interest) -> tuple[Any, ...]:
        return "page", {**page_of(interest.room), "since": self.history.start}


class KeptPageSince(PageSince):
    style = "/core page with since, recovering"
    recovers = True


class SelectionSince(OfSocketIO, EventsSession):
    style = "select-workspace with since"

    def request(self, interest: Interest) -> tuple[Any, ...]:
        return "select-workspace", interest.workspace, {"since": self.history.start}


class KeptSelectionSince(SelectionSince):
    style = "select-workspace with since, recovering"
    recovers = True


class RecordsSince(Newcomer):
    """An endpoint in the namespace `/ce`."""

    style = "/ce subscribe with since"

    def __init__(self, *args: Any, path: str) -> None:
        super().__init__(*args)
        parts = urlsplit(path)
        self.wanted = {"endpoint": parts.path.removeprefix("/api/1/ce/"), **dict(parse_qsl(parts.query))}

    async def visit(self) -> None:
        link = SocketIO(await self.open_socket("/socket.io/", **QUERY), "/ce")
        await link.connect({})
        (room,) = self.history.rooms
        self.ask_for(room)
        await link.emit("subscribe", self.wanted | {"since": self.cursor})
        self.join(None, room)
        while True:
            packet = await link.next()
            if packet.kind == ACK and not packet.data[0]["ok"]:
                raise Refused(packet.data)
            if packet.kind == EVENT:
                kind, message = packet.data
                del message["endpoint"]
                if kind == "refresh":
                    self.refresh(message["position"])
                else:
                    self.hear(RECORD, message, None)


class SelectionRaw(Newcomer, ItemsRaw):
    pass


class EndpointSince(Newcomer, EndpointSocket):
    pass


class StreamSince(Newcomer, EventStream):
    pass


class PagesAfter(Newcomer, EventPages):
    pass


CORE = (Returning,)
TABLE = (CoreSince, PageSince, KeptPageSince)
ITEMS = (SelectionSince, KeptSelectionSince, SelectionRaw)
RECORDS = (EndpointSince, RecordsSince)
STREAMS = (StreamSince, PagesAfter)
