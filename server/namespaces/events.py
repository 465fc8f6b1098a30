"""Namespace `/events`: the items of one selected workspace (contract items.md, Socket.IO)."""

import asyncio
import time
from typing import Any

from server.actions.item_workspaces import find_rooms
from server.auth.actors import Credentials
from server.delivery.entitlements import close
from server.delivery.rooms import Client
from server.delivery.socketio_server import UNAVAILABLE
from server.delivery.wire import ITEMS_SOCKETIO, ITEMS_SOCKETIO_RECOVERY
from server.errors import CloseCode, Refused, Unavailable
from server.namespaces.admission import Admission
from server.namespaces.selection import deselect, select
from server.namespaces.session_namespace import Doors, SessionNamespace


class EventsNamespace(SessionNamespace):
    """Selecting a workspace, and the end of a socket whose token expires."""

    wires = (ITEMS_SOCKETIO, ITEMS_SOCKETIO_RECOVERY)
    clients_welcome = True

    def __init__(self, doors: Doors, admission: Admission) -> None:
        super().__init__("/events", doors, find_rooms)
        self.admission = admission

    def entered(self, client: Client, who: Credentials) -> None:
        """Has the socket disconnected when its token expires."""
        assert who.claims is not None
        loop = asyncio.get_running_loop()
        moment = loop.time() + max(who.claims.expires_at - time.time(), 0)
        client.expiry = loop.call_at(moment, close, self.registry, client.subscriber, CloseCode.TOKEN, "token expired")

    async def on_select_workspace(self, sid: str, workspace: Any = None, options: Any = None, *_: Any) -> Any:
        """Replaces the selection; the answer names the position from which events follow. What is refused leaves the
        selection as it was."""
        subscriber, who = self.client(sid)
        since = options.get("since") if isinstance(options, dict) else None
        try:
            opened = await select(self.admission, subscriber, who, workspace, since)
        except Refused as error:
            return refusal(error.detail or error.kind.code)
        except Unavailable:
            return refusal(UNAVAILABLE)
        if opened is None or not await self.settle(subscriber):
            return refusal(UNAVAILABLE)
        if opened.refresh:
            subscriber.tell("refresh", {"workspace": workspace, "position": opened.position})
        self.resume_soon(subscriber)
        answer = {"ok": True, "workspace": workspace, "position": opened.position}
        return answer | {"refresh": True} if opened.refresh else answer

    async def on_deselect_workspace(self, sid: str, *_: Any) -> dict[str, Any]:
        """Ends the selection; harmless when there is none."""
        subscriber, _who = self.client(sid)
        deselect(self.admission, subscriber)
        if not await self.keep(subscriber):
            return refusal(UNAVAILABLE)
        return {"ok": True}


def refusal(message: str) -> dict[str, Any]:
    return {"ok": False, "message": message}
