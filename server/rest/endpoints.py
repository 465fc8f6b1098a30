"""Management of a project's endpoints (contract records.md)."""

from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from server.actions import endpoints
from server.rest.context import act, look, no_content, path_id, read_body, respond
from server.rest.schema_types import Boolean, Char, Kind, refuse
from server.rest.schemas import Body

routes = web.RouteTableDef()
MAX_DESCRIPTION = 10_000  # characters


@dataclass(frozen=True)
class EndpointName(Char):
    """5 to 254 lower-case letters, digits, `-` and `/`; neither of the two at an end, no `--`."""

    min_length: int | None = 5
    max_length: int | None = 254

    def convert(self, value: Any) -> str:
        text = super().convert(value)
        if not endpoints.ENDPOINT_NAME.fullmatch(text):
            words = "Only lower-case letters, digits, - and / are allowed; no - or / at the ends, no --."
            raise refuse(words, "invalid")
        return text

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(pattern=f"^{endpoints.ENDPOINT_NAME.pattern}$")


@dataclass(frozen=True)
class AccessFlags(Kind):
    """What other authenticated users may do on a secure endpoint; a flag that is not given is false."""

    def convert(self, value: Any) -> dict[str, bool]:
        if not isinstance(value, dict):
            raise refuse(f'Expected a dictionary of items but got type "{type(value).__name__}".', "not_a_dict")
        return {flag: Boolean().clean(value.get(flag, False)) for flag in endpoints.ACCESS}

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        flag = core_schema.typed_dict_field(core_schema.bool_schema(), required=False)
        return core_schema.typed_dict_schema(dict.fromkeys(endpoints.ACCESS, flag))


class NewEndpoint(Body):
    name: Annotated[str, EndpointName()]
    description: Annotated[str, Char(max_length=MAX_DESCRIPTION, allow_blank=True)] = ""
    authentication: Annotated[bool, Boolean()] = False
    secure: Annotated[bool, Boolean()] = False
    access: Annotated[dict[str, bool], AccessFlags()] = Field(default_factory=dict)


class EndpointChanges(Body):
    name: Annotated[str | None, EndpointName()] = None
    description: Annotated[str | None, Char(max_length=MAX_DESCRIPTION, allow_blank=True)] = None
    authentication: Annotated[bool | None, Boolean()] = None
    secure: Annotated[bool | None, Boolean()] = None
    access: Annotated[dict[str, bool] | None, AccessFlags()] = None


@routes.get(r"/api/projects/{project_id:\d+}/endpoints/")
async def list_endpoints(request: web.Request) -> web.Response:
    return respond(await look(request, endpoints.list_endpoints, project_id=path_id(request, "project_id")))


@routes.post(r"/api/projects/{project_id:\d+}/endpoints/")
async def create_endpoint(request: web.Request) -> web.Response:
    body = await read_body(request, NewEndpoint)
    made = await act(
        request,
        endpoints.create_endpoint,
        project_id=path_id(request, "project_id"),
        name=body.name,
        description=body.description,
        authentication=body.authentication,
        secure=body.secure,
        access=body.access,
    )
    return respond(made)


@routes.get(r"/api/endpoints/{endpoint_id:\d+}/")
async def get_endpoint(request: web.Request) -> web.Response:
    return respond(await look(request, endpoints.get_endpoint, endpoint_id=path_id(request, "endpoint_id")))


@routes.patch(r"/api/endpoints/{endpoint_id:\d+}/")
async def update_endpoint(request: web.Request) -> web.Response:
    body = await read_body(request, EndpointChanges)
    endpoint_id = path_id(request, "endpoint_id")
    return respond(await act(request, endpoints.update_endpoint, endpoint_id=endpoint_id, changes=body.given()))


@routes.delete(r"/api/endpoints/{endpoint_id:\d+}/")
async def delete_endpoint(request: web.Request) -> web.Response:
    await act(request, endpoints.delete_endpoint, endpoint_id=path_id(request, "endpoint_id"))
    return no_content()
