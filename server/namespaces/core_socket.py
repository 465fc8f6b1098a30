"""`/ws/core/`: the raw-JSON socket of the database API (contract database.md, b).

Invariants: the upgrade is always accepted and the verdict is the first message; frames of one socket are handled
one after the other; a malformed frame costs an error message, ten in a minute cost the connection, nothing else does.
"""

import logging
import time
import uuid
from collections import deque
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from server.auth.actors import Credentials
from server.auth.tokens import Tokens
from server.delivery.raw_sockets import RawLink, SocketLimits, accept
from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_RAW
from server.errors import CloseCode, Refused, Unavailable
from server.namespaces.admission import Admission, read_page

logger = logging.getLogger(__name__)
MALFORMED = "ERROR_MALFORMED_FRAME"
MALFORMED_LIMIT, MALFORMED_WINDOW = 10, 60.0  # frames, seconds


class CoreSocket:
    """The handler of `/ws/core/`."""

    def __init__(self, tokens: Tokens, admission: Admission, registry: Registry, limits: SocketLimits) -> None:
        self.tokens = tokens
        self.admission = admission
        self.registry = registry
        self.limits = limits

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if not web.WebSocketResponse().can_prepare(request).ok:
            raise web.HTTPNotFound
        link = await accept(request, self.limits)
        token = request.query.get("jwt_token", "")
        subscriber = Subscriber(str(uuid.uuid4()), None, CORE_RAW, link)
        try:
            await self.converse(subscriber, link, token)
        except Unavailable:
            link.close(CloseCode.RESTART, "unavailable")
        except Exception:  # an HTTP answer would be garbage on an upgraded connection
            logger.exception("core socket failed")
            link.close(CloseCode.RESTART, "error")
        finally:
            self.registry.remove(subscriber)
        await link.drain_close()
        return link.socket

    async def converse(self, subscriber: Subscriber, link: RawLink, token: str) -> None:
        """Gives the verdict on the token and then, if it was good, serves the client until it goes."""
        who = await self.authenticate(subscriber, token)
        if who is None:
            subscriber.tell("authentication", {"success": False, "web_socket_id": subscriber.sid if token else None})
            link.close(CloseCode.GOODBYE, "")
        else:
            subscriber.tell("authentication", {"success": True, "web_socket_id": subscriber.sid})
            await Conversation(self.admission, subscriber, who, link).run()

    async def authenticate(self, subscriber: Subscriber, token: str) -> Credentials | None:
        """Enters the socket's rooms; None when the token is refused. `anonymous` is let in, without any rooms."""
        if token == "anonymous":
            self.registry.add(subscriber)
            return Credentials(None)
        try:
            who = Credentials(self.tokens.read_access(token))
            await self.admission.enter(subscriber, who)
        except Refused:
            return None
        return who.admitted()


class Conversation:
    """What one client says, frame by frame."""

    def __init__(self, admission: Admission, subscriber: Subscriber, who: Credentials, link: RawLink) -> None:
        self.admission = admission
        self.subscriber = subscriber
        self.who = who
        self.link = link
        self.malformed: deque[float] = deque(maxlen=MALFORMED_LIMIT)

    async def run(self) -> None:
        """Reads frames until the connection ends."""
        async for message in self.link.socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            frame = parse(message)
            if frame is None:
                self.complain()
            else:
                await self.handle(frame)

    async def handle(self, frame: dict[str, Any]) -> None:
        """One frame may both add and remove a page; adding comes first."""
        if "page" in frame and (page := read_page(frame["page"], frame)) is not None:
            position = await self.admission.add_page(self.subscriber, self.who, page)
            if position is not None:
                self.subscriber.tell("page_add", {"page": page.name, "parameters": page.parameters})
        if "remove_page" in frame and (page := read_page(frame["remove_page"], frame)) is not None:
            self.admission.remove_page(self.subscriber, page)
            self.subscriber.tell("page_discard", {"page": page.name, "parameters": page.parameters})
        if frame.get("type") == "ping":
            self.subscriber.tell("pong", {})

    def complain(self) -> None:
        """Answers a malformed frame; too many of them end the connection."""
        self.malformed.append(time.monotonic())
        self.subscriber.tell("error", {"error": MALFORMED})
        if len(self.malformed) == MALFORMED_LIMIT and self.malformed[-1] - self.malformed[0] < MALFORMED_WINDOW:
            self.link.close(CloseCode.MALFORMED, "malformed frames")


def parse(message: Any) -> dict[str, Any] | None:
    """The object of a text frame; None when it is malformed: not JSON, not an object, a page that is no text."""
    if message.type is not WSMsgType.TEXT:
        return None
    try:
        frame = orjson.loads(message.data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(frame, dict):
        return None
    named = [frame[key] for key in ("page", "remove_page") if key in frame]
    return frame if all(isinstance(name, str) for name in named) else None
