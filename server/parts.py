"""The parts of a running application, by the keys under which they are found; what resources need of them is in
`server/rest/context.py`."""

from typing import NamedTuple

from aiohttp import web

from server.auth.passwords import Passwords
from server.auth.tokens import Tokens
from server.delivery.bell import Bell
from server.delivery.outlet import Outlet
from server.delivery.presence import Presence
from server.delivery.relay import Relay
from server.delivery.rooms import Registry
from server.delivery.sessions import Sessions
from server.delivery.socketio_server import SocketIOServer
from server.delivery.websocket import WebSocketServer
from server.interpretation.service import Interpretations
from server.settings import Settings
from server.storage.base import Storage
from server.store.transaction import Store
from server.webhooks.service import Webhooks


class Tools(NamedTuple):
    """What the server and the commands share."""

    store: Store
    tokens: Tokens
    passwords: Passwords
    storage: Storage

    def close(self) -> None:
        """Waits for what runs, and closes connections; blocks."""
        self.store.close()
        self.passwords.close()
        self.storage.close()


SETTINGS = web.AppKey("settings", Settings)
REGISTRY = web.AppKey("registry", Registry)
OUTLET = web.AppKey("outlet", Outlet)
RELAY = web.AppKey("relay", Relay)
BELL = web.AppKey("bell", Bell)
SESSIONS = web.AppKey("sessions", Sessions)
PRESENCE = web.AppKey("presence", Presence)
STORE = web.AppKey("store", Store)
TOOLS = web.AppKey("tools", Tools)
SOCKETIO = web.AppKey("socketio", SocketIOServer)
WEBSOCKETS = web.AppKey("websockets", WebSocketServer)
WEBHOOKS = web.AppKey("webhooks", Webhooks)
INTERPRETATIONS = web.AppKey("interpretations", Interpretations)
