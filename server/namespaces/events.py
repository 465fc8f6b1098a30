"""Namespace `/events`: the items of one selected workspace (contract items.md, Socket.IO).

Invariants: a socket selects at most one workspace; between the check of a membership and the join lies no change of
entitlement, and the join happens in the turn of the event loop that answers it; nothing that a client sends raises.
"""

import asyncio
import time
from typing import Any

import socketio

from server.actions.item_workspaces import SELECTED, find_selection, find_user
from server.actions.runner import Runner
from server.auth.actors import Credentials
from server.auth.origins import OriginRules
from server.auth.tokens import Tokens
from server.delivery.entitlements import close
from server.delivery.relay import Relay
from server.delivery.rooms import Registry
from server.delivery.socketio_server import SocketIOServer
from server.delivery.subscribers import Subscriber
from server.errors import CloseCode, Refused, Unavailable
from server.namespaces.handshake import UNAUTHORIZED, UNAVAILABLE, token_of

NAME = "/events"


class EventsNamespace(socketio.AsyncNamespace):  # type: ignore[misc]
    """Selecting a workspace, and the end of a socket whose token expires."""

    def __init__(
        self,
        server: SocketIOServer,
        registry: Registry,
        relay: Relay,
        runner: Runner,
        tokens: Tokens,
        origins: OriginRules,
    ) -> None:
        super().__init__(NAME)
        self.socketio = server
        self.registry = registry
        self.relay = relay
        self.runner = runner
        self.tokens = tokens
        self.origins = origins
        self.credentials: dict[str, Credentials] = {}
        self.expiries: dict[str, asyncio.TimerHandle] = {}

    async def trigger_event(self, event: Any, *args: Any) -> Any:
        """Finds the handler of an event, whose names have hyphens."""
        return await super().trigger_event(event.replace("-", "_"), *args)

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        """Lets a client with a good token in; others get the connect error `{"message": "Unauthorized"}`."""
        subscriber = self.socketio.subscriber_of(sid)
        try:
            who = Credentials(self.tokens.read_access(token_of(environ, auth, self.origins)))
            user_id = await self.relay.admit(lambda: self.runner.look_at(who, find_user))
        except Refused:
            raise socketio.exceptions.ConnectionRefusedError(UNAUTHORIZED) from None
        except Unavailable:
            raise socketio.exceptions.ConnectionRefusedError(UNAVAILABLE) from None
        if not self.is_here(subscriber):
            raise socketio.exceptions.ConnectionRefusedError(UNAUTHORIZED)
        self.registry.identify(subscriber, user_id)
        self.credentials[sid] = who.admitted()
        self.expire_later(subscriber, who)

    def is_here(self, subscriber: Subscriber) -> bool:
        """False when the connection ended while something was awaited."""
        return self.registry.subscribers.get(subscriber.sid) is subscriber

    def expire_later(self, subscriber: Subscriber, who: Credentials) -> None:
        """Has the socket disconnected when its token expires."""
        assert who.claims is not None
        loop = asyncio.get_running_loop()
        moment = loop.time() + max(who.claims.expires_at - time.time(), 0)
        self.expiries[subscriber.sid] = loop.call_at(
            moment, close, self.registry, subscriber, CloseCode.TOKEN, "token expired"
        )

    async def on_disconnect(self, sid: str, reason: str = "") -> None:
        """Forgets what belonged to the socket."""
        self.credentials.pop(sid, None)
        if (expiry := self.expiries.pop(sid, None)) is not None:
            expiry.cancel()

    async def on_select_workspace(self, sid: str, workspace: Any = None, options: Any = None, *_: Any) -> Any:
        """Replaces the selection; the answer names the position from which events follow. What is refused leaves the
        selection as it was."""
        subscriber, who = self.socketio.subscriber_of(sid), self.credentials[sid]
        if isinstance(workspace, bool) or not isinstance(workspace, int | str):
            return refusal("The workspace must be named by its id.")
        try:
            wanted = await self.relay.admit(lambda: self.runner.look_at(who, find_selection, workspace_id=workspace))
        except Refused as error:
            return refusal(error.detail or error.kind.code)
        except Unavailable:
            return refusal(UNAVAILABLE)
        if not self.is_here(subscriber):
            return refusal(UNAUTHORIZED)
        if wanted.room not in subscriber.rooms:
            self.deselect(subscriber)
            subscriber.subscriptions[wanted.name] = wanted
            self.registry.join(subscriber, wanted.room)
        return {"ok": True, "workspace": workspace, "position": self.relay.cursor}

    def deselect(self, subscriber: Subscriber) -> None:
        """Leaves the selected workspace, if any."""
        selected = subscriber.subscriptions.pop(SELECTED, None)
        if selected is not None:
            self.registry.leave(subscriber, selected.room)

    async def on_deselect_workspace(self, sid: str, *_: Any) -> dict[str, Any]:
        """Ends the selection; harmless when there is none."""
        self.deselect(self.socketio.subscriber_of(sid))
        return {"ok": True}


def refusal(message: str) -> dict[str, Any]:
    return {"ok": False, "message": message}
