"""`/ws/events/`: the items of one selected workspace as raw JSON (contract mirrors.md).

Invariants: the upgrade is always accepted and the verdict is the first message; the socket ends with its token.
"""

import asyncio
import time
import uuid
from functools import partial

from aiohttp import web

from server.actions.item_workspaces import find_user
from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Tokens
from server.delivery.entitlements import close
from server.delivery.raw_sockets import Listener, converse
from server.delivery.subscribers import Subscriber
from server.delivery.websocket import WebSocket, WebSocketServer
from server.delivery.websocket_handshake import UPGRADED, NoHandshake
from server.delivery.wire import ITEMS_RAW, ITEMS_RAW_OFFSETS
from server.errors import ORIGIN_REFUSED, CloseCode, Refused, Unavailable
from server.namespaces.admission import Admission
from server.namespaces.frames import Frames, Sent
from server.namespaces.handshake import require_origin
from server.namespaces.selection import deselect, select


class EventsSocket:
    """The handler of `/ws/events/`."""

    def __init__(self, tokens: Tokens, origins: OriginRules, admission: Admission, websockets: WebSocketServer) -> None:
        self.tokens = tokens
        self.origins = origins
        self.admission = admission
        self.registry = admission.registry
        self.websockets = websockets

    async def serve(self, request: web.Request) -> web.StreamResponse:
        try:
            link = await self.websockets.accept(request, verdict=True)
        except NoHandshake:
            raise web.HTTPNotFound from None
        wire = ITEMS_RAW_OFFSETS if request.query.get("offsets") == "true" else ITEMS_RAW
        subscriber = Subscriber(self.registry.progress, str(uuid.uuid4()), None, wire, link)
        await converse(link, subscriber, self.registry, self.enter(link, subscriber, request))
        return UPGRADED

    async def enter(self, link: WebSocket, subscriber: Subscriber, request: web.Request) -> Listener | None:
        """Gives the verdict on the token; if it was good, the client is heard until it goes or the token ends."""
        try:
            who = await self.authenticate(subscriber, request)
        except Refused as error:
            subscriber.tell("authentication", {"success": False, "web_socket_id": None})
            if error.kind is ORIGIN_REFUSED:
                link.close(CloseCode.GOODBYE, str(error.detail))
            else:
                link.close(CloseCode.TOKEN, "token refused")
            return None
        subscriber.tell("authentication", {"success": True, "web_socket_id": subscriber.sid})
        assert who.claims is not None
        left = max(who.claims.expires_at - time.time(), 0)
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(left, close, self.registry, subscriber, CloseCode.TOKEN, "token expired")
        handle = partial(self.handle, subscriber, who.admitted())
        return Listener(Frames(subscriber, self.websockets.limits, handle).take, expiry.cancel)

    async def authenticate(self, subscriber: Subscriber, request: web.Request) -> Credentials:
        """Registers the socket of a user; it hears nothing yet. Raises Refused or TooMany."""
        require_origin(request, self.origins)
        who = Credentials(self.tokens.read_access(request.query.get("jwt_token", ""), clients=True))
        await self.admission.relay.admit(lambda: self.admission.runner.check(who, find_user))
        assert who.claims is not None
        self.registry.seat(who.claims.user_id)
        subscriber.user_id, subscriber.jti = who.claims.user_id, who.claims.jti
        self.registry.add(subscriber)
        return who

    async def handle(self, subscriber: Subscriber, who: Credentials, frame: Sent) -> None:
        """One frame may both deselect and select; deselecting comes first."""
        if frame.get("deselect-workspace") is True:
            deselect(self.admission, subscriber)
            subscriber.tell("workspace-deselected", {})
        if "select-workspace" in frame:
            await self.select(subscriber, who, frame["select-workspace"], frame.get("since"))

    async def select(self, subscriber: Subscriber, who: Credentials, workspace: object, since: object) -> None:
        """Replaces the selection; the answer names the position from which events follow."""
        named = {"workspace": workspace if isinstance(workspace, int | str) else None}
        try:
            opened = await select(self.admission, subscriber, who, workspace, since)
        except (Refused, Unavailable):
            subscriber.tell("workspace-refused", named)
            return
        if opened is None:
            return
        if opened.refresh:
            subscriber.tell("refresh", named | {"position": opened.position})
        subscriber.tell("workspace-selected", named | {"position": opened.position})
