"""A running server for tests: the real application on a free port, and people who use it.

async with running_server(database_url=…) as server:
    ann = await server.sign_up("Ann")
    socket = await ann.core_socket()
    await ann.request("POST", f"/api/workspaces/", {"name": "x"}, socket=socket)
    await socket.expect("group_created")
"""

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web, web_app

from server.app import create_app, make_runner
from server.errors import Unavailable
from server.parts import STORE
from server.settings import Settings
from server.store.migrate import migrate
from server.store.transaction import Transaction

PATIENCE = 10.0  # seconds until a condition that should hold is given up
SECRET = "a-secret-key-for-tests-that-is-long-enough"
PASSWORD = "password-1234"
serial = itertools.count(1)


@dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    body: Any
    headers: Any


class RawSocket:
    """A raw WebSocket that keeps what it receives, in order."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self.messages: list[Any] = []
        self.closed: tuple[int | None, str] | None = None
        self._changed = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self.id: str = ""
        self._taken = 0

    async def _read(self) -> None:
        while True:
            frame = await self.connection.receive()
            async with self._changed:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self.messages.append(json.loads(frame.data))
                elif frame.type is aiohttp.WSMsgType.CLOSE:
                    self.closed = (frame.data, frame.extra or "")
                elif self.closed is None:
                    self.closed = (self.connection.close_code, "")
                self._changed.notify_all()
                if self.closed is not None:
                    break
        await self.connection.close()

    async def until(self, condition: Callable[[], Any], patience: float = PATIENCE) -> None:
        """Waits until the condition holds; fails with what was received."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: bool(condition())), patience)
            except TimeoutError:
                raise AssertionError(f"waited in vain; received {self.messages}, closed {self.closed}") from None

    async def next(self) -> Any:
        """The next message not yet taken."""
        await self.until(lambda: len(self.messages) > self._taken)
        self._taken += 1
        return self.messages[self._taken - 1]

    async def expect(self, *kinds: str) -> list[Any]:
        """The next messages, which must be of these types in this order."""
        taken = [await self.next() for _ in kinds]
        assert [message["type"] for message in taken] == list(kinds)
        return taken

    def rest(self) -> list[Any]:
        """What arrived and was not yet taken."""
        left, self._taken = self.messages[self._taken :], len(self.messages)
        return left

    async def send(self, frame: Any) -> None:
        await self.connection.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def subscribe(self, page: str, **parameters: Any) -> None:
        """Opens a page and waits for the confirmation."""
        await self.send({"page": page, **parameters})
        await self.until(lambda: {"type": "page_add", "page": page, "parameters": parameters} in self.messages)
        self.rest()

    async def close(self) -> None:
        await self.connection.close()
        await self._reader


@dataclass
class Person:
    """Somebody with an account."""

    server: "Server"
    id: int
    email: str
    token: str
    refresh_token: str
    first_workspace: int = 0

    async def request(
        self, method: str, path: str, body: Any = None, *, socket: RawSocket | None = None, **kwargs: Any
    ) -> Answer:
        headers = {"Authorization": f"JWT {self.token}"} | kwargs.pop("headers", {})
        if socket is not None:
            headers["WebSocketId"] = socket.id
        return await self.server.request(method, path, body, headers=headers, **kwargs)

    async def ok(self, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        """The body of a request that must succeed."""
        answer = await self.request(method, path, body, **kwargs)
        assert answer.status in (200, 201, 202, 204), (method, path, answer.status, answer.body)
        return answer.body

    async def core_socket(self) -> RawSocket:
        """A connected `/ws/core/` socket; its `authentication` message is taken."""
        socket = await self.server.websocket(f"/ws/core/?jwt_token={self.token}")
        (welcome,) = await socket.expect("authentication")
        assert welcome["success"], welcome
        socket.id = welcome["web_socket_id"]
        return socket

    async def invite(self, other: "Person", workspace_id: int, permissions: str = "MEMBER") -> None:
        """Makes somebody a member of a workspace."""
        body = {"email": other.email, "permissions": permissions, "base_url": self.server.url, "message": ""}
        invitation = await self.ok("POST", f"/api/workspaces/invitations/workspace/{workspace_id}/", body)
        await other.ok("POST", f"/api/workspaces/invitations/{invitation['id']}/accept/")

    async def workspace(self, name: str = "Team") -> int:
        return int((await self.ok("POST", "/api/workspaces/", {"name": name}))["id"])

    async def database(self, workspace_id: int, name: str = "Base") -> int:
        body = {"name": name, "type": "database"}
        return int((await self.ok("POST", f"/api/applications/workspace/{workspace_id}/", body))["id"])

    async def table(self, database_id: int, name: str = "Table", **more: Any) -> int:
        return int(
            (await self.ok("POST", f"/api/database/tables/database/{database_id}/", {"name": name} | more))["id"]
        )


@dataclass
class Server:
    """A server that accepts connections."""

    app: web.Application
    url: str
    http: aiohttp.ClientSession
    settings: Settings
    sockets: list[RawSocket] = field(default_factory=list)

    async def request(self, method: str, path: str, body: Any = None, **kwargs: Any) -> Answer:
        if body is not None:
            kwargs["data"] = io.BytesIO(json.dumps(body).encode())
            kwargs["headers"] = {"Content-Type": "application/json"} | kwargs.get("headers", {})
        async with self.http.request(method, self.url + path, **kwargs) as response:
            text = await response.read()
            is_json = response.content_type == "application/json"
            return Answer(
                response.status, json.loads(text) if text and is_json else text.decode() or None, response.headers
            )

    async def websocket(self, path: str, **kwargs: Any) -> RawSocket:
        socket = RawSocket(await self.http.ws_connect(self.url + path, autoclose=False, **kwargs))
        self.sockets.append(socket)
        return socket

    async def log_position(self) -> int:
        """The end of the log."""
        return await self.app[STORE].read(Transaction.position)

    async def sign_up(self, name: str = "Ann") -> Person:
        email = f"{name.lower()}-{next(serial)}@example.com"
        body = {"name": f"{name} Person", "email": email, "password": PASSWORD, "authenticate": True}
        answer = await self.request("POST", "/api/user/", body)
        assert answer.status == 200, answer
        user = answer.body["user"]
        return Person(self, user["id"], email, answer.body["access_token"], answer.body["refresh_token"])


@asynccontextmanager
async def running_server(**settings: Any) -> AsyncIterator[Server]:
    """A server on a free port; settings as in server/settings.py, the database is migrated first."""
    given = {"secret_key": SECRET, "shutdown_spread": 0.0, "shutdown_timeout": 2.0} | settings
    chosen = Settings(**given)
    await asyncio.to_thread(migrate, chosen.database_url)
    app = create_app(chosen)
    runner = make_runner(app, shutdown_timeout=chosen.shutdown_timeout, lingering_time=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with AsyncExitStack() as stack:
        # aiohttp remembers the last 1024 handlers, and with them whole servers
        stack.callback(web_app._cached_build_middleware.cache_clear)
        stack.push_async_callback(runner.cleanup)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        server = Server(app, f"http://127.0.0.1:{port}", http, chosen)
        yield server
        for socket in server.sockets:
            await socket.close()


@contextmanager
def database_away(server: Server) -> Iterator[None]:
    """No transaction of the server gets to its database meanwhile."""

    def away(*job: object) -> None:
        raise Unavailable("away")

    with pytest.MonkeyPatch.context() as fault:
        fault.setattr(server.app[STORE], "_run", away)
        yield
