"""What all clients share: a loop that connects again, ways to lose a connection, and the history.

A client holds one connection at a time in `visit`. `drop` cuts it as a pulled cable does; `abandon` leaves it open and
unread, so that the server must fence it off, and goes on with another; `end` is the end of the client.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from socket import SHUT_RDWR
from typing import Any, ClassVar, TypeAlias

import aiohttp

from server.events.event import CATALOGUE
from tests.faults.access import Access
from tests.faults.history import Connected, History, Interest, Joined, Refreshed, Told, fingerprint

Connection: TypeAlias = aiohttp.ClientWebSocketResponse | aiohttp.ClientResponse
PAUSE = 0.02  # seconds before the next connection, by and large
OPEN_PATIENCE = 5.0  # seconds; a frozen server accepts and says nothing
CLOSE_PATIENCE = aiohttp.ClientWSTimeout(ws_close=0.5)
EVENTS = {name for name in CATALOGUE if not name.startswith("control:")}
LOSSES = (aiohttp.ClientError, OSError, TimeoutError, EOFError)


class Lost(Exception):
    """The connection is gone, or the server cannot serve just now; the next one may do."""


class Refused(Lost):
    """The server does not let the client into a room, or has put it out."""


@dataclass(frozen=True)
class Login:
    """Whose client it is."""

    user: int
    token: str


class Client:
    """A client of one style. Subclasses say how a connection goes in `visit`."""

    style: ClassVar[str] = ""
    continues: ClassVar[bool] = True

    def __init__(self, name: str, access: Access, login: Login, interests: Sequence[Interest], start: int) -> None:
        self.access = access
        self.login = login
        self.interests = tuple(interests)
        self.cursor = start if self.continues else 0
        self.history = History(f"{self.style} {name}", login.user, self.interests, start, self.continues)
        self.joined: set[str] = set()
        self.confirmed: set[str] = set()  # joined, and said so on this connection
        self.asked: dict[str, int] = {}
        self.connections = 0
        self.connection: Connection | None = None
        self.left: list[Connection] = []  # dropped ones, and half-open ones that are held until the end
        self._visit: asyncio.Future[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self.last_loss: BaseException | None = None  # for whoever wonders why it does not get in
        self.highest = 0  # the highest position told so far
        self._heard: set[str] = set()  # what was told on this connection

    # ---- life

    def start(self) -> None:
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        while True:
            self.confirmed.clear()
            self._heard.clear()
            if not self.continues:
                self.joined.clear()
            self._visit = asyncio.ensure_future(self.visit())
            try:
                await asyncio.wait({self._visit})
            finally:
                self._visit.cancel()
            self.drop()  # whatever ended the visit, nobody reads on
            error = None if self._visit.cancelled() else self._visit.exception()
            if error is not None and not isinstance(error, (Lost, *LOSSES)):
                raise error
            self.last_loss = error
            await asyncio.sleep(PAUSE * self.access.chance.uniform(0.5, 1.5))

    async def visit(self) -> None:
        """One connection, from its opening to its loss."""
        raise NotImplementedError

    def drop(self) -> bool:
        """Cuts the connection without a word; False when there was none."""
        connection = self._leave()
        if connection is not None:
            sever(connection)
        return connection is not None

    async def rest(self) -> None:
        """Cuts the connection and opens no other one until it is started again."""
        if self._life is not None and not self.failed:
            self._life.cancel()
            await asyncio.gather(self._life, *filter(None, [self._visit]), return_exceptions=True)
            self._life = None
        self.drop()

    def abandon(self) -> bool:
        """Leaves the connection half-open: nobody reads it any more, and the next one is opened at once."""
        connection = self._leave()
        if connection is not None and self._visit is not None:
            self._visit.cancel()
        return connection is not None

    def _leave(self) -> Connection | None:
        connection, self.connection = self.connection, None
        if connection is not None:
            self.left.append(connection)
        return connection

    async def end(self) -> None:
        """Ends all connections; raises what went wrong in the client itself."""
        assert self._life is not None
        failed = self._life.done() and self._life.exception()
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        if self._visit is not None:
            await asyncio.gather(self._visit, return_exceptions=True)
        self.drop()
        for connection in self.left:
            sever(connection)
            if isinstance(connection, aiohttp.ClientWebSocketResponse):
                await connection.close()
        if failed:
            raise failed

    def cancel(self) -> None:
        """Ends at once, where nobody looks at the history any more."""
        for task in (self._life, self._visit):
            if task is not None:
                task.cancel()

    @property
    def failed(self) -> bool:
        return self._life is not None and self._life.done()

    # ---- history

    def opened(self, connection: Connection) -> None:
        """A connection was accepted."""
        self.connection = connection
        self.connections += 1
        self.history.entries.append(Connected())

    def hear(self, kind: str, payload: Any, position: int | None) -> None:
        """Takes a message; what is no event of the log only moves the cursor."""
        if kind in EVENTS:
            key = fingerprint(payload)
            self.history.entries.append(Told(position, kind, key))
            self._heard.add(key)
            self.highest = max(self.highest, position or 0)
        if position is not None:
            self.cursor = max(self.cursor, position)

    def ask_for(self, room: str) -> None:
        """Notes what is known when a room is first asked for."""
        self.asked.setdefault(room, self.cursor)

    def join(self, above: int | None, *rooms: str) -> None:
        """The server confirmed rooms; for a client with a cursor the first join counts, whatever it lost since."""
        for room in rooms:
            if room not in self.joined:
                self.history.entries.append(Joined(room, above, self.asked.get(room, 0)))
        self.joined.update(rooms)
        self.confirmed.update(rooms)

    def lose(self) -> None:
        """The client knows that it has to join its pages again; what it joins next is a new beginning."""
        for interest in self.interests:
            if not interest.follows:
                self.joined.discard(interest.room)
                self.asked.pop(interest.room, None)

    def refresh(self, position: int) -> None:
        """The server said that the past is gone; an application would now read everything again."""
        self.history.entries.append(Refreshed(position))
        self.cursor = max(self.cursor, position)

    @property
    def listening(self) -> bool:
        """Something was told on this connection, so everything after it has to be told too."""
        return self.connection is not None and bool(self._heard)

    def has_heard(self, position: int, key: str) -> bool:
        """Whether it got as far as this event: by position, or without positions by content on this connection."""
        return self.highest >= position if self.continues else key in self._heard

    # ---- connections

    async def open_socket(self, path: str, **query: Any) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket to one of the servers."""
        url = self.access.url() + path
        async with asyncio.timeout(OPEN_PATIENCE):
            socket = await self.access.http.ws_connect(url, params=query, max_msg_size=0, timeout=CLOSE_PATIENCE)
        self.opened(socket)
        return socket


async def messages(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[dict[str, Any]]:
    """JSON messages until the connection is gone, which raises Lost."""
    while True:
        yield json.loads(await next_text(socket))


async def next_text(socket: aiohttp.ClientWebSocketResponse) -> str:
    frame = await socket.receive()
    if frame.type is not aiohttp.WSMsgType.TEXT:
        raise Lost(frame.type, frame.data)
    text: str = frame.data
    return text


def sever(connection: Connection) -> None:
    """Ends a connection as a pulled cable would: no close frame, nothing more read or written."""
    if isinstance(connection, aiohttp.ClientResponse):
        connection.close()
    elif (socket := connection.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):  # the other side may have been faster
            socket.shutdown(SHUT_RDWR)
