"""What a real server writes and answers holds no credential, wherever a client put it."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.support.commands import SECRET, serving

NAMES = ("jwt_token", "token", "access_token", "accessToken", "client_secret", "key", "masterKey", "pid")
ENGINE = "/socket.io/?EIO=4&transport=websocket"
LAST = "/the-last-request"


class Marks:
    """Secrets that can be recognised: each says where it was put."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, where: str) -> str:
        self.made.append(f"S3CR3T-{re.sub('[^a-z]', '', where.lower())}-{len(self.made):03}-abcdef")
        return self.made[-1]

    def found(self, text: str) -> list[str]:
        return [mark for mark in self.made if mark in text]


async def over_http(url: str, http: aiohttp.ClientSession, marks: Marks) -> str:
    """Puts secrets wherever a request has place for one; returns all that was answered."""
    answers: list[str] = []

    async def ask(method: str, path: str, **more: Any) -> None:
        async with http.request(method, url + path, **more) as answer:
            answers.append(f"{answer.headers} {await answer.text()}")

    for name in NAMES:
        for path in ("/ws/core/", "/api/1/ce/shop", "/nowhere", "/api/events/stream", "/socket.io/"):
            await ask("GET", f"{path}?a=1&{name}={marks(name)}&b=2")
        await ask("GET", f"/api/1/ce/shop?{name.upper()}={marks(name)}")
        await ask("GET", f"/api/1/ce/shop?%{ord(name[0]):x}{name[1:]}={marks(name)}")
        for body in (f'{{"{name}": "{marks(name)}"}}', f'{{"{name}": "{marks(name)}"', f'["{name}", "{marks(name)}"]'):
            for path in ("/api/user/token-refresh/", "/api/user/", "/authenticate/user", "/api/projects/"):
                await ask("POST", path, data=body, headers={"Content-Type": "application/json"})
    for header in ("Authorization", "X-Master-Key", "Cookie"):
        for value in ("{}", "JWT {}", "Bearer {}", "access_token={}"):
            await ask("GET", "/api/workspaces/", headers={header: value.format(marks(header))})
            await ask("GET", "/workspaces", headers={header: value.format(marks(header))})
    await ask("GET", f"/api/workspaces/invitations/token/{marks('invitation')}/")
    for kind in ("old_password", "new_password", "password"):
        await ask("POST", "/api/user/token-auth/", json={"email": "ann@example.com", kind: marks(kind)})
    return "\n".join(answers)


async def over_sockets(url: str, http: aiohttp.ClientSession, marks: Marks) -> None:
    """Puts secrets into what sockets send, in and out of shape."""
    for path in ("/ws/core/", "/ws/events/"):
        async with http.ws_connect(f"{url}{path}?jwt_token={marks('socket')}") as socket:
            await socket.receive()
    async with http.ws_connect(f"{url}/ws/core/?jwt_token=anonymous") as socket:
        for name in NAMES:
            for frame in (f'{{"type": "refresh", "{name}": "{marks(name)}"}}', f'{{"{name}": "{marks(name)}"'):
                await socket.send_str(frame)
    for name in NAMES:
        async with http.ws_connect(f"{url}{ENGINE}&{name}={marks(name)}") as socket:
            await socket.receive()
            await socket.send_str(f'40/core,{{"{name}": "{marks(name)}", "recovery": true}}')
            await socket.receive()
            await socket.send_str(f'40/ce,{{"{name}": "{marks(name)}"}}')
            await socket.receive()
            await socket.send_str(f'42/ce,1["subscribe",{{"endpoint": "shop", "{name}": "{marks(name)}"}}]')
            await socket.receive()
            await socket.send_str(f'42/ce,["{name}","{marks(name)}"')


async def raw_bytes(url: str, marks: Marks) -> None:
    """Sends requests that are none, with secrets in them."""
    place = urlsplit(url)
    for line in (
        "GET /ws/core/?jwt_token={} HTTP/9.9\r\n\r\n",
        "GET /?key={}\x00 HTTP/1.1\r\n\r\n",
        "GET /?token={} HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: JWT {}\r\nContent-Length: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: access_token={}\r\nBad\r\n\r\n",
        "POST /api/user/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n?token={}\r\n",
    ):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(line.format(marks("raw")).encode())
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(1):
                await reader.read(1)
        writer.close()


@pytest.mark.parametrize("form", ["json", "console"])
async def test_a_server_writes_and_answers_no_credential(tmp_path: Path, form: str) -> None:
    marks = Marks()
    database = f"sqlite:///{tmp_path}/test.sqlite3"
    with serving(DATABASE_URL=database, LOG_FORMAT=form, LOG_LEVEL="DEBUG", ALLOW_SIGNUPS="false") as (child, url):
        async with aiohttp.ClientSession() as http:
            answers = await over_http(url, http, marks)
            await over_sockets(url, http, marks)
            await raw_bytes(url, marks)
            async with http.get(url + LAST):
                await asyncio.to_thread(child.wait_line, LAST)
        written = child.output
    assert marks.found(written) == [] and SECRET not in written
    assert marks.found(answers) == []
    for name in NAMES:
        assert f"{name}=[redacted]" in written, "requests are logged with the names"
    assert written.count("[redacted]") > 50
