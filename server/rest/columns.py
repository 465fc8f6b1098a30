"""Columns of the items API (contract items.md)."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from server.actions import columns
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.schema_types import Char, Choice, Integer
from server.rest.schemas import Body, JsonObject

routes = web.RouteTableDef()
MAX_INDEX = 10_000
MAX_SETTINGS = 64 << 10  # bytes: they are told with every item that comes or goes


class NewColumn(Body):
    workflow_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=255)]
    type: Annotated[str, Choice(columns.KINDS)] = columns.WORK
    index: Annotated[int | None, Integer(min=0, max=MAX_INDEX, allow_null=True)] = None
    settings: Annotated[dict[str, Any], JsonObject(max_size=MAX_SETTINGS)] = Field(default_factory=dict)


class ColumnChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    type: Annotated[str | None, Choice(columns.KINDS)] = None
    index: Annotated[int | None, Integer(min=0, max=MAX_INDEX)] = None
    settings: Annotated[dict[str, Any] | None, JsonObject(max_size=MAX_SETTINGS)] = None


@routes.get("/columns")
async def list_columns(request: web.Request) -> web.Response:
    return respond(await look(request, columns.list_columns, workflow_id=request.query.get("workflow_id")))


@routes.post("/columns")
async def create_column(request: web.Request) -> web.Response:
    body = await read_body(request, NewColumn)
    made = await act(
        request,
        columns.create_column,
        workflow_id=body.workflow_id,
        name=body.name,
        kind=body.type,
        index=body.index,
        settings=body.settings,
    )
    return respond(made, 201)


@routes.patch("/columns/{column_id}")
async def update_column(request: web.Request) -> web.Response:
    changes = (await read_body(request, ColumnChanges)).given()
    column_id = request.match_info["column_id"]
    return respond(await act(request, columns.update_column, column_id=column_id, changes=changes))


@routes.delete("/columns/{column_id}")
async def delete_column(request: web.Request) -> web.Response:
    await act(request, columns.delete_column, column_id=request.match_info["column_id"])
    return no_content()
