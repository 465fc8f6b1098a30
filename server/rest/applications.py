"""Applications of workspaces: databases (contract database.md)."""

from typing import Annotated, Any

from aiohttp import web

from server.actions import databases
from server.rest.context import act, credentials, look, no_content, path_id, read_body, read_json, respond
from server.rest.schema_types import Boolean, Char, Choice, Integer, problem
from server.rest.schemas import Body, InvalidBody, ListOf

routes = web.RouteTableDef()
MISSING = "This field is required."


class NewApplication(Body):
    name: Annotated[str, Char(max_length=160)]
    init_with_data: Annotated[bool, Boolean()] = False
    type: Annotated[str, Choice([databases.TYPE])]


class ApplicationChanges(Body):
    name: Annotated[str | None, Char(max_length=160)] = None


class ApplicationOrder(Body):
    application_ids: Annotated[list[int], ListOf(Integer())]


def read_new_application(raw: Any) -> NewApplication:
    """The type is looked at first; whatever else is wrong is told as if the type were missing too, as recorded."""
    kind = raw.get("type") if isinstance(raw, dict) else None
    if isinstance(kind, str):
        databases.require_type(kind)
    try:
        return NewApplication.read(raw)
    except InvalidBody as refusal:
        raise InvalidBody({**refusal.detail, "type": [problem(MISSING, "required")]}) from None


@routes.get("/api/applications/")
async def list_all_applications(request: web.Request) -> web.Response:
    return respond(await look(request, databases.list_all_applications))


@routes.get(r"/api/applications/workspace/{workspace_id:\d+}/")
async def list_applications(request: web.Request) -> web.Response:
    number = path_id(request, "workspace_id")
    return respond(await look(request, databases.list_applications, workspace_id=number))


@routes.post(r"/api/applications/workspace/{workspace_id:\d+}/")
async def create_application(request: web.Request) -> web.Response:
    credentials(request)
    body = read_new_application(await read_json(request))
    made = await act(
        request,
        databases.create_application,
        workspace_id=path_id(request, "workspace_id"),
        name=body.name,
        init_with_data=body.init_with_data,
    )
    return respond(made)


@routes.post(r"/api/applications/workspace/{workspace_id:\d+}/order/")
async def order_applications(request: web.Request) -> web.Response:
    body = await read_body(request, ApplicationOrder)
    number = path_id(request, "workspace_id")
    await act(request, databases.order_applications, workspace_id=number, application_ids=body.application_ids)
    return no_content()


@routes.get(r"/api/applications/{application_id:\d+}/")
async def get_application(request: web.Request) -> web.Response:
    number = path_id(request, "application_id")
    return respond(await look(request, databases.get_application, application_id=number))


@routes.patch(r"/api/applications/{application_id:\d+}/")
async def update_application(request: web.Request) -> web.Response:
    body = await read_body(request, ApplicationChanges)
    number = path_id(request, "application_id")
    return respond(await act(request, databases.update_application, application_id=number, name=body.name))


@routes.delete(r"/api/applications/{application_id:\d+}/")
async def delete_application(request: web.Request) -> web.Response:
    await act(request, databases.delete_application, application_id=path_id(request, "application_id"))
    return no_content()
