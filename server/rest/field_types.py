"""Field types of the items API (contract items.md)."""

from typing import Annotated, Any

from aiohttp import web

from server.actions import field_types
from server.actions.value_checks import require_expressions
from server.rest.context import SANDBOX, no_content, respond
from server.rest.items_context import act, look, party_of, read_body
from server.rest.schema_types import Char
from server.rest.schemas import Body, Json

routes = web.RouteTableDef()


class NewFieldType(Body):
    workspace_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=255)]
    formatter: Annotated[Any, Json(allow_null=True)] = None
    validator: Annotated[Any, Json(allow_null=True)] = None


class FieldTypeChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    formatter: Annotated[Any, Json(allow_null=True)] = None
    validator: Annotated[Any, Json(allow_null=True)] = None


@routes.get("/field_types/shared")
async def list_shared_types(request: web.Request) -> web.Response:
    return respond(await look(request, field_types.list_shared_types))


@routes.get("/field_types")
async def list_types(request: web.Request) -> web.Response:
    return respond(await look(request, field_types.list_types, workspace_id=request.query.get("workspace_id")))


@routes.post("/field_types")
async def create_type(request: web.Request) -> web.Response:
    body = await read_body(request, NewFieldType)
    await require_expressions(request.app[SANDBOX], body.formatter, body.validator, party_of(request))
    made = await act(
        request,
        field_types.create_type,
        workspace_id=body.workspace_id,
        name=body.name,
        formatter=body.formatter,
        validator=body.validator,
    )
    return respond(made, 201)


@routes.patch("/field_types/{field_type_id}")
async def update_type(request: web.Request) -> web.Response:
    body = await read_body(request, FieldTypeChanges)
    await require_expressions(request.app[SANDBOX], body.formatter, body.validator, party_of(request))
    type_id = request.match_info["field_type_id"]
    return respond(await act(request, field_types.update_type, type_id=type_id, changes=body.given()))


@routes.delete("/field_types/{field_type_id}")
async def delete_type(request: web.Request) -> web.Response:
    await act(request, field_types.delete_type, type_id=request.match_info["field_type_id"])
    return no_content()
