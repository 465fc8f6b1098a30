"""Collections of the items API (contract items.md)."""

from typing import Annotated, Any, Self

from aiohttp import web
from pydantic import ConfigDict, Field

from server.actions import collections
from server.actions.accountings import PREDEFINED
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body, read_list
from server.rest.schema_types import Char, Choice
from server.rest.schemas import Body, JsonObject

routes = web.RouteTableDef()
MAX_ACCOUNTS = 5000
MAX_SETTINGS = 64 << 10  # bytes


class NewCollection(Body):
    workspace_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=255)]
    settings: Annotated[dict[str, Any], JsonObject(max_size=MAX_SETTINGS)] = Field(default_factory=dict)


class CollectionChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    settings: Annotated[dict[str, Any] | None, JsonObject(max_size=MAX_SETTINGS)] = None


class Account(Body):
    """One account of a chart; what else is said of it is kept."""

    model_config = ConfigDict(extra="allow")
    number: Annotated[str, Char(max_length=32)]
    description: Annotated[str, Char(max_length=255, allow_blank=True)] = ""

    @classmethod
    def clean(cls, value: Any, /) -> Self:
        return super().clean(JsonObject().clean(value))


class PredefinedAccount(Body):
    account: Annotated[str, Char(max_length=32)]
    name: Annotated[str, Choice(PREDEFINED)]


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


@routes.get("/collections/{collection_id}/accounts")
async def list_accounts(request: web.Request) -> web.Response:
    collection_id = request.match_info["collection_id"]
    return respond(await look(request, collections.list_accounts, collection_id=collection_id))


@routes.put("/collections/{collection_id}/accounts")
async def put_accounts(request: web.Request) -> web.Response:
    accounts = await read_list(request, "accounts", Account, MAX_ACCOUNTS)
    collection_id = request.match_info["collection_id"]
    return respond(await act(request, collections.put_accounts, collection_id=collection_id, accounts=accounts))


@routes.get("/collections/{collection_id}/predefined_accounts")
async def list_predefined_accounts(request: web.Request) -> web.Response:
    collection_id = request.match_info["collection_id"]
    found = await look(request, collections.list_accounts, collection_id=collection_id, predefined=True)
    return respond(found)


@routes.put("/collections/{collection_id}/predefined_accounts")
async def put_predefined_accounts(request: web.Request) -> web.Response:
    accounts = await read_list(request, "predefined_accounts", PredefinedAccount, len(PREDEFINED))
    collection_id = request.match_info["collection_id"]
    put = collections.put_predefined_accounts
    return respond(await act(request, put, collection_id=collection_id, accounts=accounts))
