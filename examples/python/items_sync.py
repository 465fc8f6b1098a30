"""python items_sync.py [NAME]: follows the workspace of a client (CLIENT_ID, CLIENT_SECRET) of the server ROOMCAST,
without asyncio, and makes an item with this name.

pip install "python-socketio[client]"
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import socketio

SERVER = os.environ.get("ROOMCAST", "http://127.0.0.1:8000")
RETRY = 2  # seconds


class Client(socketio.Client):  # type: ignore[misc]
    """Handles packets one after the other: the library starts a thread for each, and threads overtake each other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.packets = ThreadPoolExecutor(1)
        start = self.eio.start_background_task

        def begin(target: Any, *arguments: Any) -> Any:
            is_packet = target == self.eio.handlers["message"]
            return (self.packets.submit if is_packet else start)(target, *arguments)

        self.eio.start_background_task = begin

    def wait(self) -> None:
        """Until the connection has ended and everything that it brought is handled."""
        super().wait()
        self.packets.submit(bool).result()


class Follower:
    """Reads the columns of the workspace, then hears every change, across connections."""

    def __init__(self, *names: str) -> None:
        self.names = [*names]  # of items to make
        self.socket = Client(reconnection=False)
        self.socket.on("*", self.told, namespace="/events")
        self.workspace = self.column = ""
        self.cursor: str | None = None  # the position up to which everything is known
        self.heard: str | None = None  # that of the last event; while missed events are told, it runs ahead

    def run(self) -> None:
        while True:
            try:
                self.follow()
            except (OSError, HTTPException, socketio.exceptions.SocketIOError) as error:
                if isinstance(error, HTTPError) and error.code < 500:
                    raise  # refused
                say(f"trying again: {error or type(error).__name__}")
            self.socket.disconnect()
            time.sleep(RETRY)

    def follow(self) -> None:
        """Follows until the connection ends; the server ends it when the token has expired."""
        token = self.get_token()
        if self.cursor is None:
            self.read(token)
        # with `recovery` every event ends with its position
        self.socket.connect(SERVER, auth={"token": token, "recovery": True}, namespaces=["/events"])
        selection = (self.workspace, {"since": self.cursor})
        answer = self.socket.call("select-workspace", selection, namespace="/events", timeout=10)
        if not answer["ok"] or answer.get("refresh"):  # that past is gone
            self.cursor = None
            return
        say("following")
        while self.names:
            self.add(token, self.names.pop())
        self.socket.wait()
        self.cursor = self.heard

    def get_token(self) -> str:
        credentials = {name: os.environ[name.upper()] for name in ("client_id", "client_secret")}
        with urlopen(f"{SERVER}/authenticate/client", data=urlencode(credentials).encode()) as response:
            token: str = json.load(response)["access_token"]
            return token

    def read(self, token: str) -> None:
        """The state at the position `Stream-Offset`; what happened above that is told as events."""
        with ask("GET", "/workspaces?include=workflows", token) as response:
            (workspace,) = json.load(response)  # a client has exactly one
        for workflow in workspace["workflows"]:
            for column in workflow["columns"]:
                self.show("column-patched", column)
        self.workspace, self.column = workspace["id"], workspace["workflows"][0]["columns"][0]["id"]
        self.cursor = self.heard = response.headers["Stream-Offset"]

    def add(self, token: str, name: str) -> None:
        """Makes an item in the first column, of which we are told like everybody."""
        ask("POST", "/items", token, {"column_id": self.column, "name": name}).close()

    def told(self, event: str, argument: Any, position: str) -> None:
        self.heard = position
        self.show(event, argument)

    def show(self, event: str, argument: Any) -> None:
        match event:
            case "item-updated":  # the whole item
                say(f"{argument['name']} is {argument['state']}")
            case "item-removed":
                say(f"{argument} is gone")
            case "column-patched":
                say(f"{argument['name']}: {argument['subscribed_items']}")
            case "workspace-deselected":
                say("no longer a member")


def say(line: str) -> None:
    """Prints in one write, since events come from a thread of their own."""
    print(f"{line}\n", end="", flush=True)


def ask(method: str, path: str, token: str, body: Any = None) -> HTTPResponse:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    answer: HTTPResponse = urlopen(Request(f"{SERVER}{path}", data, headers, method=method))
    return answer


if __name__ == "__main__":
    Follower(*sys.argv[1:]).run()
