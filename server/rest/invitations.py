"""Invitations into a workspace (contract database.md). No mail is sent: the answer names the invitation."""

from typing import Annotated

from aiohttp import web

from server.actions import invitations
from server.rest.accounts import INVITATION_LINK
from server.rest.context import TOKENS, act, ask, look, no_content, path_id, read_body, respond
from server.rest.schema_types import Char, Choice, Email
from server.rest.schemas import Body
from server.rest.workspaces import ROLES

routes = web.RouteTableDef()


class NewInvitation(Body):
    email: Annotated[str, Email()]
    permissions: Annotated[str, Choice(ROLES)]
    message: Annotated[str, Char(max_length=250, allow_blank=True)] = ""
    base_url: Annotated[str, Char(max_length=2000)]


class InvitationChanges(Body):
    permissions: Annotated[str | None, Choice(ROLES)] = None


@routes.get(r"/api/workspaces/invitations/workspace/{workspace_id:\d+}/")
async def list_invitations(request: web.Request) -> web.Response:
    number = path_id(request, "workspace_id")
    return respond(await look(request, invitations.list_invitations, workspace_id=number))


@routes.post(r"/api/workspaces/invitations/workspace/{workspace_id:\d+}/")
async def create_invitation(request: web.Request) -> web.Response:
    body = await read_body(request, NewInvitation)
    made = await act(
        request,
        invitations.create_invitation,
        workspace_id=path_id(request, "workspace_id"),
        email=body.email,
        permissions=body.permissions,
        message=body.message,
    )
    return respond(made)


@routes.get(r"/api/workspaces/invitations/{invitation_id:\d+}/")
async def get_invitation(request: web.Request) -> web.Response:
    number = path_id(request, "invitation_id")
    return respond(await look(request, invitations.get_invitation, invitation_id=number))


@routes.patch(r"/api/workspaces/invitations/{invitation_id:\d+}/")
async def update_invitation(request: web.Request) -> web.Response:
    body = await read_body(request, InvitationChanges)
    number = path_id(request, "invitation_id")
    changed = await act(request, invitations.update_invitation, invitation_id=number, permissions=body.permissions)
    return respond(changed)


@routes.delete(r"/api/workspaces/invitations/{invitation_id:\d+}/")
async def delete_invitation(request: web.Request) -> web.Response:
    await act(request, invitations.delete_invitation, invitation_id=path_id(request, "invitation_id"))
    return no_content()


@routes.post(r"/api/workspaces/invitations/{invitation_id:\d+}/accept/")
async def accept_invitation(request: web.Request) -> web.Response:
    number = path_id(request, "invitation_id")
    return respond(await act(request, invitations.accept_invitation, invitation_id=number))


@routes.post(r"/api/workspaces/invitations/{invitation_id:\d+}/reject/")
async def reject_invitation(request: web.Request) -> web.Response:
    await act(request, invitations.reject_invitation, invitation_id=path_id(request, "invitation_id"))
    return no_content()


@routes.get(r"/api/workspaces/invitations/token/{token:[^/]+}/")
async def find_invitation(request: web.Request) -> web.Response:
    """What the holder of an invitation's link sees, signed in or not."""
    number = request.app[TOKENS].unsign(INVITATION_LINK, request.match_info["token"])
    return respond(await ask(request, invitations.find_by_token, number))


@routes.get("/api/user/dashboard/")
async def dashboard(request: web.Request) -> web.Response:
    return respond({"workspace_invitations": await look(request, invitations.list_pending)})
