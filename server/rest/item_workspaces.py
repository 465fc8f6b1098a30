"""Workspaces of the items API (contract items.md)."""

from aiohttp import web

from server.actions import item_workspaces
from server.rest.context import respond
from server.rest.items_context import included, look

routes = web.RouteTableDef()


@routes.get("/workspaces")
async def list_workspaces(request: web.Request) -> web.Response:
    return respond(await look(request, item_workspaces.list_workspaces, include=included(request)))


@routes.get("/workspaces/{workspace_id}")
async def get_workspace(request: web.Request) -> web.Response:
    number = request.match_info["workspace_id"]
    include = included(request)
    return respond(await look(request, item_workspaces.get_workspace, workspace_id=number, include=include))
