"""An endpoint of the records API for tests: its project, requests to it and sockets on it."""

import asyncio
import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from server.events import rooms
from server.parts import REGISTRY
from tests.support.app import PATIENCE, Answer, Person, RawSocket, Server

TICK = 0.005  # seconds between two looks at a condition that cannot wake us


@dataclass
class RunningEndpoint:
    """An endpoint with its project as the management API shows them, and the admin who made them."""

    server: Server
    admin: Person
    project: dict[str, Any]
    shown: dict[str, Any]

    def path(self, *, name: str | None = None, **query: Any) -> str:
        """The URL's path with the key, unless the query says otherwise (`key=None` leaves it out)."""
        given = {"key": self.project["key"]} | query
        pairs = {key: value for key, value in given.items() if value is not None}
        return f"/api/1/ce/{quote(name or self.shown['name'])}?{urlencode(pairs, doseq=True)}"

    async def call(
        self,
        method: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """One request; `raw` is sent as it is, with `Content-Type: application/json` unless the headers differ."""
        text = raw if raw is not None or method not in ("POST", "PUT") else json.dumps(body).encode()
        kinds = {"Content-Type": "application/json"} if text is not None else {}
        data = io.BytesIO(text) if text else text
        return await self.server.request(method, self.path(**query), data=data, headers=kinds | (headers or {}))

    async def ok(self, method: str, body: Any = None, **more: Any) -> Any:
        """The body of a request that must succeed."""
        answer = await self.call(method, body, **more)
        assert answer.status == 200, answer
        return answer.body

    async def socket(self, *, headers: dict[str, str] | None = None, **query: Any) -> RawSocket:
        """A WebSocket on the endpoint's URL, which may be refused by a close."""
        return await self.server.websocket(self.path(**query), headers=headers or {})

    async def listening(self, **more: Any) -> RawSocket:
        """A socket that was let in and hears every change from now on."""
        before = self.watchers()
        socket = await self.socket(**more)
        async with asyncio.timeout(PATIENCE):
            while self.watchers() == before and socket.closed is None:
                await asyncio.sleep(TICK)
        assert socket.closed is None, socket.closed
        return socket

    def watchers(self) -> int:
        """How many sockets hear of the endpoint; nothing on the wire tells it."""
        members, number = self.server.app[REGISTRY].members, self.shown["id"]
        return sum(len(members.get(room, ())) for room in (rooms.endpoint(number), rooms.endpoint_owners(number)))

    async def another(self, name: str, **flags: Any) -> "RunningEndpoint":
        """One more endpoint of the same project."""
        path = f"/api/projects/{self.project['id']}/endpoints/"
        shown = await self.manage("POST", path, {"name": name} | flags)
        return RunningEndpoint(self.server, self.admin, self.project, shown)

    async def change(self, **options: Any) -> None:
        """Changes options of the endpoint."""
        self.shown = await self.manage("PATCH", f"/api/endpoints/{self.shown['id']}/", options)

    async def manage(self, method: str, path: str, body: Any = None) -> Any:
        return await self.admin.ok(method, path, body)


async def running_endpoint(server: Server, name: str = "shop/orders", **project: Any) -> RunningEndpoint:
    """A new endpoint in a new project of a new workspace."""
    admin = await server.sign_up("Ann")
    body = {"workspace_id": await admin.workspace(), "name": "Web shop"} | project
    made = await admin.ok("POST", "/api/projects/", body)
    shown = await admin.ok("POST", f"/api/projects/{made['id']}/endpoints/", {"name": name})
    return RunningEndpoint(server, admin, made, shown)
