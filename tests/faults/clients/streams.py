"""Clients whose cursor is part of the address: the event stream (Server-Sent Events) and the page of events."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, ClassVar

import aiohttp

from tests.faults.clients.base import Client, Lost, Refused

OPEN_END = aiohttp.ClientTimeout(total=None, sock_connect=5)


def public_name(room: str) -> str:
    """How users name a room: `core:table:5` -> `table:5`, `items:workspace:1` -> `items:1`."""
    dialect, name = room.split(":", 1)
    return "items:" + name.removeprefix("workspace:") if dialect == "items" else name


class Stream(Client):
    """Shared by both: the rooms and the token; what is above `start` is theirs from the beginning. One that `returns`
    asks again when it is refused."""

    returns: ClassVar[bool] = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rooms = [("room", public_name(interest.room)) for interest in self.interests]
        self.since = ("since", str(self.cursor))
        self.headers = {"Authorization": f"JWT {self.login.token}"}

    async def get(self, path: str, query: list[tuple[str, str]], **headers: str) -> aiohttp.ClientResponse:
        """An answer, not yet read; raises Lost when the server cannot serve."""
        url = self.access.url() + path
        response = await self.access.http.get(url, params=query, headers=self.headers | headers, timeout=OPEN_END)
        self.connection = response
        if response.status >= 500:
            raise Lost(response.status)
        self.opened(response)
        if response.status >= 400 and self.returns:
            raise Refused(response.status)
        assert response.status == 200, (response.status, await response.text())
        for room in self.history.rooms:
            self.ask_for(room)
        self.join(self.cursor, *self.history.rooms)
        return response


class EventStream(Stream):
    """`GET /api/events/stream` as a browser's EventSource reads it: its URL stays the same, and once it has received an
    id, a header says where to go on."""

    style = "event stream"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last_id = ""

    async def visit(self) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        response = await self.get("/api/events/stream", [*self.rooms, self.since], **headers)
        async for kind, number, data in events(response.content):
            self.last_id = number or self.last_id
            if kind == "refresh":
                self.refresh(data["position"])
            else:
                self.hear(kind, data, int(number))


class EventPages(Stream):
    """`GET /api/events/`, again and again; each look may be answered by another server."""

    style = "event pages"

    async def visit(self) -> None:
        query = [*self.rooms, ("after", str(self.cursor)), ("limit", "200")]
        page = await (await self.get("/api/events/", query)).json()
        if page["refresh"]:
            self.refresh(page["position"])
        for event in page["events"]:
            self.hear(event["type"], event["data"], event["id"])
        self.cursor = max(self.cursor, page["position"])
        self.connection = None  # between two looks there is nothing to drop


async def events(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[str, str, Any]]:
    """Type, id and data of each event. Comments are passed over, an event that is cut off is none; an id alone is an
    event without a type, since it moves the cursor too."""
    fields: dict[str, str] = {}
    async for line in lines:
        text = line.decode().rstrip("\n")
        if text:
            name, _, value = text.partition(": ")  # a comment has no name
            fields[name] = value
            continue
        if "data" in fields:
            yield fields.get("event", "message"), fields.get("id", ""), json.loads(fields["data"])
        elif "id" in fields:
            yield "", fields["id"], None
        fields = {}
