"""`/api/1/ce/<endpoint name>` as a WebSocket: every change of an endpoint's records (contract records.md).

Invariants: the upgrade always succeeds, since a browser can read a refusal only from a close; what the client sends is
ignored."""

import uuid

from aiohttp import hdrs, web

from server.delivery.raw_sockets import Listener, converse
from server.delivery.replay import position_of
from server.delivery.subscribers import Subscriber
from server.delivery.websocket import WebSocket, WebSocketServer
from server.delivery.websocket_handshake import UPGRADED
from server.delivery.wire import RECORDS_RAW, RECORDS_RAW_OFFSETS
from server.errors import CloseCode, Refused
from server.namespaces.endpoint_door import EndpointDoor


class EndpointSocket:
    """The handler of upgrade requests to endpoints."""

    def __init__(self, door: EndpointDoor, websockets: WebSocketServer) -> None:
        self.door = door
        self.registry = door.registry
        self.websockets = websockets

    async def serve(self, request: web.Request) -> web.StreamResponse:
        link = await self.websockets.accept(request)
        wire = RECORDS_RAW_OFFSETS if request.query.get("offsets") == "true" else RECORDS_RAW
        subscriber = Subscriber(self.registry.progress, str(uuid.uuid4()), None, wire, link)
        self.registry.add(subscriber)
        await converse(link, subscriber, self.registry, self.enter(link, subscriber, request))
        return UPGRADED

    async def enter(self, link: WebSocket, subscriber: Subscriber, request: web.Request) -> Listener | None:
        """Joins the rooms of the endpoint, or closes."""
        query, headers = request.query, request.headers
        visitor = self.door.visitor(
            query.get("key"),
            headers.get(hdrs.ORIGIN),
            access_token=query.get("accessToken"),
            authorization=headers.get(hdrs.AUTHORIZATION, ""),
            cookies=headers.get(hdrs.COOKIE, ""),
        )
        since = position_of(query["since"]) if "since" in query else None
        try:
            entered = await self.door.enter(subscriber, visitor, request.match_info["name"], since)
        except Refused as error:
            link.close(CloseCode.ENDPOINT_REFUSED, str(error.detail))
            return None
        return Listener(stop=entered.expiry.cancel) if entered is not None and entered.expiry is not None else None
