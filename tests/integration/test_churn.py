"""Clients of every style that join, leave, upgrade, drop and flood at random, while changes are told: none of them is
told anything twice, out of order, or not at all."""

import asyncio
import json
import random
from functools import partial
from typing import Any

import socketio

from server.events import rooms
from server.events.databases import RowsDeleted
from server.parts import REGISTRY, SOCKETIO, STORE, WEBSOCKETS
from server.store import log
from server.store.log import LoggedEvent
from server.store.transaction import Transaction
from tests.support.app import Person, RawSocket, Server
from tests.support.core_2026 import arrive, ask_replay, newcomer
from tests.support.engineio import until
from tests.support.socketio_client import SessionClient

STEPS = 25  # of each client
CHANGES = 600
JUNK = ["{", "[]", '{"page": 1}', '42/core,["connect"]', '42/core,["nonsense",{}]', "42/core,[]", "3", '{"type": 5}']


class Churner:
    """One client and what it was told: `("joined" | "left", table)`, or `(table, number)` of a change."""

    def __init__(self, server: Server, who: Person, tables: list[int], dice: random.Random) -> None:
        self.server = server
        self.who = who
        self.tables = tables
        self.dice = dice
        self.story: list[tuple[Any, Any]] = []
        self.joined: set[int] = set()

    async def run(self) -> None:
        await self.connect()
        for _ in range(STEPS):
            table = self.dice.choice(self.tables)
            step = self.dice.choice([self.drop, self.flood, self.toggle, self.toggle, self.toggle])
            await (step(table) if step == self.toggle else step())  # type: ignore[call-arg]
        for table in self.tables:
            if table not in self.joined:
                await self.toggle(table)

    async def toggle(self, table: int) -> None:
        (self.joined.discard if table in self.joined else self.joined.add)(table)
        await self.ask("page" if table in self.joined else "remove_page", table)

    def tell(self, kind: str, body: dict[str, Any]) -> None:
        if kind == "rows_deleted":
            self.story.append((body["table_id"], body["row_ids"][0]))
        elif kind in ("page_add", "page_discard"):
            self.story.append(("joined" if kind == "page_add" else "left", body["parameters"]["table_id"]))

    async def connect(self) -> None:
        raise NotImplementedError

    async def ask(self, name: str, table: int) -> None:
        raise NotImplementedError

    async def drop(self) -> None:
        raise NotImplementedError

    async def flood(self) -> None:
        raise NotImplementedError

    async def end(self) -> None:
        raise NotImplementedError

    def begin_anew(self) -> None:
        """The connection is another one, which hears nothing yet."""
        self.story.append(("anew", 0))
        self.joined.clear()


class RawChurner(Churner):
    """A raw core socket; whoever drops comes back without a cursor."""

    async def connect(self) -> None:
        self.socket: RawSocket = await arrive(self.who)
        self.taken = 0
        await ask_replay(self.socket)  # until then it is told nothing

    async def ask(self, name: str, table: int) -> None:
        kind = {"page": "page_add", "remove_page": "page_discard"}[name]
        before = self.count(kind)
        await self.socket.send({name: "table", "table_id": table})
        await self.socket.until(lambda: self.count(kind) > before)

    def count(self, kind: str) -> int:
        return sum(message["type"] == kind for message in self.socket.messages)

    def collect(self) -> None:
        for message in self.socket.messages[self.taken :]:
            self.tell(message["type"], message)
        self.taken = len(self.socket.messages)

    async def flood(self) -> None:
        for _ in range(4):
            await self.socket.connection.send_str(self.dice.choice(JUNK[:2]))
        await self.socket.send({"type": "nonsense"})
        if self.count("error") > 5:
            await self.drop()  # ten would cost the connection

    async def drop(self) -> None:
        connection = self.socket.connection._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.abort()
        await self.socket.until(lambda: self.socket.closed)
        self.collect()
        self.begin_anew()
        await self.connect()

    async def end(self) -> None:
        await self.socket.close()


class SessionChurner(Churner):
    """A Socket.IO client on a WebSocket, whose session goes on when it comes back."""

    async def connect(self) -> None:
        self.client = await SessionClient(self.server.url, "/core", self.who.token).connect()

    async def ask(self, name: str, table: int) -> None:
        assert (await self.client.call(name, {"page": "table", "table_id": table}))["ok"]

    def collect(self) -> None:
        for name, (body,) in self.client.events:
            self.tell(name, body)
        self.client.events.clear()

    async def flood(self) -> None:
        assert self.client._socket is not None
        for _ in range(4):
            await self.client._socket.send_str(self.dice.choice(JUNK[4:5]))

    async def drop(self) -> None:
        await self.client.drop()
        await self.client.connect()
        assert self.client.recovered

    async def end(self) -> None:
        await self.client.end()


