"""From start to end: what runs beside the requests, and how the application lets go of its clients."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator

from aiohttp import web

from server.errors import CloseCode
from server.parts import (
    BELL,
    INTERPRETATIONS,
    PRESENCE,
    REGISTRY,
    RELAY,
    SESSIONS,
    SETTINGS,
    SOCKETIO,
    STORE,
    TOOLS,
    WEBHOOKS,
    WEBSOCKETS,
)
from server.rest.context import READINESS, SANDBOX
from server.rest.files import FILES
from server.store.housekeeping import Housekeeping, Keep

CLOSING_TURN = 0.05  # seconds: shorter turns would cost more than they spread


async def run_delivery(app: web.Application) -> AsyncIterator[None]:
    """Starts relay and bell before the first request, and ends everything after the last one."""
    await app[RELAY].start()
    await app[BELL].start()
    await app[PRESENCE].start()
    await app[SESSIONS].start()
    yield
    await app[SOCKETIO].stop()
    await app[WEBSOCKETS].stop()
    await app[SESSIONS].stop()
    await app[PRESENCE].stop()
    await app[BELL].stop()
    await app[RELAY].stop()
    await asyncio.to_thread(app[TOOLS].close)


async def run_housekeeping(app: web.Application) -> AsyncIterator[None]:
    """Removes what is too old, as long as delivery runs."""
    settings = app[SETTINGS]
    keep = Keep(settings.retention_events, settings.retention_age, settings.session_lifetime)
    housekeeping = Housekeeping(app[STORE], keep, settings.housekeeping_interval, app[FILES].tidy)
    housekeeping.start()
    yield
    await housekeeping.stop()


async def run_services(app: web.Application) -> AsyncIterator[None]:
    """Tells the receivers of webhooks and interprets documents, as long as delivery runs; leaves no worker process
    behind, which whoever needs one first has started."""
    app[WEBHOOKS].start()
    app[INTERPRETATIONS].start()
    yield
    await asyncio.gather(app[WEBHOOKS].stop(), app[INTERPRETATIONS].stop(), app[SANDBOX].stop())


async def close_sockets(app: web.Application) -> None:
    """Asks every socket to come back later, in turns over some seconds so that not all return at once."""
    waiting, spread = list(app[REGISTRY].subscribers), app[SETTINGS].shutdown_spread
    size = math.ceil(len(waiting) / max(spread / CLOSING_TURN, 1)) or 1
    for start in range(0, len(waiting), size):
        if start:
            await asyncio.sleep(min(CLOSING_TURN, spread))
        for subscriber in waiting[start : start + size]:
            subscriber.link.close(CloseCode.RESTART, "restart")
    close_rest(app)


def close_rest(app: web.Application) -> None:
    """Closes what is still open: sockets that came meanwhile, on a connection that was kept alive, and Engine.IO
    connections that are in no namespace."""
    for subscriber in list(app[REGISTRY].subscribers):
        subscriber.link.close(CloseCode.RESTART, "restart")
    for eio_sid in list(app[SOCKETIO].eio.sockets):
        app[SOCKETIO].eio.sockets[eio_sid].restart()


async def close_at_once(app: web.Application) -> None:
    """When the application ends without `drain`, nobody waits for sockets."""
    close_rest(app)


async def drain(app: web.Application, timeout: float) -> None:
    """Before the end: turns readiness off, closes all sockets, waits until they have gone and no request runs; at most
    `timeout` seconds.

    aiohttp's own shutdown lets running requests finish too, but from its beginning on it drops what clients send, so
    a body that is still on its way would never arrive."""
    app[READINESS].accepting = False
    app[WEBHOOKS].wind_up()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            await close_sockets(app)
            while app[READINESS].running:
                close_rest(app)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CLOSING_TURN):
                        await app[READINESS].idle()
            await app[WEBSOCKETS].idle()
