"""Namespace `/core`: the raw core socket for Socket.IO clients (contract mirrors.md).

Every message type is an event whose one argument is the whole raw message. The socket's sid is its WebSocketId.
Presence is told to connections that recover: like the 2026 raw sockets they are of clients that know it."""

from typing import Any

from server.actions import pages
from server.delivery.presence import Presence
from server.delivery.subscribers import Subscriber
from server.delivery.wire import CORE_SOCKETIO, CORE_SOCKETIO_RECOVERY
from server.namespaces.admission import Admission, Page, read_page
from server.namespaces.session_namespace import Doors, SessionNamespace


class CoreNamespace(SessionNamespace):
    """Pages over Socket.IO, with acknowledgements where the raw socket is silent."""

    wires = (CORE_SOCKETIO, CORE_SOCKETIO_RECOVERY)

    def __init__(self, doors: Doors, admission: Admission, presence: Presence) -> None:
        super().__init__("/core", doors, pages.core_rooms)
        self.admission = admission
        self.presence = presence

    def recovered(self, subscriber: Subscriber) -> None:
        """Makes the client present again on the pages that it has."""
        for page in list(subscriber.subscriptions.values()):
            self.presence.enter(subscriber, page.room)

    async def on_page(self, sid: str, frame: Any = None, *_: Any) -> dict[str, Any]:
        """Subscribes a page; `page_add` follows as on the raw socket."""
        page = page_of(frame, "page")
        if page is None:
            return refused(frame)
        subscriber, who = self.client(sid)
        named = {"page": page.name, "parameters": page.parameters}
        opened = await self.admission.add_page(subscriber, who, page, frame.get("since"))
        if opened is None or not await self.settle(subscriber):
            return {"ok": False} | named
        subscriber.tell("page_add", named)
        if opened.refresh:
            subscriber.tell("refresh", named | {"position": opened.position})
        self.resume_soon(subscriber)
        if subscriber.session is not None:
            self.presence.enter(subscriber, opened.subscriptions[0].room)
        answer = {"ok": True} | named | {"position": opened.position}
        return answer | {"refresh": True} if opened.refresh else answer

    async def on_remove_page(self, sid: str, frame: Any = None, *_: Any) -> dict[str, Any]:
        """Ends a page; `page_discard` follows even when it was never subscribed."""
        page = page_of(frame, "remove_page") or page_of(frame, "page")
        if page is None:
            return refused(frame)
        subscriber, _who = self.client(sid)
        named = {"page": page.name, "parameters": page.parameters}
        self.admission.remove_page(subscriber, page)
        if not await self.keep(subscriber):
            return {"ok": False} | named
        subscriber.tell("page_discard", named)
        return {"ok": True} | named

    async def on_presence_focus(self, sid: str, message: Any = None, *_: Any) -> None:
        """Passes on what the user of this socket looks at."""
        if isinstance(message, dict):
            self.presence.focus(self.client(sid)[0], message)


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
