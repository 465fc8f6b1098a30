"""`GET /api/events/stream`: the events of some rooms, live (contract mirrors.md).

Invariants: what is refused is refused before the stream begins, as an ordinary answer; a stream joins its rooms in the
turn of the event loop in which it was told what it had missed; it lives no longer than its token, which a client
cannot renew on a connection that goes one way only.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from functools import partial

from aiohttp import web

from server.actions import streams
from server.auth.actors import Credentials
from server.delivery.event_stream import Heartbeat, StreamLink, StreamSubscriber
from server.delivery.limits import Limits
from server.errors import NO_CREDENTIALS, CloseCode, Refused, Unavailable
from server.namespaces.admission import Admission

logger = logging.getLogger(__name__)


class EventStream:
    """Serves the streams; `send_buffer` in bytes, `interval` between two heartbeats in seconds."""

    def __init__(self, admission: Admission, limits: Limits, send_buffer: int, interval: float) -> None:
        self.limits = limits
        self.admission = admission
        self.registry = admission.registry
        self.send_buffer = send_buffer
        self.heartbeat = Heartbeat(self.registry.progress, interval)

    async def serve(
        self,
        request: web.Request,
        response: web.StreamResponse,
        who: Credentials,
        names: Sequence[str],
        since: str | None,
    ) -> web.StreamResponse:
        """Sends `response` as a stream of what the named rooms are told, from `since` on if given, until either side
        ends it. Raises Refused, TooMany or Unavailable as long as nothing was sent."""
        if who.claims is None:
            raise Refused(NO_CREDENTIALS)
        self.registry.seat(who.claims.user_id)
        address = self.limits.arrive(request)
        link = StreamLink(request, response, self.send_buffer)
        subscriber = StreamSubscriber(self.registry.progress, str(uuid.uuid4()), who.claims.user_id, link.wire, link)
        subscriber.jti = who.claims.jti
        left = max(who.claims.expires_at - time.time(), 0)
        expiry = asyncio.get_running_loop().call_later(left, link.close, CloseCode.TOKEN, "token expired")
        self.registry.add(subscriber)
        self.limits.enter(address)
        try:
            await self.enter(subscriber, link, who, names, since)
            await link.finish()
        except Exception as error:
            if not link.begun:
                raise
            if not isinstance(error, Refused | Unavailable):
                logger.exception("a stream failed")
            link.close(CloseCode.RESTART, "error")
            await link.finish()
        finally:
            expiry.cancel()
            self.heartbeat.remove(link)
            self.registry.remove(subscriber)
            self.limits.leave(address)
        return response

    async def enter(
        self, subscriber: StreamSubscriber, link: StreamLink, who: Credentials, names: Sequence[str], since: str | None
    ) -> None:
        """Joins the rooms, after telling what was missed or that it is gone; then says how far that was."""
        opened = await self.admission.open(subscriber, who, partial(streams.open_streams, names=names), since)
        if not link.alive:
            return
        for subscription in opened.subscriptions:
            self.registry.subscribe(subscriber, subscription.parameters[streams.NAME], subscription, opened.position)
        if opened.refresh:
            subscriber.tell("refresh", {"position": opened.position})
        link.write(link.wire.welcome(subscriber.position))
        self.heartbeat.add(link)
