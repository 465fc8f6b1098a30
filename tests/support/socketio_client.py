"""A Socket.IO client whose session, offset and half-open connections are in the test's hands.

It takes its offset as the official client does: whatever text stands last in an event of a connection with a `pid`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.app import PATIENCE

Event = tuple[str, list[Any]]


class Refused(Exception):
    """The server answered CONNECT with an error; the argument is what it said."""


class SessionClient:
    """One connection after the other to a namespace; `events` holds what all of them brought, without the offsets."""

    def __init__(self, url: str, namespace: str, token: str, **auth: Any) -> None:
        self.url = url
        self.namespace = namespace
        self.auth: dict[str, Any] = {"token": token, "recovery": True} | auth
        self.pid: str | None = None
        self.sid = ""
        self.offset: str | None = None
        self.recovered = False
        self.events: list[Event] = []
        self.came: list[str] = []  # names of events, and `ack`, in the order in which they came
        self.ended = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._changed = asyncio.Condition()
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._left: list[aiohttp.ClientWebSocketResponse] = []  # half-open ones

    async def connect(self, url: str | None = None) -> "SessionClient":
        """A new connection, with the session if there is one; raises Refused."""
        self._http = self._http or aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(f"{url or self.url}/socket.io/?EIO=4&transport=websocket")
        self.ended = asyncio.Event()
        assert (await self._socket.receive_str()).startswith("0")
        known = {"pid": self.pid} | ({"offset": self.offset} if self.offset else {}) if self.pid else {}
        await self._socket.send_str(f"40{self.namespace},{json.dumps(self.auth | known)}")
        answer = await asyncio.wait_for(self._socket.receive_str(), PATIENCE)
        body = json.loads(answer.partition(",")[2])
        if answer.startswith("44"):
            await self._socket.close()
            raise Refused(body)
        self.recovered = body.get("pid") is not None and body.get("pid") == self.pid
        self.pid, self.sid = body.get("pid"), body["sid"]
        self._reader = asyncio.create_task(self._read(self._socket))
        return self

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            text = str(message.data)
            if text == "2":
                await socket.send_str("3")
            elif text.startswith("42"):
                name, *arguments = json.loads(text.partition(",")[2])
                if self.pid and isinstance(arguments[-1], str):
                    self.offset = arguments.pop()
                self.came.append(name)
                async with self._changed:
                    self.events.append((name, arguments))
                    self._changed.notify_all()
            elif text.startswith("43"):
                self.came.append("ack")
                number, _, _ = text.partition(",")[2].partition("[")
                self._answers.pop(int(number)).set_result(json.loads(text[text.index("[") :])[0])
        self.ended.set()

    async def call(self, name: str, *arguments: Any) -> Any:
        """Emits an event and returns its acknowledgement."""
        assert self._socket is not None
        self._asked += 1
        self._answers[self._asked] = asyncio.get_running_loop().create_future()
        answer = self._answers[self._asked]
        await self._socket.send_str(f"42{self.namespace},{self._asked}{json.dumps([name, *arguments])}")
        return await asyncio.wait_for(answer, PATIENCE)

    async def until(self, count: int) -> list[Event]:
        """All events, once there are that many."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: len(self.events) >= count), PATIENCE)
            except TimeoutError:
                raise AssertionError(f"{count} events expected, got {self.events}") from None
        return self.events

    async def drop(self) -> None:
        """Cuts the connection as a pulled cable does."""
        assert self._socket is not None and self._reader is not None
        connection = self._socket._response.connection
        assert connection is not None and connection.transport is not None
        connection.transport.abort()
        await self._reader
        await self._socket.close()

    def leave_half_open(self) -> None:
        """Stops reading; the server does not hear of it."""
        assert self._reader is not None and self._socket is not None
        self._reader.cancel()
        self._left.append(self._socket)

    async def say_goodbye(self) -> None:
        """Leaves the namespace, as `socket.disconnect()` does."""
        assert self._socket is not None
        await self._socket.send_str(f"41{self.namespace},")

    async def end(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        for socket in [*self._left, self._socket]:
            if socket is not None:
                await socket.close()
        if self._http is not None:
            await self._http.close()


@asynccontextmanager
async def session_client(url: str, namespace: str, token: str, **auth: Any) -> AsyncIterator[SessionClient]:
    """A connected client, which ends with the test."""
    client = SessionClient(url, namespace, token, **auth)
    try:
        yield await client.connect()
    finally:
        await client.end()
