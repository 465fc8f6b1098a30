"""Items of the items API (contract items.md)."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from server.actions import items
from server.actions.item_values import MAX_VALUES
from server.rest.context import no_content, respond
from server.rest.item_files import CALLS, DOCUMENT_CAME, upload_item
from server.rest.item_values import NewValue
from server.rest.items_context import act, act_answered, look, read_body
from server.rest.paging import limit_offset
from server.rest.schema_types import Char, Integer
from server.rest.schemas import Body, ListOf
from server.rest.uploads import MULTIPART, takes_files

routes = web.RouteTableDef()
PAGE_SIZE, MAX_PAGE_SIZE = 50, 200
MAX_USER_ID = 2**31 - 1
MAX_ERROR = 10_000  # characters


class NewItem(Body):
    collection_id: Annotated[str | None, Char(allow_null=True)] = None
    column_id: Annotated[str | None, Char(allow_null=True)] = None
    name: Annotated[str, Char(max_length=255)]
    values: Annotated[list[Any], ListOf(NewValue, max_length=MAX_VALUES)] = Field(default_factory=list)


class ItemChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    column_id: Annotated[str | None, Char()] = None
    state: Annotated[str | None, Char(max_length=64)] = None
    error: Annotated[str | None, Char(max_length=MAX_ERROR, allow_null=True, allow_blank=True)] = None
    document_type: Annotated[str | None, Char(max_length=64, allow_null=True)] = None
    user_id: Annotated[int | None, Integer(min=1, max=MAX_USER_ID, allow_null=True)] = None
    locked_by_user_id: Annotated[int | None, Integer(min=1, max=MAX_USER_ID, allow_null=True)] = None


@routes.get("/items")
async def list_items(request: web.Request) -> web.Response:
    limit, offset = limit_offset(request.query, default=PAGE_SIZE, most=MAX_PAGE_SIZE)
    found = await look(
        request,
        items.list_items,
        collection_id=request.query.get("collection_id"),
        column_id=request.query.get("column_id"),
        state=request.query.get("state"),
        limit=limit,
        offset=offset,
    )
    return respond(found)


@routes.post("/items")
@takes_files
async def create_item(request: web.Request) -> web.Response:
    if request.content_type == MULTIPART:
        return await upload_item(request)
    body = await read_body(request, NewItem)
    made = await act_answered(
        request,
        items.create_item,
        collection_id=body.collection_id,
        column_id=body.column_id,
        name=body.name,
        values=[value.given() for value in body.values],
    )
    return respond(made, 201)


@routes.get("/items/{item_id}")
async def get_item(request: web.Request) -> web.Response:
    return respond(await look(request, items.get_item, item_id=request.match_info["item_id"]))


@routes.patch("/items/{item_id}")
async def update_item(request: web.Request) -> web.Response:
    changes = (await read_body(request, ItemChanges)).given()
    shown = await act(request, items.update_item, item_id=request.match_info["item_id"], changes=changes)
    if changes.keys() & CALLS:
        request.app[DOCUMENT_CAME]()
    return respond(shown)


@routes.delete("/items/{item_id}")
async def delete_item(request: web.Request) -> web.Response:
    await act(request, items.delete_item, item_id=request.match_info["item_id"])
    return no_content()
