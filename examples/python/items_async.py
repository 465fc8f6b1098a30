"""python items_async.py [NAME]: follows the workspace of a client (CLIENT_ID, CLIENT_SECRET) of the server ROOMCAST,
with asyncio, and makes an item with this name.

pip install "python-socketio[asyncio_client]"
"""

import asyncio
import os
import sys
from typing import Any

import aiohttp
import socketio

SERVER = os.environ.get("ROOMCAST", "http://127.0.0.1:8000")
RETRY = 2  # seconds


class Follower:
    """Reads the columns of the workspace, then hears every change, across connections."""

    def __init__(self, http: aiohttp.ClientSession, *names: str) -> None:
        self.http = http
        self.names = [*names]  # of items to make
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("*", self.told, namespace="/events")
        self.workspace = self.column = ""
        self.cursor: str | None = None  # the position up to which everything is known
        self.heard: str | None = None  # that of the last event; while missed events are told, it runs ahead

    async def run(self) -> None:
        while True:
            try:
                await self.follow()
            except (OSError, aiohttp.ClientError, socketio.exceptions.SocketIOError) as error:
                if isinstance(error, aiohttp.ClientResponseError) and error.status < 500:
                    raise  # refused
                print(f"trying again: {error or type(error).__name__}", flush=True)
            await self.socket.disconnect()
            await asyncio.sleep(RETRY)

    async def follow(self) -> None:
        """Follows until the connection ends; the server ends it when the token has expired."""
        token = await self.get_token()
        if self.cursor is None:
            await self.read(token)
        # with `recovery` every event ends with its position
        auth = {"token": token, "recovery": True}
        await self.socket.connect(SERVER, auth=auth, namespaces=["/events"])
        selection = (self.workspace, {"since": self.cursor})
        answer = await self.socket.call("select-workspace", selection, namespace="/events", timeout=10)
        if not answer["ok"] or answer.get("refresh"):  # that past is gone
            self.cursor = None
            return
        print("following", flush=True)
        while self.names:
            await self.add(token, self.names.pop())
        await self.socket.wait()
        self.cursor = self.heard

    async def get_token(self) -> str:
        credentials = {name: os.environ[name.upper()] for name in ("client_id", "client_secret")}
        async with self.http.post(f"{SERVER}/authenticate/client", data=credentials) as response:
            response.raise_for_status()
            token: str = (await response.json())["access_token"]
            return token

    async def read(self, token: str) -> None:
        """The state at the position `Stream-Offset`; what happened above that is told as events."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self.http.get(f"{SERVER}/workspaces?include=workflows", headers=headers) as response:
            response.raise_for_status()
            (workspace,) = await response.json()  # a client has exactly one
        for workflow in workspace["workflows"]:
            for column in workflow["columns"]:
                self.show("column-patched", column)
        self.workspace, self.column = workspace["id"], workspace["workflows"][0]["columns"][0]["id"]
        self.cursor = self.heard = response.headers["Stream-Offset"]

    async def add(self, token: str, name: str) -> None:
        """Makes an item in the first column, of which we are told like everybody."""
        body, headers = {"column_id": self.column, "name": name}, {"Authorization": f"Bearer {token}"}
        async with self.http.post(f"{SERVER}/items", json=body, headers=headers) as response:
            response.raise_for_status()

    def told(self, event: str, argument: Any, position: str) -> None:
        self.heard = position
        self.show(event, argument)

    def show(self, event: str, argument: Any) -> None:
        match event:
            case "item-updated":  # the whole item
                print(f"{argument['name']} is {argument['state']}", flush=True)
            case "item-removed":
                print(f"{argument} is gone", flush=True)
            case "column-patched":
                print(f"{argument['name']}: {argument['subscribed_items']}", flush=True)
            case "workspace-deselected":
                print("no longer a member", flush=True)


async def main() -> None:
    async with aiohttp.ClientSession() as http:
        await Follower(http, *sys.argv[1:]).run()


if __name__ == "__main__":
    asyncio.run(main())