class UpgradingChurner(Churner):
    """python-socketio's client, which begins with polling and becomes a WebSocket under way."""

    async def connect(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self.tell, namespace="/core")
        await self.client.connect(self.server.url, namespaces=["/core"], auth={"token": self.who.token}, wait=True)

    async def ask(self, name: str, table: int) -> None:
        answer = await self.client.call(name, {"page": "table", "table_id": table}, namespace="/core")
        assert answer["ok"]

    def collect(self) -> None:
        """Everything was told as it came."""

    async def flood(self) -> None:
        for _ in range(4):
            await self.client.emit("nonsense", {"x": 1}, namespace="/core")

    async def drop(self) -> None:
        await self.client.disconnect()
        self.begin_anew()
        await self.connect()

    async def end(self) -> None:
        await self.client.disconnect()


def record(tx: Transaction, *, numbers: list[int], table: int) -> None:
    for number in numbers:
        tx.record(RowsDeleted(table, [number], []), rooms.table(table))


async def change(server: Server, tables: list[int], dice: random.Random, done: asyncio.Event) -> None:
    """One change, or ten at once, as long as clients are about."""
    number = 0
    while not done.is_set() or number < CHANGES:
        size = dice.choice((1, 1, 1, 10))
        numbers = list(range(number, number + size))
        await server.app[STORE].write(
            lambda tx, numbers=numbers: record(tx, numbers=numbers, table=dice.choice(tables))
        )  # type: ignore[misc]
        number += size
        await asyncio.sleep(0)


async def truth(server: Server, tables: list[int]) -> dict[int, list[int]]:
    """The changes of each table in the order of the log."""
    found: dict[int, list[int]] = {}
    for table in tables:
        events = await server.app[STORE].read(partial(read_room, name=rooms.table(table)))
        found[table] = [json.loads(event.payload)["row_ids"][0] for event in events if event.type == "rows_deleted"]
    return found


def read_room(tx: Transaction, *, name: str) -> list[LoggedEvent]:
    return log.read_rooms(tx.db, {name: 0}, 1_000_000)


def check(story: list[tuple[Any, Any]], true: dict[int, list[int]]) -> int:
    """Fails for a change that was told twice, too early, out of order, or not at all; returns how many were told."""
    place: dict[int, int | None] = {}  # of the next change of each table that is heard; None: whatever comes first
    told = 0
    for what, which in story:
        if what == "anew":
            place.clear()
        elif what == "joined":
            place.setdefault(which, None)
        elif what == "left":
            del place[which]
        else:
            expected = place[what]
            index = true[what].index(which)
            assert expected in (None, index), f"of {what}: {which}, not {true[what][expected or 0]}"
            place[what] = index + 1
            told += 1
    for table, next_place in place.items():
        assert next_place in (None, len(true[table])), f"the last changes of {table} were not told"
    return told


async def test_everybody_is_told_once_and_in_order_whatever_they_do(server: Server) -> None:
    dice = random.Random(5)
    ann = await newcomer(server, "Ann")
    database = await ann.database(await ann.workspace())
    tables = [await ann.table(database) for _ in range(3)]
    styles = (RawChurner, SessionChurner, UpgradingChurner)
    clients = [styles[number % 3](server, ann, tables, random.Random(number)) for number in range(12)]
    done = asyncio.Event()
    changing = asyncio.create_task(change(server, tables, dice, done))
    try:
        await asyncio.gather(*(client.run() for client in clients))
        done.set()
        await changing
        for number, table in enumerate(tables, 1_000_000):  # everybody hears all tables now
            await server.app[STORE].write(partial(record, numbers=[number], table=table))
        true = await truth(server, tables)
        last = {(table, true[table][-1]) for table in tables}

        def heard_all() -> bool:
            for client in clients:
                client.collect()
            return all(last <= set(client.story) for client in clients)

        await until(heard_all)
        told = [check(client.story, true) for client in clients]
        assert min(told) > 0
    finally:
        changing.cancel()
        await asyncio.gather(changing, *(client.end() for client in clients), return_exceptions=True)
    await until(lambda: not (server.app[REGISTRY].subscribers or server.app[SOCKETIO].eio.sockets))
    await until(lambda: not len(server.app[WEBSOCKETS]))
