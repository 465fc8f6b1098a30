"""The demo's REST client: calls that must succeed."""

import json
from typing import Any

import aiohttp


class DemoFailed(Exception):
    """The demonstration could not be given; the text says at which request."""


class Rest:
    """Calls one server for one person."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self.http = http
        self.url = url
        self.token = ""

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON value of the answer. Raises DemoFailed for any status of 400 and above."""
        headers = {"Authorization": f"JWT {self.token}"} if self.token else {}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as response:
            raw = await response.read()
            if response.status >= 400:
                raise DemoFailed(f"{method} {path}: {response.status} {raw.decode(errors='replace')}")
            return json.loads(raw) if raw else None
