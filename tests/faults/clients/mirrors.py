"""Raw sockets whose address says where to go on: the items of a workspace, and the records of an endpoint."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.faults.clients.base import Client, Lost, messages

RECORD = "record"  # the type of the log's event; on the wire the type is the HTTP method


class ItemsRaw(Client):
    """`/ws/events/` with offsets: selects its workspace with the position it knows."""

    style = "items socket"

    async def visit(self) -> None:
        (interest,) = self.interests
        socket = await self.open_socket("/ws/events/", jwt_token=self.login.token, offsets="true")
        async for message in messages(socket):
            match message["type"]:
                case "authentication":
                    assert message["success"], message
                    self.ask_for(interest.room)
                    await socket.send_json({"select-workspace": interest.workspace, "since": self.cursor})
                    self.join(self.cursor, interest.room)
                case "workspace-refused":
                    raise Lost(message)
                case "refresh":
                    self.refresh(message["position"])
                case kind if "data" in message:
                    self.hear(kind, message["data"], message["offset"])


class EndpointSocket(Client):
    """The socket of an endpoint, with `since` and offsets."""

    style = "endpoint socket"

    def __init__(self, *args: Any, path: str) -> None:
        super().__init__(*args)
        parts = urlsplit(path)
        self.path, self.query = parts.path, dict(parse_qsl(parts.query))

    async def visit(self) -> None:
        socket = await self.open_socket(self.path, **self.query, since=str(self.cursor), offsets="true")
        (room,) = self.history.rooms
        self.ask_for(room)
        self.join(self.cursor, room)
        async for message in messages(socket):
            position = message.pop("offset", None)
            if message["type"] == "refresh":
                self.refresh(message["position"])
            else:
                self.hear(RECORD, message, position)


class EndpointClassic(EndpointSocket):
    """The same as it was documented: it hears what happens while it is connected."""

    style = "classic endpoint socket"
    continues = False

    async def visit(self) -> None:
        socket = await self.open_socket(self.path, **self.query)
        self.join(None, *self.history.rooms)
        async for message in messages(socket):
            self.hear(RECORD, message, None)
