"""Tables of databases (contract database.md)."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from server.actions import tables
from server.actions.table_content import DEFAULT, TableContent, read_content
from server.rest.context import act, act_long, look, no_content, path_id, read_body, respond
from server.rest.schema_types import Boolean, Char, Integer, Kind
from server.rest.schemas import Body, ListOf

routes = web.RouteTableDef()


@dataclass(frozen=True)
class AnyRow(Kind):
    """A row of the data of a new table; its cells are turned into texts later, away from the event loop."""

    def convert(self, value: Any) -> list[Any]:
        return ANY_LIST.convert(value)

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return ANY_LIST.shape(handler)


@dataclass(frozen=True)
class AnyCell(Kind):
    def convert(self, value: Any) -> Any:
        return value


ANY_LIST = ListOf(AnyCell(allow_null=True))


class NewTable(Body):
    name: Annotated[str, Char(max_length=255)]
    data: Annotated[list[list[Any]] | None, ListOf(AnyRow(), min_length=1, allow_null=True)] = None
    first_row_header: Annotated[bool, Boolean()] = False

    async def content(self) -> TableContent:
        """The fields and rows to begin with."""
        if self.data is None:
            return DEFAULT
        return await asyncio.to_thread(read_content, self.data, self.first_row_header)


class TableChanges(Body):
    name: Annotated[str, Char(max_length=255)]


class TableOrder(Body):
    table_ids: Annotated[list[int], ListOf(Integer())]


@routes.get(r"/api/database/tables/database/{database_id:\d+}/")
async def list_tables(request: web.Request) -> web.Response:
    return respond(await look(request, tables.list_tables, database_id=path_id(request, "database_id")))


@routes.post(r"/api/database/tables/database/{database_id:\d+}/")
async def create_table(request: web.Request) -> web.Response:
    body = await read_body(request, NewTable)
    number, content = path_id(request, "database_id"), await body.content()
    return respond(await act_long(request, tables.create_table, database_id=number, name=body.name, content=content))


@routes.post(r"/api/database/tables/database/{database_id:\d+}/async/")
async def import_table(request: web.Request) -> web.Response:
    body = await read_body(request, NewTable)
    job = await act_long(
        request,
        tables.import_table,
        database_id=path_id(request, "database_id"),
        name=body.name,
        content=await body.content(),
        first_row_header=body.first_row_header,
    )
    return respond(job)


@routes.post(r"/api/database/tables/database/{database_id:\d+}/order/")
async def order_tables(request: web.Request) -> web.Response:
    body = await read_body(request, TableOrder)
    number = path_id(request, "database_id")
    await act(request, tables.order_tables, database_id=number, table_ids=body.table_ids)
    return no_content()


@routes.get(r"/api/database/tables/{table_id:\d+}/")
async def get_table(request: web.Request) -> web.Response:
    return respond(await look(request, tables.get_table, table_id=path_id(request, "table_id")))


@routes.patch(r"/api/database/tables/{table_id:\d+}/")
async def update_table(request: web.Request) -> web.Response:
    body = await read_body(request, TableChanges)
    return respond(await act(request, tables.update_table, table_id=path_id(request, "table_id"), name=body.name))


@routes.delete(r"/api/database/tables/{table_id:\d+}/")
async def delete_table(request: web.Request) -> web.Response:
    await act(request, tables.delete_table, table_id=path_id(request, "table_id"))
    return no_content()
