"""Clients of the 2026 releases on the raw core socket: a table that changes, sockets that come back, and what the log
says that they must be told."""

import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from urllib.parse import urlencode

import pytest

from server.actions.accounts import create_user
from server.auth.passwords import HASHER
from server.delivery import replay
from server.events import rooms
from server.events.databases import RowsDeleted, TableDeleted
from server.parts import RELAY, STORE
from server.rest.context import TOKENS
from server.store import log
from server.store.transaction import Transaction
from tests.support.app import PASSWORD, Person, RawSocket, Server

Message = dict[str, Any]


@dataclass
class Grid:
    """Ann's workspace with a table; Bob is a member. All changes are Ann's, unless said otherwise."""

    server: Server
    ann: Person
    bob: Person
    workspace: int
    table: int

    @property
    def rooms(self) -> tuple[str, ...]:
        """What Bob hears on the table's page."""
        return rooms.user(self.bob.id), rooms.workspace(self.workspace), rooms.table(self.table)

    async def rename(self, name: str, **how: Any) -> int:
        """Renames the workspace; returns the position of the change."""
        await self.ann.ok("PATCH", f"/api/workspaces/{self.workspace}/", {"name": name}, **how)
        return await self.server.log_position()

    async def add_row(self, by: Person | None = None, **how: Any) -> int:
        """Makes a row; returns the position of the change."""
        await (by or self.ann).ok("POST", f"/api/database/rows/table/{self.table}/", {}, **how)
        return await self.server.log_position()

    async def remove_bob(self) -> None:
        members = await self.ann.ok("GET", f"/api/workspaces/users/workspace/{self.workspace}/")
        (member,) = [each["id"] for each in members if each["user_id"] == self.bob.id]
        await self.ann.ok("DELETE", f"/api/workspaces/users/{member}/")

    async def logged(self, after: int, *names: str) -> list[Message]:
        """What the log says that these rooms (Bob's) were told, as 2026 clients receive it."""
        places = dict.fromkeys(names or self.rooms, after)
        events = await self.server.app[STORE].read(lambda tx: log.read_rooms(tx.db, places, 1_000_000))
        return [json.loads(event.payload) | {"_event_id": event.id} for event in events]

    async def record(self, count: int, *names: str, size: int = 0) -> None:
        """Many events at once, each with a number of its own, in turn for each room of a workspace or a table (Bob's);
        those of tables have `size` bytes more."""
        await self.server.app[STORE].write(partial(record_many, count=count, names=names or self.rooms[1:], size=size))

    async def delivered(self) -> None:
        """Waits until the relay has told everything that is committed."""
        await self.server.app[RELAY].reached(await self.server.log_position())

    async def heard(self, socket: RawSocket) -> list[Message]:
        """Everything a socket was told until now and that was not yet taken."""
        await self.delivered()
        pongs = count(socket, "pong")
        await socket.send({"type": "ping"})
        await socket.until(lambda: count(socket, "pong") > pongs)
        return [message for message in socket.rest() if message["type"] != "pong"]


def record_many(tx: Transaction, *, count: int, names: tuple[str, ...], size: int) -> None:
    for number in range(count):
        room = names[number % len(names)]
        table = rooms.table_of(room)
        rows: Any = [{"id": number, "text": "x" * size}] if size else []
        tx.record(TableDeleted(0, number) if table is None else RowsDeleted(table, [number], rows), room)


@cache
def password_hash() -> str:
    """The hash of everybody's password, which costs more than all else that a sign-up does."""
    return HASHER.hash(PASSWORD)


async def newcomer(server: Server, name: str) -> Person:
    """Somebody with an account and without a workspace."""
    email = f"{name.lower()}-{uuid.uuid4().hex[:8]}@example.com"
    sign_up = partial(create_user, name=name, email=email, password_hash=password_hash(), with_workspace=False)
    number, tokens = (await server.app[STORE].write(sign_up)).id, server.app[TOKENS]
    return Person(server, number, email, tokens.access(number), tokens.refresh(number, email, False))


async def make_grid(server: Server) -> Grid:
    ann, bob = await newcomer(server, "Ann"), await newcomer(server, "Bob")
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    return Grid(server, ann, bob, workspace, await ann.table(await ann.database(workspace)))


async def arrive(who: Person, web_socket_id: str | None = None, **query: str) -> RawSocket:
    """A 2026 client: it brings its own id. Its `authentication` is taken."""
    chosen = web_socket_id or str(uuid.uuid4())
    given = {"jwt_token": who.token, "web_socket_id": chosen} | query
    socket = await who.server.websocket(f"/ws/core/?{urlencode(given)}")
    (welcome,) = await socket.expect("authentication")
    assert welcome == {"type": "authentication", "success": True, "web_socket_id": chosen, "replay_enabled": True}
    socket.id = chosen
    return socket


async def ask_replay(socket: RawSocket, *last_seen: Any) -> None:
    """Sends `replay_events`, without a `last_seen_id` where none is given."""
    await socket.send({"type": "replay_events"} | ({"last_seen_id": last_seen[0]} if last_seen else {}))


async def replayed(grid: Grid, socket: RawSocket, *last_seen: Any) -> tuple[list[Message], Message, list[Message]]:
    """Asks for a replay: what was told before the result, the result, and what came after it until now."""
    await ask_replay(socket, *last_seen)
    told = await grid.heard(socket)
    (place,) = [place for place, message in enumerate(told) if message["type"] == "replay_events_result"]
    assert ids(told) == sorted(set(ids(told))), "ids rise strictly"
    return told[:place], told[place], told[place + 1 :]


def between_chunks(monkeypatch: pytest.MonkeyPatch, *happenings: Callable[[], Awaitable[Any]]) -> None:
    """Has things happen between two chunks of a replay, one after each."""
    left, pace = list(happenings), replay.pace

    async def happen(subscriber: Any) -> None:
        if left:
            await left.pop(0)()
        await pace(subscriber)

    monkeypatch.setattr(replay, "pace", happen)


def result(latest: int, *, refresh: bool = False) -> Message:
    return {"type": "replay_events_result", "force_refresh": refresh, "latest_event_id": latest}


def ids(messages: Iterable[Message]) -> list[int]:
    return [message["_event_id"] for message in messages if "_event_id" in message]


def kinds(messages: Iterable[Message]) -> list[str]:
    return [message["type"] for message in messages]


def persisted(messages: Iterable[Message]) -> list[Message]:
    """The messages that are in the log."""
    return [message for message in messages if "_event_id" in message]


def count(socket: RawSocket, kind: str) -> int:
    return sum(message["type"] == kind for message in socket.messages)
