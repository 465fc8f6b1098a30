"""Socket.IO as little as a client needs: one namespace over one WebSocket, Engine.IO 4, no binary attachments.

Not the official client, because the tests need its `pid`, its offset and its half-open connections in their own hands.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.faults.clients.base import Lost, next_text

# Engine.IO packets
OPEN, PING, PONG, MESSAGE = "0", "2", "3", "4"
# Socket.IO packets
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR = "0", "1", "2", "3", "4"
PACKET = re.compile(r"4(?P<kind>[0-4])(?:(?P<namespace>/[^,]*),)?(?P<ack>\d+)?(?P<data>.*)", re.DOTALL)
QUERY = {"EIO": "4", "transport": "websocket"}


@dataclass(frozen=True, slots=True)
class Packet:
    """A Socket.IO packet; `ack` is the id of an acknowledgement that is asked for or given."""

    kind: str
    data: Any
    ack: int | None


class SocketIO:
    """A connected namespace. Pings are answered while somebody reads, as official clients do it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, namespace: str) -> None:
        self.socket = socket
        self.namespace = namespace
        self._asked = 0

    async def connect(self, auth: dict[str, Any]) -> dict[str, Any]:
        """Joins the namespace; returns what CONNECT answered: `sid`, and `pid` where recovery is on. Raises Lost with
        the reason when the server refuses."""
        first = await next_text(self.socket)
        assert first.startswith(OPEN), first
        await self._send(CONNECT, auth)
        packet = await self.next()
        if packet.kind == CONNECT_ERROR:
            raise Lost(packet.data)
        assert packet.kind == CONNECT, packet
        welcome: dict[str, Any] = packet.data
        return welcome

    async def next(self) -> Packet:
        """The next packet of the namespace; raises Lost at the end of the connection or of the namespace."""
        while True:
            text = await next_text(self.socket)
            if text == PING:
                await self.socket.send_str(PONG)
                continue
            found = PACKET.fullmatch(text)
            if found is None or found["kind"] == DISCONNECT:
                raise Lost(text)
            assert found["namespace"] == self.namespace, text
            data = json.loads(found["data"]) if found["data"] else None
            return Packet(found["kind"], data, int(found["ack"]) if found["ack"] else None)

    async def emit(self, name: str, *arguments: Any) -> int:
        """Sends an event that asks for an acknowledgement; returns its id."""
        self._asked += 1
        await self._send(EVENT, [name, *arguments], self._asked)
        return self._asked

    async def _send(self, kind: str, data: Any, ack: int | None = None) -> None:
        number = "" if ack is None else str(ack)
        await self.socket.send_str(f"{MESSAGE}{kind}{self.namespace},{number}{json.dumps(data)}")
