"""Raw WebSockets: how a connection without Socket.IO begins and ends."""

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.delivery.websocket import WebSocket
from server.delivery.websocket_reader import Payload
from server.errors import CloseCode, TooMany, Unavailable

logger = logging.getLogger(__name__)


async def ignore(_: Payload) -> None:
    """Hears nothing."""


def nothing() -> None:
    """Keeps nothing that would have to end."""


class Listener(NamedTuple):
    """What hears the messages of a socket, and what ends with it."""

    take: Callable[[Payload], Awaitable[None]] = ignore
    stop: Callable[[], None] = nothing


async def converse(
    link: WebSocket, subscriber: Subscriber, registry: Registry, opening: Awaitable[Listener | None]
) -> None:
    """The life of an accepted socket: `opening` lets it in and says who hears it, in the turn of the event loop in
    which it is in; or closes it. When it has ended, nothing of it is left."""
    listener = None
    try:
        listener = await opening
    except Unavailable:
        link.close(CloseCode.RESTART, "The database is not available just now.")
    except TooMany:
        link.close(CloseCode.RATE, "too many connections")
    except Exception:
        logger.exception("a socket could not be let in")
        link.close(CloseCode.RESTART, "error")
    take, stop = listener or Listener()

    def ended() -> None:
        registry.remove(subscriber)
        stop()

    link.begin(take, ended)
