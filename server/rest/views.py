"""Views of tables (contract database.md): so far the list, with the grid that every table is born with."""

from aiohttp import web

from server.actions import views
from server.rest.context import look, path_id, respond

routes = web.RouteTableDef()


@routes.get(r"/api/database/views/table/{table_id:\d+}/")
async def list_views(request: web.Request) -> web.Response:
    include = request.query.get("include", "").split(",")
    return respond(await look(request, views.list_views, table_id=path_id(request, "table_id"), include=include))
