"""Web servers that receive webhooks, verify each request as the documentation says, and answer as they are told."""

import asyncio
import contextlib
import json
import re
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from server.parts import WEBHOOKS
from tests.support.app import PATIENCE, Server
from tests.support.boards import Board

GUIDE = Path(__file__).parents[2] / "docs" / "protocols" / "webhooks.md"
QUICK: dict[str, Any] = {
    "webhook_private_addresses": True,
    "webhook_timeout": 2.0,
    "webhook_retry": 0.02,
    "webhook_interval": 0.1,
}  # settings of a server that soon tries again
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def documented_verify() -> Callable[..., bool]:
    """The function that docs/protocols/webhooks.md gives to receivers."""
    (snippet,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    verify: Callable[..., bool] = names["verify"]
    return verify


@dataclass
class Received:
    """A request as it came."""

    headers: Any
    body: bytes

    @property
    def event(self) -> tuple[str, Any]:
        """As a client of `/events` would hear it."""
        return self.headers["Roomcast-Event"], json.loads(self.body)

    @property
    def key(self) -> str:
        return str(self.headers["Idempotency-Key"])


@dataclass
class Receiver:
    """`answers` are given one after the other, then 200 for ever."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: deque[int | Answer] = field(default_factory=deque)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.received.append(Received(request.headers.copy(), await request.read()))
        async with self._changed:
            self._changed.notify_all()
        answer = self.answers.popleft() if self.answers else 200
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)

    async def take(self, count: int) -> list[Received]:
        """The first requests, so many, once they are there."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: len(self.received) >= count), PATIENCE)
            except TimeoutError:
                raise AssertionError(f"waited in vain for {count}; received {self.received}") from None
        return self.received[:count]

    @property
    def keys(self) -> list[str]:
        return [each.key for each in self.received]


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    receiver = Receiver()
    app = web.Application(client_max_size=64 << 20)
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    receiver.url = f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


async def hook(board: Board, url: str, *events: str) -> dict[str, Any]:
    """A webhook of the board; its secret is in it."""
    body = {"workspace_id": board.uuid, "url": url} | ({"events": events} if events else {})
    made: dict[str, Any] = await board.ann.ok("POST", "/webhooks", body)
    return made


async def shown(board: Board, webhook: dict[str, Any]) -> dict[str, Any]:
    """The webhook as it is shown now."""
    (found,) = [each for each in await board.ann.ok("GET", "/webhooks") if each["id"] == webhook["id"]]
    return dict(found)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Waits until the condition holds, and returns what it gave."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not (found := await condition()):
                await asyncio.sleep(0.005)
            return found
    raise AssertionError("waited in vain")


async def state(board: Board, webhook: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Waits until the webhook is in a state."""

    async def condition() -> dict[str, Any] | None:
        found = await shown(board, webhook)
        return found if found["state"] == wanted else None

    found: dict[str, Any] = await until(condition)
    return found


async def idle(server: Server) -> None:
    """Waits until nothing is being told."""

    async def condition() -> bool:
        return not len(server.app[WEBHOOKS])

    await until(condition)


def names(received: list[Received]) -> list[str]:
    """The names of items, and the types of other events."""
    return [each.event[1]["name"] if each.event[0] == "item-updated" else each.event[0] for each in received]
