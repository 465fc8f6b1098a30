"""`/api/1/ce/<endpoint name>` as a WebSocket: every change of an endpoint's records (contract records.md).

Invariants: the upgrade always succeeds, since a browser can read a refusal only from a close; a socket joins its
room in the turn of the event loop in which its right to it was checked; what the client sends is ignored."""

import logging
import uuid

from aiohttp import hdrs, web

from server.actions import records
from server.actions.runner import Runner
from server.auth.visitors import Visitor
from server.delivery.raw_sockets import SocketLimits, accept
from server.delivery.relay import Relay
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.delivery.wire import RECORDS_RAW
from server.errors import CloseCode, Refused, Unavailable

logger = logging.getLogger(__name__)


class EndpointSocket:
    """The handler of upgrade requests to endpoints."""

    def __init__(self, relay: Relay, registry: Registry, runner: Runner, limits: SocketLimits) -> None:
        self.relay = relay
        self.registry = registry
        self.runner = runner
        self.limits = limits

    async def serve(self, request: web.Request) -> web.StreamResponse:
        link = await accept(request, self.limits)
        subscriber = Subscriber(str(uuid.uuid4()), None, RECORDS_RAW, link)
        self.registry.add(subscriber)
        try:
            await self.enter(subscriber, request)
            async for _ in link.socket:
                pass
        except Refused as error:
            link.close(CloseCode.ENDPOINT_REFUSED, str(error.detail))
        except Unavailable:
            link.close(CloseCode.RESTART, "The database is not available just now.")
        except Exception:  # an HTTP answer would be garbage on an upgraded connection
            logger.exception("endpoint socket failed")
            link.close(CloseCode.RESTART, "error")
        finally:
            self.registry.remove(subscriber)
        await link.drain_close()
        return link.socket

    async def enter(self, subscriber: Subscriber, request: web.Request) -> None:
        """Joins the room of the endpoint; raises Refused. There is no master key here: it is for servers."""
        visitor = Visitor(request.query.get("key"), request.headers.get(hdrs.ORIGIN))
        name = request.match_info["name"]
        room = await self.relay.admit(lambda: self.runner.ask_at(records.open_endpoint, visitor, name=name))
        if self.registry.subscribers.get(subscriber.sid) is subscriber:
            self.registry.join(subscriber, room)
