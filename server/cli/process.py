"""One serving process: from the start of the event loop to its exit.

Invariants: the first SIGTERM or SIGINT (or the end of the leash that a supervisor holds) begins the stop: readiness
off, listening socket closed, sockets closed with 1012 over `shutdown_spread`, running requests finished; it ends with
status 0, and within `shutdown_timeout` whatever clients do. A second signal ends the process at once.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable

import uvloop
from aiohttp import web

from server.app import create_app, make_runner
from server.errors import Unavailable
from server.lifecycle import drain
from server.settings import Settings

BACKLOG = 2048  # waiting connections: after a restart all clients come back within seconds
RESERVE = 3.0  # seconds of the shutdown that requests do not get: for cutting them, closing Redis and the database
YOUNG = 5000  # objects more than there were, after which the garbage collector looks at the new ones: 0.2 ms
CUT = 0.5  # seconds aiohttp waits for requests that are cut, twice
LINGERING = 2.0  # seconds in which the rest of a body that was refused is dropped, so that its sender gets the answer
logger = logging.getLogger(__name__)


def serve_process(settings: Settings, listener: socket.socket, leash: int | None = None) -> int:
    """Serves until it is told to stop; `leash` is a pipe whose end, closed by a supervisor, says so. Returns the
    exit status: 0, or 1 when it could not start."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(serve_until_told(settings, listener, leash))
        except Unavailable as error:
            logger.error("cannot start: the database cannot be reached: %s", error)
            return 1
    return 0


async def serve_until_told(settings: Settings, listener: socket.socket, leash: int | None) -> None:
    stop = asyncio.Event()
    on_signals(stop.set)
    if leash is not None:
        asyncio.get_running_loop().add_reader(leash, stop.set)
    async with running(settings, listener):
        freeze_start()
        await stop.wait()
        logger.info("stopping")
        if leash is not None:
            asyncio.get_running_loop().remove_reader(leash)
        watch(settings.shutdown_timeout)
    logger.info("stopped")


@contextlib.asynccontextmanager
async def running(settings: Settings, listener: socket.socket) -> AsyncIterator[web.Application]:
    """The application behind a listening socket; stops gracefully at the end."""
    app = create_app(settings)
    runner = make_runner(app, shutdown_timeout=CUT, lingering_time=LINGERING)
    try:
        await runner.setup()
        await web.SockSite(runner, listener, backlog=BACKLOG).start()
        yield app
    finally:
        for site in runner.sites:
            await site.stop()
        await drain(app, max(settings.shutdown_timeout - RESERVE, 0.5))
        await runner.cleanup()


def on_signals(stop: Callable[[], None]) -> None:
    """Calls `stop` at the first signal; the second one has its default effect, the end of the process."""
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, first)


def watch(timeout: float) -> None:
    """Ends the process after `timeout` seconds even if a database holds a thread for ever; a platform would kill it
    soon after."""

    def give_up() -> None:
        logger.error("did not stop within %s s", timeout)
        os._exit(1)

    timer = threading.Timer(max(timeout - 0.5, 0.1), give_up)
    timer.daemon = True
    timer.start()


def freeze_start() -> None:
    """Takes what start-up made, which lives until the end, out of the garbage collector's rounds: a full one takes
    17 ms with it, and no message leaves meanwhile. Young rounds come a seventh as often as by default: little of what
    is made has cycles, and they were a twentieth of what a new connection costs."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
