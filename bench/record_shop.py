"""A project whose endpoints hold 100,000 records each, for measurements of the records API."""

import asyncio
import json
import uuid
from typing import Any
from urllib.parse import urlencode

import orjson

from bench.http_load import Connection, request
from bench.released import Released
from bench.rest_client import PASSWORD
from server.actions.records import current_time
from server.store.models import StoredRecord
from server.store.transaction import Store, Transaction

RECORDS = 100_000  # of each owner on each endpoint
CHUNK = 10_000  # records of one transaction
PEOPLE, OPEN, VAULT = "club/people", "shop/orders", "club/vault"


def body(number: int) -> dict[str, Any]:
    """A record as pages store it, 230 bytes of JSON."""
    lines = [{"article": f"A-{number % 997:04d}", "count": number % 9 + 1, "price": 12.5} for _ in range(3)]
    return {"number": number, "state": "open", "customer": f"customer {number % 5000:04d}", "lines": lines}


class Shop:
    """An open endpoint, and a secure one on which two users own every other record, of which `token` sees its own.
    `ids` are those of the records that were there from the beginning, `count` how many can be seen."""

    def __init__(self, server: Released) -> None:
        self.server = server
        self.ids: dict[str, list[str]] = {}
        self.count = {OPEN: RECORDS, VAULT: RECORDS}
        admin = server.sign_up()
        self.project = admin.call("POST", "/api/projects/", {"workspace_id": admin.workspace(), "name": "Web shop"})
        make = f"/api/projects/{self.project['id']}/endpoints/"
        flags: dict[str, dict[str, Any]] = {OPEN: {}, PEOPLE: {"authentication": True}, VAULT: {"secure": True}}
        self.endpoints = {name: admin.call("POST", make, {"name": name, **more})["id"] for name, more in flags.items()}
        self.token = ""

    def path(self, name: str, **query: Any) -> str:
        return f"/api/1/ce/{name}?{urlencode({'key': self.project['key']} | query)}"

    def get(self, name: str, **query: Any) -> bytes:
        """A request to read; with the user's token where it is needed."""
        return request("GET", self.path(name, **query), **self.headers(name))

    def post(self, name: str, number: int) -> bytes:
        return request("POST", self.path(name), body(number), **self.headers(name))

    def socket_path(self, name: str) -> str:
        return self.path(name, **({"accessToken": self.token} if name == VAULT else {}))

    async def read_new(self, connection: Connection, name: str) -> list[str]:
        """The ids of the records that were made since the last time, oldest first."""
        records = json.loads(await connection.ok(self.get(name, offset=self.count[name])))
        self.count[name] += len(records)
        return [record["uniqueId"] for record in records]

    def headers(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if name == VAULT else {}

    async def fill(self) -> None:
        """Registers two users and stores the records."""
        user, other = [await self.register(name) for name in ("ann", "bob")]
        store = Store(self.server.database_url, writers=1, readers=1, retries=8)
        try:
            self.ids[OPEN] = await self.store_records(store, OPEN, [None])
            self.ids[VAULT] = (await self.store_records(store, VAULT, [user, other]))[::2]
        finally:
            await asyncio.to_thread(store.close)

    async def store_records(self, store: Store, name: str, owners: list[int | None]) -> list[str]:
        """The ids of the records, which the owners have in turn."""
        ids: list[str] = []
        for start in range(0, RECORDS * len(owners), CHUNK):
            numbers = range(start, start + CHUNK)
            ids += await store.write(store_chunk, self.endpoints[name], numbers, owners)
        return ids

    async def register(self, name: str) -> int:
        """A new user, whose token is used if it is the first; returns the owner id."""
        connection, user = await Connection.open(self.server.port), {"username": name, "password": PASSWORD}
        await connection.ok(request("POST", self.path(PEOPLE), user))
        if not self.token:
            answer = await connection.send(request("POST", self.path(PEOPLE, login="true", noATCookie="true"), user))
            line = next(line for line in answer.head.decode().split("\r\n") if line.lower().startswith("authorization"))
            self.token = line.rpartition(" ")[2]
        connection.transport.close()
        store = Store(self.server.database_url, writers=1, readers=1, retries=8)
        try:
            return await store.read(find_user, self.endpoints[PEOPLE])
        finally:
            await asyncio.to_thread(store.close)


def find_user(tx: Transaction, endpoint_id: int) -> int:
    """The id of the newest user."""
    newest = StoredRecord.select().where(StoredRecord.endpoint_id == endpoint_id).order_by(StoredRecord.id.desc())
    return int(newest.first().id)


def store_chunk(tx: Transaction, endpoint_id: int, numbers: range, owners: list[int | None]) -> list[str]:
    """Stores records without telling anybody; returns their ids."""
    moment, ids = current_time(), [uuid.uuid4().hex for _ in numbers]
    sql = f"""
        INSERT INTO record (endpoint_id, unique_id, data, created_at, updated_at, owner_id)
        VALUES ({", ".join([tx.db.param] * 6)})
    """
    rows = [
        (endpoint_id, unique_id, orjson.dumps(body(number)).decode(), moment, moment, owners[number % len(owners)])
        for number, unique_id in zip(numbers, ids, strict=True)
    ]
    tx.db.cursor().executemany(sql, rows)
    return ids
