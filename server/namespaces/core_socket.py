"""`/ws/core/`: the raw-JSON socket of the database API (contract database.md, b and f).

Invariant: the upgrade is always accepted and the verdict is the first message.
A socket is *classic* until it brings its own `web_socket_id` or speaks of what only 2026 clients know: then it gets
event ids, presence and refusals, and ends with its token, since its client recovers.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from server.actions.item_workspaces import find_user
from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Claims, Tokens
from server.delivery.presence import Presence
from server.delivery.raw_sockets import Listener, converse
from server.delivery.subscribers import Subscriber
from server.delivery.websocket import WebSocket, WebSocketServer
from server.delivery.websocket_handshake import UPGRADED, NoHandshake
from server.delivery.wire import CORE_RAW, CORE_RAW_2026
from server.errors import CloseCode, Refused
from server.namespaces.admission import Admission, Page, read_page
from server.namespaces.core_replay import CoreReplay
from server.namespaces.frames import Frames
from server.namespaces.handshake import require_origin

REPLAYS = {"replay_enabled": True}
OF_2026 = ("replay_events", "presence.focus", "refresh")


@dataclass(frozen=True, slots=True)
class CoreDoors:
    """What the core socket needs to let clients in."""

    tokens: Tokens
    origins: OriginRules
    admission: Admission
    presence: Presence
    websockets: WebSocketServer


class CoreSocket:
    """The handler of `/ws/core/`."""

    def __init__(self, doors: CoreDoors) -> None:
        self.doors = doors
        self.registry = doors.admission.registry

    async def serve(self, request: web.Request) -> web.StreamResponse:
        try:
            link = await self.doors.websockets.accept(request, verdict=True)
        except NoHandshake:
            raise web.HTTPNotFound from None
        chosen = chosen_id(offered) if (offered := request.query.get("web_socket_id")) else ""
        wire = CORE_RAW_2026 if chosen else CORE_RAW
        subscriber = Subscriber(self.registry.progress, chosen or str(uuid.uuid4()), None, wire, link)
        await converse(link, subscriber, self.registry, self.enter(link, subscriber, request))
        return UPGRADED

    async def enter(self, link: WebSocket, subscriber: Subscriber, request: web.Request) -> Listener | None:
        """Gives the verdict on the token, and lets the client in or sends it away."""
        token = request.query.get("jwt_token", "")
        who = await self.authenticate(subscriber, request, token)
        verdict = {"success": who is not None, "web_socket_id": subscriber.sid if token else None}
        more = REPLAYS if subscriber.wire is CORE_RAW_2026 else {}
        if who is None:
            subscriber.tell("authentication", verdict | more)
            link.close(CloseCode.GOODBYE, "")
            return None
        conversation = Conversation(self.doors, subscriber, who)
        subscriber.tell("authentication", verdict | more)
        return conversation.listener()

    async def authenticate(self, subscriber: Subscriber, request: web.Request, token: str) -> Credentials | None:
        """Enters the socket's rooms; None when the token or the page is refused. `anonymous` is let in, without any
        rooms."""
        try:
            require_origin(request, self.doors.origins)
            if token == "anonymous":
                self.registry.add(subscriber)
                return Credentials(None)
            who = Credentials(self.doors.tokens.read_access(token))
            await self.doors.admission.enter(subscriber, who)
        except Refused:
            return None
        return who


class Conversation:
    """What one client says, frame by frame. It begins in the turn of the event loop in which the socket entered."""

    __slots__ = ("admission", "claims", "doors", "expiry", "replay", "subscriber", "who")

    def __init__(self, doors: CoreDoors, subscriber: Subscriber, who: Credentials) -> None:
        self.doors = doors
        self.admission = doors.admission
        self.subscriber = subscriber
        self.who = who.admitted() if who.claims is not None else who
        self.claims = who.claims
        self.expiry: asyncio.TimerHandle | None = None
        relay, runner, limit = self.admission.relay, self.admission.runner, self.admission.replay_limit
        self.replay = CoreReplay(relay, runner, subscriber, self.who, limit, holds=self.is_of_2026)
        if self.is_of_2026:
            self.expire_later()

    @property
    def is_of_2026(self) -> bool:
        return self.subscriber.wire is CORE_RAW_2026

    def listener(self) -> Listener:
        limits = self.doors.websockets.limits
        frames = Frames(self.subscriber, limits, self.handle, texts=("page", "remove_page"))
        return Listener(frames.take, self.stop)

    def stop(self) -> None:
        """Forgets the timers."""
        self.replay.stop()
        if self.expiry is not None:
            self.expiry.cancel()

    async def handle(self, frame: dict[str, Any]) -> None:
        """One frame may both add and remove a page; adding comes first."""
        kind = frame.get("type")
        if not self.is_of_2026 and (kind in OF_2026 or ("page" in frame and "since" in frame)):
            self.become_one_of_2026()
            if kind != "refresh":  # which may bring a better token
                self.expire_later()
        if kind == "presence.focus":
            self.doors.presence.focus(self.subscriber, frame)
            return
        if "page" in frame:
            await self.add_page(frame["page"], frame)
        if "remove_page" in frame and (page := read_page(frame["remove_page"], frame)) is not None:
            self.admission.remove_page(self.subscriber, page)
            self.subscriber.tell("page_discard", {"page": page.name, "parameters": page.parameters})
        if kind == "ping":
            self.subscriber.tell("pong", {})
        elif kind == "replay_events":
            await self.replay.run(frame.get("last_seen_id"))
        elif kind == "refresh":
            await self.renew(frame.get("jwt_token"))

    def become_one_of_2026(self) -> None:
        """From now on the client is told what classic clients are not, and is present on the pages that it has."""
        self.subscriber.wire = CORE_RAW_2026
        for page in self.subscriber.subscriptions.values():
            self.doors.presence.enter(self.subscriber, page.room)

    async def add_page(self, name: str, frame: dict[str, Any]) -> None:
        """Subscribes a page; a classic client hears nothing of a refusal, nor of positions."""
        page, since = read_page(name, frame), frame.get("since")
        if since is not None:
            await self.replay.go_live()
        opened = await self.admission.add_page(self.subscriber, self.who, page, since) if page is not None else None
        if page is None or opened is None:
            self.refuse(name, page)
            return
        self.replay.heard_from_entry(opened.subscriptions[0])
        named = {"page": page.name, "parameters": page.parameters}
        if opened.refresh:
            self.subscriber.tell("refresh", named | {"position": opened.position})
        self.subscriber.tell("page_add", named | ({"position": opened.position} if since is not None else {}))
        if self.is_of_2026:
            self.doors.presence.enter(self.subscriber, opened.subscriptions[0].room)

    def refuse(self, name: str, page: Page | None) -> None:
        """Tells a 2026 client that it does not hear a page."""
        if self.is_of_2026:
            reason = "unknown page, or a parameter is missing" if page is None else "not available"
            parameters = page.parameters if page is not None else {}
            self.subscriber.tell("page_refused", {"page": name, "parameters": parameters, "reason": reason})

    async def renew(self, token: Any) -> None:
        """Lets the socket live as long as a newer token of the same user; raises Unavailable."""
        claims = await self.check(token)
        if claims is not None and (self.claims is None or claims.expires_at > self.claims.expires_at):
            self.claims, self.subscriber.jti = claims, claims.jti
        self.expire_later()
        verdict = {"success": claims is not None, "web_socket_id": self.subscriber.sid}
        self.subscriber.tell("authentication", verdict | REPLAYS)

    async def check(self, token: Any) -> Claims | None:
        """The claims of an access token of the socket's own user that is still good, else None."""
        if not isinstance(token, str):
            return None
        try:
            claims = self.doors.tokens.read_access(token)
            await self.admission.runner.look(Credentials(claims), find_user)
        except Refused:
            return None
        return claims if claims.user_id == self.subscriber.user_id else None

    def expire_later(self) -> None:
        """Has a 2026 socket closed when its token expires."""
        if self.claims is None:
            return
        if self.expiry is not None:
            self.expiry.cancel()
        left = max(self.claims.expires_at - time.time(), 0)
        self.expiry = asyncio.get_running_loop().call_later(
            left, self.subscriber.link.close, CloseCode.TOKEN, "token expired"
        )


def chosen_id(text: str) -> str:
    """The id that a client made for itself, empty where it is none."""
    try:
        return text if str(uuid.UUID(text)) == text.lower() else ""
    except ValueError:
        return ""
