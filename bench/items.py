"""A board with 10,000 items: reading one and pages of them, PATCHes and moves that 50 sockets hear.

python -m bench items [--rounds 7] [--seconds 2] [--sqlite] [--write]
"""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from urllib.parse import urlencode

from bench.http_load import Connection, request
from bench.listeners import Listener
from bench.subject import Make, Subject, run
from server.store.models import Item
from server.store.transaction import Store, Transaction

ITEMS = 10_000
CHUNK = 1000  # items of one INSERT
PAGE = 50
DEEP = 9_000  # items before the page
RENAME, MOVE = "PATCH of a name", "PATCH that moves"
ONE, FIRST, LATER = "GET of one", f"GET of {PAGE} first", f"GET of {PAGE} after {DEEP:,}"
STATE, ALL = f"GET of {PAGE} of a column in a state", f"GET of {PAGE} of the workspace after {DEEP:,}"


class Items(Subject):
    """A board whose items are in the first of its columns, but for those that are moved to the second and back."""

    title = "Items"
    bounds: ClassVar = {f"{ONE}: ms": 5.0} | {f"{what}: ms": 30.0 for what in (FIRST, LATER, STATE, ALL)}

    async def fill(self) -> None:
        ann = self.server.sign_up()
        self.token, self.workspace, self.number = ann.token, ann.workspace(), 0
        place = {"workspace_id": self.workspace, "name": "Invoices"}
        place["collection_id"] = self.collection = ann.call("POST", "/collections", place)["id"]
        columns = ann.call("POST", "/workflows", place | {"classification": "RECEIPT"})["columns"]
        self.columns = [column["id"] for column in columns]
        store, where = (
            Store(self.server.database_url, writers=1, readers=1, retries=8),
            (self.workspace, self.collection),
        )
        try:
            starts = range(0, ITEMS, CHUNK)
            chunks = [await store.write(store_chunk, *where, self.columns[0], start) for start in starts]
        finally:
            await asyncio.to_thread(store.close)
        self.ids = [item_id for chunk in chunks for item_id in chunk]

    def reads(self) -> dict[str, Make]:
        dice, collection, column = random.Random(7), {"collection_id": self.collection}, {"column_id": self.columns[0]}
        return {
            ONE: lambda: self.get(f"/items/{dice.choice(self.ids)}"),
            FIRST: lambda: self.get("/items", **collection, limit=PAGE),
            LATER: lambda: self.get("/items", **collection, limit=PAGE, offset=DEEP),
            STATE: lambda: self.get("/items", **column, state="rejected", limit=PAGE),
            ALL: lambda: self.get("/items", limit=PAGE, offset=DEEP),
        }

    def get(self, path: str, **query: Any) -> bytes:
        return request("GET", f"{path}?{urlencode(query)}", Authorization=f"Bearer {self.token}")

    def changes(self) -> dict[str, Callable[[int], bytes]]:
        return {RENAME: lambda _: self.change({}), MOVE: lambda _: self.change({"column_id": self.columns[1]})}

    def change(self, more: dict[str, str]) -> bytes:
        """Gives the next item a name that none ever had; one that is moved comes back with its next name."""
        self.number += 1
        item_id = self.ids[self.number % ITEMS]
        body = {"name": f"name {self.number};"} | more
        return request("PATCH", f"/items/{item_id}", body, Authorization=f"Bearer {self.token}")

    async def listen(self, change: str) -> Listener:
        socket = await Listener.open(self.server.port, f"/ws/events/?jwt_token={self.token}&offsets=true")
        await socket.until('"success":true')
        socket.send(json.dumps({"select-workspace": self.workspace}))
        await socket.until("workspace-selected")
        return socket

    def made(self, body: bytes) -> str:
        return str(json.loads(body)["name"])

    def told(self, socket: Listener) -> list[str]:
        return [message["data"]["name"] for message in updates(socket)]

    async def committed(self, change: str, connection: Connection, sockets: Sequence[Listener]) -> list[str]:
        """By what one of the sockets was told of their places in the log."""
        known = {message["offset"]: message["data"]["name"] for socket in sockets[:1] for message in updates(socket)}
        return [known[offset] for offset in sorted(known)]


def updates(socket: Listener) -> list[dict[str, Any]]:
    return [message for message in socket.messages() if message["type"] == "item-updated"]


def store_chunk(tx: Transaction, workspace: int, collection: str, column: str, start: int) -> list[str]:
    """Stores items without telling anybody, every tenth of them rejected; returns their ids."""
    place = {"workspace_id": workspace, "collection_id": collection, "column_id": column}
    items = [
        Item(**place, name=f"Invoice {number}", state="uploaded" if number % 10 else "rejected")
        for number in range(start, start + CHUNK)
    ]
    Item.insert_many([item.__data__ for item in items]).execute()
    return [item.id for item in items]


def main(arguments: Sequence[str] | None = None) -> None:
    run("items", Items, f"{ITEMS:,} items on one board", arguments)


if __name__ == "__main__":
    main()
