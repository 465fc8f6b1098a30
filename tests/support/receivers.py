"""Web servers that receive webhooks, verify each request as the documentation says, and answer as they are told."""

import asyncio
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

from tests.support.app import PATIENCE

GUIDE = Path(__file__).parents[2] / "docs" / "protocols" / "webhooks.md"
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
