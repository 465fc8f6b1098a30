"""Notifications of a user (contract database.md)."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from server.actions import notifications
from server.rest.context import act, base_url, look, path_id, read_body, respond
from server.rest.paging import limit_offset, page_links
from server.rest.schema_types import Boolean
from server.rest.schemas import Body

routes = web.RouteTableDef()


class Reading(Body):
    is_read: Annotated[bool, Boolean()] = Field(alias="read")


@routes.get(r"/api/notifications/{workspace_id:\d+}/")
async def list_notifications(request: web.Request) -> web.Response:
    limit, offset = limit_offset(request.query, default=50, most=100)
    count, page = await look(
        request,
        notifications.list_notifications,
        workspace_id=path_id(request, "workspace_id"),
        limit=limit,
        offset=offset,
    )
    address = base_url(request) + request.path
    return respond({"count": count, **page_links(address, request.query, count, limit, offset), "results": page})


@routes.patch(r"/api/notifications/{workspace_id:\d+}/{notification_id:\d+}/")
async def read_notification(request: web.Request) -> web.Response:
    await read_body(request, Reading)
    number = path_id(request, "notification_id")
    return respond(await act(request, notifications.read_notification, notification_id=number))
