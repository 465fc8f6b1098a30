"""Collections of the items API (contract items.md)."""

from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from server.actions import collections
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.schema_types import Char
from server.rest.schemas import Body, JsonObject

routes = web.RouteTableDef()


class NewCollection(Body):
    workspace_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=255)]
    settings: Annotated[dict[str, Any], JsonObject()] = Field(default_factory=dict)


class CollectionChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    settings: Annotated[dict[str, Any] | None, JsonObject()] = None


@routes.get("/collections")
async def list_collections(request: web.Request) -> web.Response:
    return respond(await look(request, collections.list_collections, workspace_id=request.query.get("workspace_id")))


@routes.post("/collections")
async def create_collection(request: web.Request) -> web.Response:
    body = await read_body(request, NewCollection)
    made = await act(
        request,
        collections.create_collection,
        workspace_id=body.workspace_id,
        name=body.name,
        settings=body.settings,
    )
    return respond(made, 201)


@routes.get("/collections/{collection_id}")
async def get_collection(request: web.Request) -> web.Response:
    collection_id = request.match_info["collection_id"]
    return respond(await look(request, collections.get_collection, collection_id=collection_id))


@routes.patch("/collections/{collection_id}")
async def update_collection(request: web.Request) -> web.Response:
    changes = (await read_body(request, CollectionChanges)).given()
    collection_id = request.match_info["collection_id"]
    return respond(await act(request, collections.update_collection, collection_id=collection_id, changes=changes))


@routes.delete("/collections/{collection_id}")
async def delete_collection(request: web.Request) -> web.Response:
    await act(request, collections.delete_collection, collection_id=request.match_info["collection_id"])
    return no_content()
