"""`python -m tests.support.probed …` is `python -m server …` whose event loop is watched: `GET /probe` says how long
its longest turn was since it was asked last, and how many sockets are registered.

A timer that is always due shows it: what lies between two of its calls is one turn of the loop. CPU time is counted
beside, because on a machine with others the process may just have waited for a processor.
"""

import asyncio
import gc
import runpy
import time
from collections.abc import AsyncIterator

from aiohttp import web

from server.app import create_app
from server.cli import process
from server.parts import REGISTRY
from server.settings import Settings

INTERVAL = 0.001  # seconds between two calls at best


class Probe:
    """The longest turns so far, in seconds: by the clock, and of the thread's processor time."""

    def __init__(self) -> None:
        self.longest = self.busiest = 0.0
        self._clock, self._busy = time.perf_counter(), time.thread_time()

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        self.again()
        yield

    def again(self) -> None:
        clock, busy = time.perf_counter(), time.thread_time()
        self.longest = max(self.longest, clock - self._clock - INTERVAL)
        self.busiest = max(self.busiest, busy - self._busy)
        self._clock, self._busy = clock, busy
        asyncio.get_running_loop().call_later(INTERVAL, self.again)

    async def tell(self, request: web.Request) -> web.Response:
        """What was seen since the last time. With `?collect=1` garbage is collected first, so that what follows does
        not pay for what was before."""
        if "collect" in request.query:
            gc.collect()
        seen = {"longest": self.longest, "busiest": self.busiest, "sockets": len(request.app[REGISTRY].subscribers)}
        self.longest = self.busiest = 0.0
        self._clock, self._busy = time.perf_counter(), time.thread_time()
        return web.json_response(seen)


def create_probed_app(settings: Settings) -> web.Application:
    app, probe = create_app(settings), Probe()
    app.cleanup_ctx.append(probe.run)
    app.router.add_get("/probe", probe.tell)
    return app


if __name__ == "__main__":
    process.create_app = create_probed_app
    runpy.run_module("server", run_name="__main__")
