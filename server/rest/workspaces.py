"""Workspaces and their members (contract database.md)."""

from typing import Annotated

from aiohttp import web

from server.actions import workspaces
from server.rest.context import act, look, no_content, path_id, read_body, respond
from server.rest.schema_types import Char, Choice, Integer
from server.rest.schemas import Body, ListOf

routes = web.RouteTableDef()
ROLES = ("ADMIN", "MEMBER")


class NewWorkspace(Body):
    name: Annotated[str, Char(max_length=165)]


class WorkspaceChanges(Body):
    name: Annotated[str | None, Char(max_length=165)] = None


class WorkspaceOrder(Body):
    workspaces: Annotated[list[int], ListOf(Integer())]


class MemberChanges(Body):
    permissions: Annotated[str | None, Choice(ROLES)] = None


@routes.get("/api/workspaces/")
async def list_workspaces(request: web.Request) -> web.Response:
    return respond(await look(request, workspaces.list_workspaces))


@routes.post("/api/workspaces/")
async def create_workspace(request: web.Request) -> web.Response:
    body = await read_body(request, NewWorkspace)
    return respond(await act(request, workspaces.create_workspace, name=body.name))


@routes.post("/api/workspaces/order/")
async def order_workspaces(request: web.Request) -> web.Response:
    body = await read_body(request, WorkspaceOrder)
    await act(request, workspaces.order_workspaces, workspace_ids=body.workspaces)
    return no_content()


@routes.patch(r"/api/workspaces/{workspace_id:\d+}/")
async def update_workspace(request: web.Request) -> web.Response:
    body = await read_body(request, WorkspaceChanges)
    number = path_id(request, "workspace_id")
    return respond(await act(request, workspaces.update_workspace, workspace_id=number, name=body.name))


@routes.delete(r"/api/workspaces/{workspace_id:\d+}/")
async def delete_workspace(request: web.Request) -> web.Response:
    await act(request, workspaces.delete_workspace, workspace_id=path_id(request, "workspace_id"))
    return no_content()


@routes.post(r"/api/workspaces/{workspace_id:\d+}/leave/")
async def leave_workspace(request: web.Request) -> web.Response:
    await act(request, workspaces.leave_workspace, workspace_id=path_id(request, "workspace_id"))
    return no_content()


@routes.get(r"/api/workspaces/{workspace_id:\d+}/permissions/")
async def get_permissions(request: web.Request) -> web.Response:
    return respond(await look(request, workspaces.get_permissions, workspace_id=path_id(request, "workspace_id")))


@routes.get(r"/api/workspaces/users/workspace/{workspace_id:\d+}/")
async def list_members(request: web.Request) -> web.Response:
    return respond(await look(request, workspaces.list_members, workspace_id=path_id(request, "workspace_id")))


@routes.patch(r"/api/workspaces/users/{member_id:\d+}/")
async def update_member(request: web.Request) -> web.Response:
    body = await read_body(request, MemberChanges)
    number = path_id(request, "member_id")
    return respond(await act(request, workspaces.update_member, member_id=number, permissions=body.permissions))


@routes.delete(r"/api/workspaces/users/{member_id:\d+}/")
async def remove_member(request: web.Request) -> web.Response:
    await act(request, workspaces.remove_member, member_id=path_id(request, "member_id"))
    return no_content()
