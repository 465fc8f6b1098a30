"""A client of `GET /api/events/stream` that reads as the standard has it, and comes back as an `EventSource` does."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import aiohttp

from tests.support.app import PATIENCE, Person

PATH = "/api/events/stream"


class Told(NamedTuple):
    """An event as it was dispatched."""

    id: int
    type: str
    data: Any


class StreamParser:
    """The fields of a stream (HTML standard, 9.2.6), fed in pieces of any size; line ends are those of the server."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.last_id = ""
        self.comments: list[str] = []
        self.blocks = 0
        self._rest = b""
        self._id = ""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        if not line:
            self._dispatch()
        elif not name:
            self.comments.append(value.strip())
        elif name == "id":
            self._id = value.removeprefix(" ")
        else:
            assert name in ("event", "data", "retry") and name not in self._fields, line
            self._fields[name] = value.removeprefix(" ")

    def _dispatch(self) -> None:
        self.last_id = self._id
        self.blocks += 1
        if "data" in self._fields:
            self.told.append(Told(int(self._id), self._fields["event"], json.loads(self._fields["data"])))
        self._fields = {}

    def end(self) -> None:
        """What was cut off is forgotten, as an EventSource does."""
        self._rest, self._fields, self._id = b"", {}, self.last_id


class StreamClient(StreamParser):
    """Keeps what it is told over all its connections."""

    response: aiohttp.ClientResponse

    def __init__(self, person: Person, *rooms: str) -> None:
        super().__init__()
        self.person = person
        self.rooms = rooms
        self.ended: str | None = None  # "": in order, else how
        self._taken = 0
        self._changed = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def connect(self, since: Any = None, **headers: str) -> Self:
        """Opens the stream; brings the last id, if it has one."""
        query = [("room", room) for room in self.rooms] + ([("since", str(since))] if since is not None else [])
        known = {"Last-Event-ID": self.last_id} if self.last_id else {}
        self.response = await self.person.server.http.get(
            self.person.server.url + PATH,
            params=query,
            headers={"Authorization": f"JWT {self.person.token}"} | known | headers,
            timeout=aiohttp.ClientTimeout(total=None),
        )
        assert self.response.status == 200, await self.response.text()
        self.ended = None
        blocks = self.blocks
        self._reader = asyncio.create_task(self._read())
        await self.until(lambda: self.blocks > blocks or self.ended is not None)
        return self

    async def _read(self) -> None:
        how = ""
        try:
            async for piece in self.response.content.iter_any():
                async with self._changed:
                    self.feed(piece)
                    self._changed.notify_all()
        except (aiohttp.ClientError, ConnectionError) as error:
            how = repr(error)
        async with self._changed:
            self.end()
            self.ended = how
            self._changed.notify_all()

    async def until(self, condition: Callable[[], Any]) -> None:
        """Waits until the condition holds; fails with what was told."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: bool(condition())), PATIENCE)
            except TimeoutError:
                raise AssertionError(f"waited in vain; told {self.told}, ended {self.ended!r}") from None

    async def expect(self, *kinds: str) -> list[Told]:
        """The next events, which must be of these types in this order."""
        await self.until(lambda: len(self.told) >= self._taken + len(kinds))
        taken = self.told[self._taken : self._taken + len(kinds)]
        assert [told.type for told in taken] == list(kinds), taken
        self._taken += len(kinds)
        return taken

    async def end_of_stream(self) -> None:
        """Waits until the server has ended the stream in order."""
        await self.until(lambda: self.ended is not None)
        assert self.ended == "", self.ended

    async def drop(self) -> None:
        """Loses the connection."""
        self.response.close()
        await self.until(lambda: self.ended is not None)
