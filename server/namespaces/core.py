"""Namespace `/core`: the raw core socket for Socket.IO clients (contract mirrors.md).

Every message type is an event whose one argument is the whole raw message. The socket's sid is its WebSocketId."""

from typing import Any

import socketio

from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Tokens
from server.delivery.socketio_server import SocketIOServer
from server.errors import Refused, Unavailable
from server.namespaces.admission import Admission, Page, read_page
from server.namespaces.handshake import UNAUTHORIZED, UNAVAILABLE, token_of


class CoreNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Pages over Socket.IO, with acknowledgements where the raw socket is silent."""

    def __init__(self, server: SocketIOServer, tokens: Tokens, origins: OriginRules, admission: Admission) -> None:
        super().__init__("/core")
        self.socketio = server
        self.tokens = tokens
        self.admission = admission
        self.origins = origins
        self.credentials: dict[str, Credentials] = {}

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Lets a client with a valid token in; others get the connect error of the contract."""
        try:
            who = Credentials(self.tokens.read_access(token_of(environ, auth, self.origins)))
            await self.admission.enter(self.socketio.subscriber_of(sid), who)
            self.credentials[sid] = who.admitted()
        except Refused:
            raise socketio.exceptions.ConnectionRefusedError(UNAUTHORIZED) from None
        except Unavailable:
            raise socketio.exceptions.ConnectionRefusedError(UNAVAILABLE) from None

    async def on_disconnect(self, sid: str, reason: str = "") -> None:
        self.credentials.pop(sid, None)

    async def on_page(self, sid: str, frame: Any = None, *_: Any) -> dict[str, Any]:
        """Subscribes a page; `page_add` follows as on the raw socket."""
        page = page_of(frame, "page")
        if page is None:
            return refused(frame)
        subscriber = self.socketio.subscriber_of(sid)
        position = await self.admission.add_page(subscriber, self.credentials[sid], page)
        if position is None:
            return {"ok": False, "page": page.name, "parameters": page.parameters}
        subscriber.tell("page_add", {"page": page.name, "parameters": page.parameters})
        return {"ok": True, "page": page.name, "parameters": page.parameters, "position": position}

    async def on_remove_page(self, sid: str, frame: Any = None, *_: Any) -> dict[str, Any]:
        """Ends a page; `page_discard` follows even when it was never subscribed."""
        page = page_of(frame, "remove_page") or page_of(frame, "page")
        if page is None:
            return refused(frame)
        subscriber = self.socketio.subscriber_of(sid)
        self.admission.remove_page(subscriber, page)
        subscriber.tell("page_discard", {"page": page.name, "parameters": page.parameters})
        return {"ok": True, "page": page.name, "parameters": page.parameters}


def page_of(frame: Any, key: str) -> Page | None:
    """The page that an argument names under `key`."""
    if not isinstance(frame, dict) or not isinstance(frame.get(key), str):
        return None
    page = read_page(frame[key], frame)
    try:
        return page if page is None or page.key else None
    except (TypeError, ValueError, RecursionError):
        return None  # what JSON cannot carry back, such as a lone surrogate


def refused(frame: Any) -> dict[str, Any]:
    """The answer to an argument that names no page."""
    name = frame.get("page") if isinstance(frame, dict) else None
    return {"ok": False, "page": name if isinstance(name, str) else None, "parameters": {}}
