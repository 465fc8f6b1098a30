"""Clients of the items API (contract items.md)."""

from typing import Annotated

from aiohttp import hdrs, web

from server.actions import clients
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.schema_types import Char
from server.rest.schemas import Body

routes = web.RouteTableDef()


class NewClient(Body):
    workspace_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=150)]


@routes.get("/clients")
async def list_clients(request: web.Request) -> web.Response:
    return respond(await look(request, clients.list_clients, workspace_id=request.query.get("workspace_id")))


@routes.post("/clients")
async def create_client(request: web.Request) -> web.Response:
    """Makes a client; the answer is the only one that shows its secret."""
    body = await read_body(request, NewClient)
    made = await act(request, clients.create_client, workspace_id=body.workspace_id, name=body.name)
    answer = respond(made, 201)
    answer.headers[hdrs.CACHE_CONTROL] = "no-store"
    return answer


@routes.delete("/clients/{client_id}")
async def delete_client(request: web.Request) -> web.Response:
    """Ends a client, its tokens and its sockets."""
    await act(request, clients.delete_client, client_id=request.match_info["client_id"])
    return no_content()
