"""The raw socket of the database API: of the 2026 releases, with a replay, and the classic one, without."""

import uuid
from typing import Any

from tests.faults.clients.base import Client, Refused, messages
from tests.faults.history import Interest


def page_of(room: str) -> dict[str, Any]:
    """The page that is told in a room: `core:table:5` -> the table, `core:row:5:7` -> the row."""
    match room.split(":"):
        case ["core", "table", table]:
            return {"page": "table", "table_id": int(table)}
        case ["core", "row", table, row]:
            return {"page": "row", "table_id": int(table), "row_id": int(row)}
    raise ValueError(f"no page is told in {room}")


class CoreRaw(Client):
    """Keeps its `web_socket_id`; after a loss it subscribes its pages again and asks for what it missed."""

    style = "core socket"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.id = str(uuid.uuid4())
        self.history.sockets.add(self.id)
        self.based = False  # whether a first replay named the position from which we know everything

    async def visit(self) -> None:
        socket = await self.open_socket("/ws/core/", jwt_token=self.login.token, web_socket_id=self.id)
        pending = [page_of(interest.room) for interest in self.interests if not interest.follows]
        async for message in messages(socket):
            match message["type"]:
                case "authentication":
                    check_welcome(message)
                    for interest in pages(self.interests):
                        self.ask_for(interest.room)
                        await socket.send_json(page_of(interest.room))
                case "page_add" if pending:
                    pending.remove({"page": message["page"], **message["parameters"]})
                    if not pending:
                        last = self.cursor if self.based else -1
                        await socket.send_json({"type": "replay_events", "last_seen_id": last})
                case "page_refused":
                    raise Refused(message)  # the database may be away
                case "replay_events_result":
                    self.take_result(message)
                case kind:
                    self.hear(kind, message, message.pop("_event_id", None))

    def take_result(self, result: dict[str, Any]) -> None:
        """The replay is over; the first one only says from where on everything is told."""
        latest = result["latest_event_id"]
        if result["force_refresh"] and self.based:
            self.refresh(latest)
        self.cursor = max(self.cursor, latest)
        self.based = True
        self.join(latest, *self.history.rooms)


class CoreClassic(Client):
    """Knows nothing of ids: each connection begins anew."""

    style = "classic core socket"
    continues = False

    async def visit(self) -> None:
        socket = await self.open_socket("/ws/core/", jwt_token=self.login.token)
        async for message in messages(socket):
            match message["type"]:
                case "authentication":
                    check_welcome(message)
                    self.join(None, *(interest.room for interest in self.interests if interest.follows))
                    for interest in pages(self.interests):
                        await socket.send_json(page_of(interest.room))
                case "page_add":
                    added = {"page": message["page"], **message["parameters"]}
                    self.join(None, *(each.room for each in pages(self.interests) if page_of(each.room) == added))
                case kind:
                    self.hear(kind, message, None)


def pages(interests: tuple[Interest, ...]) -> list[Interest]:
    return [interest for interest in interests if not interest.follows]


def check_welcome(message: dict[str, Any]) -> None:
    """A token that is refused will be refused again: that is a mistake of the scenario, not a fault."""
    assert message["success"], message
