"""Many clients of all styles and the writers that keep them busy, as one thing to start, settle and check."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

import aiohttp

from tests.faults.access import Access
from tests.faults.checker import Audience, Findings, check_client, due_across
from tests.faults.clients.base import Client
from tests.faults.clients.core_raw import CoreClassic, CoreRaw
from tests.faults.clients.mirrors import EndpointClassic, EndpointSocket, ItemsRaw
from tests.faults.clients.sessions import CoreSession, EventsSession
from tests.faults.clients.streams import EventPages, EventStream
from tests.faults.cluster import Cluster
from tests.faults.facts import check_writes
from tests.faults.history import Interest
from tests.faults.stage import Stage, set_stage
from tests.faults.truth import Committed, read_head, read_log
from tests.faults.writers import ItemsWriter, NamesWriter, RecordsWriter, RowsWriter, Writer
from tests.support.app import Person

PATIENCE = 30.0  # seconds until clients that should have caught up are given up
TICK = 0.02  # seconds between two looks
PACE = 0.01  # seconds between two writes of a writer, where many are wanted
HALF_OPEN = 0.25  # of the lost connections: the server does not hear of their end
CORE: tuple[type[Client], ...] = (CoreRaw, CoreRaw, CoreClassic, CoreSession)
STREAMS: tuple[type[Client], ...] = (EventStream, EventPages)
ITEMS: tuple[type[Client], ...] = (EventsSession, ItemsRaw)
RECORDS: tuple[type[Client], ...] = (EndpointSocket, EndpointClassic)


class Crowd:
    """The clients and writers of one scenario."""

    def __init__(self, cluster: Cluster, stage: Stage, access: Access) -> None:
        self.cluster = cluster
        self.stage = stage
        self.access = access
        self.clients: list[Client] = []
        self.writers: list[Writer] = []
        self.drops = 0
        self.late: TimeoutError | None = None

    def add_clients(self, rounds: int = 2) -> None:
        """Ten clients a round, of all styles, in turn Ann's and Bob's."""
        stage = self.stage
        start = read_head(self.cluster.database_url)
        for number in range(rounds):
            who = (stage.ann, stage.bob)[number % 2]
            for kinds, interests in ((CORE, stage.core(who)), (STREAMS, stage.stream()), (ITEMS, stage.items())):
                for kind in kinds:
                    self.add(kind, who, interests, start)
            for kind in RECORDS:
                self.add(kind, who, stage.records(), start, path=stage.endpoint_path)

    def add(
        self, kind: type[Client], who: Person, interests: Sequence[Interest], start: int, url: str = "", **more: Any
    ) -> Client:
        """A client of one style, of any node or of the one with this URL; it is not started."""
        access = replace(self.access, urls=[url]) if url else self.access
        client = kind(str(len(self.clients)), access, self.stage.login(who), interests, start, **more)
        self.clients.append(client)
        return client

    async def keep_coming(self, kind: type[Client], pause: float) -> None:
        """Adds clients of core pages, one after the other while events fly, until it is cancelled."""
        ann = self.stage.ann
        while True:
            start = await asyncio.to_thread(read_head, self.cluster.database_url)
            self.add(kind, ann, self.stage.core(ann), start).start()
            await asyncio.sleep(pause)

    def add_writers(self, pace: float = 0.02) -> None:
        """Five writers: two of rows, one each of items, records and names."""
        stage, access = self.stage, self.access
        ann, bob = stage.ann.token, stage.bob.token
        self.writers = [
            RowsWriter("rows-a", access, ann, stage.table, stage.field, pace=pace),
            RowsWriter("rows-b", access, bob, stage.table, stage.field, pace=pace),
            ItemsWriter("items", access, ann, stage.column, pace=pace),
            RecordsWriter("records", access, ann, stage.endpoint_path, pace=pace),
            NamesWriter("names", access, ann, stage.workspace, pace=pace),
        ]

    async def begin(self) -> None:
        """Starts everybody; returns when every client has joined its rooms and every writer has written."""
        for client in self.clients:
            client.start()
        await self.until(lambda: all(client.joined >= client.history.rooms for client in self.clients), "all join")
        await self.write()

    async def write(self) -> None:
        """Starts the writers; returns when each has written something."""
        before = {writer: len(writer.acknowledged) for writer in self.writers}
        for writer in self.writers:
            writer.start()
        await self.until(lambda: all(len(w.acknowledged) > before[w] for w in self.writers), "all writers write")

    async def until(self, condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> None:
        """Waits for a condition; fails at once when a client broke."""
        deadline = time.monotonic() + patience
        while not condition():
            if broken := [client for client in self.clients if client.failed]:
                await broken[0].end()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {patience} s")
            await asyncio.sleep(TICK)

    @property
    def written(self) -> int:
        """Writes that were acknowledged so far."""
        return sum(len(writer.acknowledged) for writer in self.writers)

    @property
    def refused(self) -> int:
        """Writes that were answered 503 so far."""
        return sum(writer.refused for writer in self.writers)

    async def after_writes(self, count: int) -> None:
        """Returns when so many more writes were acknowledged."""
        enough = self.written + count
        await self.until(lambda: self.written >= enough, f"{count} more writes", patience=PATIENCE + count / 10)

    async def all_refused(self) -> None:
        """Returns when each writer was answered 503 from now on."""
        before = {writer: writer.refused for writer in self.writers}
        await self.until(lambda: all(w.refused > before[w] for w in self.writers), "all writers are refused")

    async def settle(self, patience: float = PATIENCE) -> None:
        """Ends the writing and lets everybody catch up with the end of the log within `patience` seconds. Writers go on
        until clients without a cursor are told something again, so that they too must be told everything from there to
        the end."""
        await self.until(lambda: all(map(is_back, self.clients)), "all are back")
        for writer in self.writers:
            await writer.stop()
        log = await asyncio.to_thread(read_log, self.cluster.database_url)
        last = {client: last_due(Audience(log, client.history)) for client in self.clients}

        def late() -> list[Client]:
            return [client for client, event in last.items() if not has_heard(client, event)]

        try:
            await self.until(lambda: not late(), "all catch up", patience)
        except TimeoutError as error:
            error.add_note(f"late: {[client.history.client for client in late()]}")
            self.late = error

    async def check(self) -> Findings:
        """Ends everybody and compares all histories with the log; what was told too late is an error too."""
        for client in self.clients:
            await client.end()
        log = await asyncio.to_thread(read_log, self.cluster.database_url)
        total = check_writes(log, (fact for writer in self.writers for fact in writer.acknowledged))
        for client in self.clients:
            total.add(check_client(log, client.history))
        if self.late is not None and not total.wrong:
            raise self.late
        return total

    async def keep_dropping(self, chance: Random, pause: float) -> None:
        """Drops one client after the other until it is cancelled."""
        while True:
            await asyncio.sleep(pause * chance.uniform(0, 2))  # the moment is the fault
            self.drop_somebody(chance)

    def drop_somebody(self, chance: Random) -> None:
        """Cuts, or now and then leaves half-open, the connection of a client chosen by chance."""
        connected = [each for each in self.clients if each.connection is not None]
        if connected:
            client = chance.choice(connected)
            self.drops += client.abandon() if chance.random() < HALF_OPEN else client.drop()


def connections(crowd: Crowd) -> dict[str, int]:
    """How often each client has connected; those that ask for pages do it all the time."""
    return {each.history.client: each.connections for each in crowd.clients if not isinstance(each, EventPages)}


def is_back(client: Client) -> bool:
    """Whether the end of the log concerns a client: one with a cursor has joined, another one hears something."""
    return client.joined >= client.history.rooms and (client.continues or client.listening)


def has_heard(client: Client, event: Committed | None) -> bool:
    return event is None or client.has_heard(event.id, event.key)


def last_due(audience: Audience) -> Committed | None:
    """The last event that a client has to be told."""
    if audience.history.continues:
        return audience.log.by_id.get(max(due_across(audience), default=0))
    return next((event for event in reversed(audience.log.events) if audience.admits(event)), None)


@asynccontextmanager
async def crowd_at_work(
    cluster: Cluster, chance: Random, *, rounds: int = 1, pace: float = 0.01
) -> AsyncIterator[Crowd]:
    """A crowd of `rounds` times ten clients that hear the five writers already."""
    async with crowd_on(cluster, chance) as crowd:
        crowd.add_clients(rounds)
        crowd.add_writers(pace)
        await crowd.begin()
        yield crowd


@asynccontextmanager
async def crowd_on(cluster: Cluster, chance: Random) -> AsyncIterator[Crowd]:
    """A stage on a running cluster and an empty crowd; everybody is gone at the end."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        stage = await set_stage(http, cluster.urls[0])
        crowd = Crowd(cluster, stage, Access(http, cluster.urls, chance))
        try:
            yield crowd
        finally:
            for writer in crowd.writers:
                writer.cancel()
            for client in crowd.clients:
                client.cancel()
