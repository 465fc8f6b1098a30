"""Many sockets in a process of their own, as cheap as can be: `python -m tests.faults.holders URL TABLES STYLES COUNT`
opens so many sockets on the pages of the tables, in turn of each style, with the access token in TOKEN, says `holding
COUNT`, and holds them until it is killed. Then the kernel ends all of them at once.

What the server sends is thrown away; a close frame is answered, as every WebSocket library does.
"""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

AT_ONCE = 200  # connections that are being opened
PATIENCE = 60.0  # seconds
CLOSE = b"\x88"
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

Steps = list[tuple[bytes, bytes]]  # what is waited for, what is sent then
Style = Callable[[str, int, str], tuple[str, str, Steps]]  # token, table, a new id -> path, headers, steps


def frame(text: str) -> bytes:
    """A masked text frame of a client; the mask is zero, which leaves the text as it is."""
    data = text.encode()
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
    return b"\x81" + size + bytes(4) + data


class Socket(asyncio.Protocol):
    """One socket: its request, then a frame after each answer in which the text of the next step is found."""

    def __init__(self, request: bytes, steps: Steps) -> None:
        self.request = request
        self.steps = steps
        self.joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.joined.done():
            if CLOSE in data:
                self.transport.close()
            return
        self.seen += data
        while self.steps and self.steps[0][0] in self.seen:
            _, answer = self.steps.pop(0)
            self.transport.write(answer)
        if not self.steps:
            self.joined.set_result(None)
            self.seen = b""

    def connection_lost(self, error: Exception | None) -> None:
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(self.seen[-200:]))


def classic(token: str, table: int, sid: str) -> tuple[str, str, Steps]:
    page = frame(json.dumps({"page": "table", "table_id": table}))
    return f"/ws/core/?jwt_token={token}", UPGRADE, [(b'"authentication"', page), (b'"page_add"', b"")]


def modern(token: str, table: int, sid: str) -> tuple[str, str, Steps]:
    path, headers, steps = classic(token, table, sid)
    steps[-1] = (b'"page_add"', frame('{"type":"replay_events","last_seen_id":-1}'))
    return f"{path}&web_socket_id={sid}", headers, [*steps, (b'"replay_events_result"', b"")]


def socketio(token: str, table: int, sid: str) -> tuple[str, str, Steps]:
    connect = frame("40/core," + json.dumps({"token": token}))  # a user has 200 sessions at most
    page = frame("42/core,1" + json.dumps(["page", {"page": "table", "table_id": table}]))
    path = "/socket.io/?EIO=4&transport=websocket"
    return path, UPGRADE, [(b'"pingInterval"', connect), (b"40/core,", page), (b"43/core,1", b"")]


def stream(token: str, table: int, sid: str) -> tuple[str, str, Steps]:
    return f"/api/events/stream?room=table:{table}", f"Authorization: JWT {token}\r\n", [(b"retry: ", b"")]


STYLES: dict[str, Style] = {"classic": classic, "modern": modern, "socketio": socketio, "stream": stream}


async def hold(url: str, tables: list[int], styles: list[str], count: int, token: str) -> None:
    address = urlsplit(url)
    host, port = address.hostname or "", address.port or 0
    turn = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()

    async def open_one(number: int) -> Socket:
        async with turn, asyncio.timeout(PATIENCE):
            table = tables[number // len(styles) % len(tables)]
            path, headers, steps = STYLES[styles[number % len(styles)]](token, table, str(uuid.uuid4()))
            request = f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{headers}\r\n".encode()
            _, made = await loop.create_connection(lambda: Socket(request, steps), host, port)
            await made.joined
            return made

    held = await asyncio.gather(*(open_one(number) for number in range(count)))
    print(f"holding {len(held)}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    url, tables, styles, count = sys.argv[1:]
    asyncio.run(hold(url, json.loads(tables), styles.split(","), int(count), os.environ["TOKEN"]))
