"""The demo's changes, and which messages each client must receive for them (contracts database, items, records).

An expected message names the keys that matter: a received one matches when it holds them with the same values.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from server.cli.demo.listeners import CORE, CORE_SOCKETIO, ITEMS, RECORDS
from server.cli.demo.rest import Rest
from server.cli.demo.stage import Stage

Message = dict[str, Any]
Expected = dict[str, list[Message]]  # listener -> messages, in order


@dataclass(frozen=True, slots=True)
class Change:
    """A request; `make` returns what must be received because of it."""

    title: str
    make: Callable[[], Awaitable[Expected]]


def core(*messages: Message) -> Expected:
    """Messages of the database API go to both of its dialects."""
    return {CORE: list(messages), CORE_SOCKETIO: list(messages)}


def changes(rest: Rest, stage: Stage) -> Iterator[Change]:
    """All changes, in their order."""
    yield from Rows(rest, stage).changes()
    yield from Structure(rest, stage).changes()
    yield from Items(rest, stage).changes()
    yield from Records(rest, stage).changes()


class Rows:
    """Rows of a table, one by one and in batches."""

    def __init__(self, rest: Rest, stage: Stage) -> None:
        self.rest = rest
        self.stage = stage
        self.path = f"/api/database/rows/table/{stage.table_id}/"
        self.row: Message = {}
        self.batch: list[Message] = []

    def changes(self) -> Iterator[Change]:
        yield Change("row created", self.create)
        yield Change("row updated", self.update)
        yield Change("rows created, batch", self.create_batch)
        yield Change("rows updated, batch", self.update_batch)
        yield Change("row moved", self.move)
        yield Change("row deleted", self.delete)
        yield Change("rows deleted, batch", self.delete_batch)

    def message(self, kind: str, **more: Any) -> Message:
        return {"type": kind, "table_id": self.stage.table_id} | more

    def updated(self, rows: list[Message]) -> Expected:
        ids = [{"id": row["id"]} for row in rows]
        return core(self.message("before_rows_update", rows=ids), self.message("rows_updated", rows=rows))

    def deleted(self, rows: list[Message]) -> Expected:
        ids = [row["id"] for row in rows]
        return core(
            self.message("before_rows_delete", rows=[{"id": number} for number in ids]),
            self.message("rows_deleted", row_ids=ids),
        )

    async def create(self) -> Expected:
        self.row = await self.rest.call("POST", self.path, {self.stage.field: "first"})
        return core(self.message("rows_created", rows=[self.row]))

    async def update(self) -> Expected:
        self.row = await self.rest.call("PATCH", f"{self.path}{self.row['id']}/", {self.stage.field: "second"})
        return self.updated([self.row])

    async def create_batch(self) -> Expected:
        items = [{self.stage.field: name} for name in ("third", "fourth", "fifth")]
        self.batch = (await self.rest.call("POST", f"{self.path}batch/", {"items": items}))["items"]
        return core(self.message("rows_created", rows=self.batch))

    async def update_batch(self) -> Expected:
        items = [{"id": row["id"], self.stage.field: f"{row[self.stage.field]}!"} for row in self.batch]
        self.batch = (await self.rest.call("PATCH", f"{self.path}batch/", {"items": items}))["items"]
        return self.updated(self.batch)

    async def move(self) -> Expected:
        query = f"?before_id={self.row['id']}"
        moved = await self.rest.call("PATCH", f"{self.path}{self.batch[-1]['id']}/move/{query}")
        return self.updated([moved])

    async def delete(self) -> Expected:
        await self.rest.call("DELETE", f"{self.path}{self.row['id']}/")
        return self.deleted([self.row])

    async def delete_batch(self) -> Expected:
        await self.rest.call("POST", f"{self.path}batch-delete/", {"items": [row["id"] for row in self.batch]})
        return self.deleted(self.batch)


class Structure:
    """A field, a table, a database."""

    def __init__(self, rest: Rest, stage: Stage) -> None:
        self.rest = rest
        self.stage = stage

    def changes(self) -> Iterator[Change]:
        yield Change("field created", self.create_field)
        yield Change("table renamed", self.rename_table)
        yield Change("database renamed", self.rename_database)

    async def create_field(self) -> Expected:
        body = {"name": "Amount", "type": "number"}
        field = await self.rest.call("POST", f"/api/database/fields/table/{self.stage.table_id}/", body)
        return core({"type": "field_created", "field": {"id": field["id"], "name": "Amount"}})

    async def rename_table(self) -> Expected:
        number = self.stage.table_id
        await self.rest.call("PATCH", f"/api/database/tables/{number}/", {"name": "Sale"})
        return core({"type": "table_updated", "table_id": number, "table": {"name": "Sale"}})

    async def rename_database(self) -> Expected:
        number = self.stage.database_id
        await self.rest.call("PATCH", f"/api/applications/{number}/", {"name": "Sales"})
        return core({"type": "application_updated", "application_id": number, "application": {"name": "Sales"}})


class Items:
    """An item on its way over a board."""

    def __init__(self, rest: Rest, stage: Stage) -> None:
        self.rest = rest
        self.source, self.target = stage.column_ids[:2]
        self.id = ""

    def changes(self) -> Iterator[Change]:
        yield Change("item created", self.create)
        yield Change("item moved", self.move)
        yield Change("item deleted", self.delete)

    def updated(self, column: str) -> Message:
        return {"type": "item-updated", "data": {"id": self.id, "column_id": column}}

    def patched(self, column: str, items: int) -> Message:
        return {"type": "column-patched", "data": {"id": column, "subscribed_items": items}}

    async def create(self) -> Expected:
        body = {"column_id": self.source, "name": "Invoice 1"}
        self.id = (await self.rest.call("POST", "/items", body))["id"]
        return {ITEMS: [self.updated(self.source), self.patched(self.source, 1)]}

    async def move(self) -> Expected:
        await self.rest.call("PATCH", f"/items/{self.id}", {"column_id": self.target})
        return {ITEMS: [self.updated(self.target), self.patched(self.source, 0), self.patched(self.target, 1)]}

    async def delete(self) -> Expected:
        await self.rest.call("DELETE", f"/items/{self.id}")
        return {ITEMS: [{"type": "item-removed", "data": self.id}, self.patched(self.target, 0)]}


class Records:
    """A record of an endpoint."""

    def __init__(self, rest: Rest, stage: Stage) -> None:
        self.rest = rest
        self.path = f"/api/1/ce/{stage.endpoint}?key={stage.key}"
        self.id = ""

    def changes(self) -> Iterator[Change]:
        yield Change("record created", self.create)
        yield Change("record replaced", self.replace)
        yield Change("record deleted", self.delete)

    async def create(self) -> Expected:
        record = await self.rest.call("POST", self.path, {"temperature": 20})
        self.id = record["uniqueId"]
        return {RECORDS: [{"type": "POST", "record": record}]}

    async def replace(self) -> Expected:
        record = await self.rest.call("PUT", f"{self.path}&uniqueId={self.id}", {"temperature": 21})
        return {RECORDS: [{"type": "PUT", "record": record}]}

    async def delete(self) -> Expected:
        await self.rest.call("DELETE", f"{self.path}&uniqueId={self.id}")
        return {RECORDS: [{"type": "DELETE", "record": {"uniqueId": self.id}}]}
