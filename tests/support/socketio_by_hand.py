"""Socket.IO spoken packet by packet, over either transport, with whatever a test wants to send."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.app import Person, Server
from tests.support.engineio import PATIENCE, PROMPT, Polling, websocket

PATH = "/socket.io/?EIO=4&transport="
TRANSPORTS = ("polling", "websocket")


class Client:
    """A Socket.IO client over one transport, spoken by hand."""

    def __init__(self, link: Polling | aiohttp.ClientWebSocketResponse) -> None:
        self.link = link
        self.waiting: list[Any] = []

    async def send(self, packet: str | bytes) -> None:
        if isinstance(self.link, Polling):
            await self.link.post(packet if isinstance(packet, str) else b"b" + b64encode(packet))
        else:
            await (self.link.send_str(packet) if isinstance(packet, str) else self.link.send_bytes(packet))

    async def receive(self) -> Any:
        """The next packet, bytes in base64 where they come so; pings and NOOPs are left out."""
        while True:
            if not self.waiting:
                if isinstance(self.link, Polling):
                    self.waiting = [packet for packet in await self.link.poll() if packet != "6"]
                else:
                    self.waiting = [(await self.link.receive(timeout=PATIENCE)).data]
            elif (packet := self.waiting.pop(0)) != "2":
                return packet

    async def enter(self, person: Person, namespace: str = "/core", **auth: Any) -> dict[str, Any]:
        """Connects to a namespace; what the server answers."""
        await self.send(f"40{namespace},{json.dumps({'token': person.token} | auth)}")
        answer = await self.receive()
        assert answer.startswith(f"40{namespace},"), answer
        body: dict[str, Any] = json.loads(answer.partition(",")[2])
        return body

    async def ask(self, event: str, *attachments: bytes) -> Any:
        """Sends an event with the id 7, given as the whole packet; what it is answered."""
        for packet in (event, *attachments):
            await self.send(packet)
        while not (answer := await self.receive()).startswith("43"):
            pass
        (body,) = json.loads(answer[answer.index("7[") + 1 :])
        return body

    async def ended(self) -> None:
        """The connection must end, promptly and so that clients come back: without a CLOSE packet."""
        if not isinstance(self.link, Polling):
            while (message := await self.link.receive(timeout=PROMPT)).type is not aiohttp.WSMsgType.CLOSE:
                assert message.data != "1"
            await self.link.close()
            return
        while (answer := await asyncio.wait_for(self.link.request("GET"), PROMPT))[0] == 200:
            assert "1" not in answer[1].split("\x1e")
        self.link.closed = True


@asynccontextmanager
async def client(server: Server, transport: str) -> AsyncIterator[Client]:
    if transport == "websocket":
        async with websocket(server.url, PATH) as socket:
            yield Client(socket)
    else:
        async with Polling(server.url, PATH) as polling:
            yield Client(await polling.open())
