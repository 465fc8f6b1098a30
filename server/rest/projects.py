"""Management of the records API's projects (contract records.md)."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from server.actions import projects
from server.auth.origins import normalise_origin
from server.rest.context import act, look, no_content, path_id, read_body, respond
from server.rest.paging import number
from server.rest.schema_types import Boolean, Char, Integer, Kind, refuse
from server.rest.schemas import Body, ListOf

routes = web.RouteTableDef()
MAX_ID = 2**31 - 1
MAX_ORIGINS = 100
NAME = re.compile(r"[\w -]+")


@dataclass(frozen=True)
class ProjectName(Char):
    """5 to 254 letters, digits, spaces, hyphens and underscores."""

    min_length: int | None = 5
    max_length: int | None = 254

    def convert(self, value: Any) -> str:
        text = super().convert(value)
        if not NAME.fullmatch(text):
            raise refuse("Only letters, digits, spaces, hyphens and underscores are allowed.", "invalid")
        return text

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(
            min_length=self.min_length, max_length=self.max_length, pattern=f"^{NAME.pattern}$"
        )


@dataclass(frozen=True)
class Origin(Kind):
    """The origin of web pages, such as `https://app.example.com`, as browsers send it."""

    def convert(self, value: Any) -> str:
        origin = normalise_origin(value) if isinstance(value, str) else None
        if origin is None:
            raise refuse("Enter an http or https origin: scheme, host and port only.", "invalid")
        return origin

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(pattern="^https?://")


@dataclass(frozen=True)
class Origins(ListOf):
    """Origins, each once."""

    def convert(self, value: Any) -> list[Any]:
        return list(dict.fromkeys(super().convert(value)))


ORIGINS = Origins(Origin(), max_length=MAX_ORIGINS)


class NewProject(Body):
    workspace_id: Annotated[int, Integer(min=1, max=MAX_ID)]
    name: Annotated[str, ProjectName()]
    origins: Annotated[list[str], ORIGINS] = Field(default_factory=list)
    deny_no_origin: Annotated[bool, Boolean()] = False


class ProjectChanges(Body):
    name: Annotated[str | None, ProjectName()] = None
    origins: Annotated[list[str] | None, ORIGINS] = None
    deny_no_origin: Annotated[bool | None, Boolean()] = None


@routes.get("/api/projects/")
async def list_projects(request: web.Request) -> web.Response:
    workspace_id = number(request.query.get("workspace_id"), 0) or None
    return respond(await look(request, projects.list_projects, workspace_id=workspace_id))


@routes.post("/api/projects/")
async def create_project(request: web.Request) -> web.Response:
    body = await read_body(request, NewProject)
    made = await act(
        request,
        projects.create_project,
        workspace_id=body.workspace_id,
        name=body.name,
        origins=body.origins,
        deny_no_origin=body.deny_no_origin,
    )
    return respond(made)


@routes.get(r"/api/projects/{project_id:\d+}/")
async def get_project(request: web.Request) -> web.Response:
    return respond(await look(request, projects.get_project, project_id=path_id(request, "project_id")))


@routes.patch(r"/api/projects/{project_id:\d+}/")
async def update_project(request: web.Request) -> web.Response:
    body = await read_body(request, ProjectChanges)
    project_id = path_id(request, "project_id")
    return respond(await act(request, projects.update_project, project_id=project_id, changes=body.given()))


@routes.delete(r"/api/projects/{project_id:\d+}/")
async def delete_project(request: web.Request) -> web.Response:
    await act(request, projects.delete_project, project_id=path_id(request, "project_id"))
    return no_content()


@routes.post(r"/api/projects/{project_id:\d+}/rotate-key/")
async def rotate_key(request: web.Request) -> web.Response:
    return respond(await act(request, projects.rotate_key, project_id=path_id(request, "project_id")))
