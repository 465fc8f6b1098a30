"""Boards of the items API for tests: a workspace with a workflow, and clients of `/events`."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import socketio

from server.actions.shared_field_types import id_of
from server.parts import RELAY
from tests.support.app import PATIENCE, Person, RawSocket, Server

SPACE_TIME = "%Y-%m-%d %H:%M:%S.%f"
ISO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"
Heard = tuple[str, Any]


class Listener:
    """A client of `/events` that keeps what it hears, in order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Heard] = []
        self.refusals: list[Any] = []
        self.ended = asyncio.Event()
        self._taken = 0
        self._changed = asyncio.Condition()
        self.client.on("*", handler=self._hear, namespace="/events")
        self.client.on("connect_error", handler=self._refuse, namespace="/events")
        self.client.on("disconnect", handler=self._end, namespace="/events")

    async def _hear(self, name: str, *arguments: Any) -> None:
        async with self._changed:
            self.heard.append((name, *arguments))  # type: ignore[arg-type]
            self._changed.notify_all()

    async def _refuse(self, reason: Any) -> None:
        self.refusals.append(reason)

    async def _end(self, reason: str) -> None:
        self.ended.set()

    async def connect(self, auth: Any = None, headers: dict[str, str] | None = None, query: str = "") -> "Listener":
        await self.client.connect(
            self.url + query, headers=headers or {}, auth=auth, namespaces=["/events"], wait_timeout=PATIENCE
        )
        return self

    @property
    def id(self) -> str:
        """What requests name in `WebSocketId`."""
        return str(self.client.get_sid("/events"))

    async def call(self, event: str, *arguments: Any) -> Any:
        return await self.client.call(event, arguments, namespace="/events", timeout=PATIENCE)

    async def select(self, workspace: Any) -> Any:
        answer = await self.call("select-workspace", workspace)
        assert answer["ok"], answer
        return answer

    async def take(self, count: int) -> list[Heard]:
        """The next events that were not yet taken."""
        async with self._changed:
            enough = self._changed.wait_for(lambda: len(self.heard) >= self._taken + count)
            await asyncio.wait_for(enough, PATIENCE)
        self._taken += count
        return self.heard[self._taken - count : self._taken]

    async def rest(self) -> list[Heard]:
        """What else arrived: an acknowledged call comes after everything that was told before it."""
        await self.call("select-workspace", "nonsense")
        left, self._taken = self.heard[self._taken :], len(self.heard)
        return left


@dataclass
class Board:
    """Ann's workspace with one workflow."""

    ann: Person
    workspace: int
    uuid: str
    collection: dict[str, Any]
    workflow: dict[str, Any]

    @property
    def columns(self) -> list[str]:
        return [column["id"] for column in self.workflow["columns"]]

    async def item(self, name: str = "Invoice", column: int = 0) -> dict[str, Any]:
        made: dict[str, Any] = await self.ann.ok("POST", "/items", {"column_id": self.columns[column], "name": name})
        return made

    async def field(self, name: str, kind: str = "Text", **more: Any) -> dict[str, Any]:
        """A new field of the workflow, of a shared type."""
        body = {"workflow_id": self.workflow["id"], "field_type_id": id_of(kind), "name": name}
        made: dict[str, Any] = await self.ann.ok("POST", "/fields", body | more)
        return made

    async def position(self) -> int:
        return await self.ann.server.log_position()


class Ears:
    """One client of each style that selected a workspace."""

    def __init__(self, listener: Listener, raw: RawSocket, server: Server) -> None:
        self.listener, self.raw, self.server = listener, raw, server

    async def rest(self) -> list[Heard]:
        """What both were told since the last time, the same in the same order."""
        await self.server.app[RELAY].reached(await self.server.log_position())
        told = await self.listener.rest()
        await self.raw.until(lambda: len(self.raw.messages) - self.raw._taken >= len(told))
        assert [(message["type"], message["data"]) for message in self.raw.rest()] == told
        return told


async def ears_of(listener: Listener, person: Person, workspace: Any) -> Ears:
    """A raw socket beside a listener that has selected the same workspace."""
    raw = await person.server.websocket(f"/ws/events/?jwt_token={person.token}")
    await raw.next()
    await raw.send({"select-workspace": workspace})
    assert (await raw.next())["type"] == "workspace-selected"
    return Ears(listener, raw, person.server)


async def make_board(ann: Person) -> Board:
    workspace = await ann.workspace()
    shown = await ann.ok("GET", f"/workspaces/{workspace}")
    collection = await ann.ok("POST", "/collections", {"workspace_id": workspace, "name": "Invoices"})
    body = {"collection_id": collection["id"], "name": "Incoming", "classification": "SUPPLIER_INVOICE"}
    return Board(ann, workspace, shown["id"], collection, await ann.ok("POST", "/workflows", body))


def brief(heard: list[Heard]) -> list[tuple[str, str] | tuple[str, str, int]]:
    """Events by name and id; of columns also the count."""
    short: list[Any] = []
    for name, argument in heard:
        if name == "column-patched":
            short.append((name, argument["id"], argument["subscribed_items"]))
        else:
            short.append((name, argument if isinstance(argument, str) else argument["id"]))
    return short


async def refuses_bodies(who: Person, path: str) -> None:
    """What every resource with a JSON body answers to another type, too much, and nonsense."""
    server, token = who.server, {"Authorization": who.token}
    for data, kind, status in (
        (b"<x/>", "application/xml", 415),
        (b"x" * (server.settings.max_body_size + 1), "application/json", 413),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
    ):
        answer = await server.request("POST", path, data=io.BytesIO(data), headers=token | {"Content-Type": kind})
        assert (answer.status, list(answer.body)) == (status, ["message"]), (path, kind)


Connect = Callable[..., Awaitable[Listener]]


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[Connect]:
    """Connects clients, which end with the test."""
    listeners: list[Listener] = []

    async def connect(person: Person | None = None, workspace: Any = None, **how: Any) -> Listener:
        listener = Listener(server.url)
        listeners.append(listener)
        await listener.connect(**({"auth": {"token": person.token}} if person is not None else {}) | how)
        if workspace is not None:
            await listener.select(workspace)
        return listener

    yield connect
    for each in listeners:
        await each.client.disconnect()
