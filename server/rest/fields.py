"""Fields of tables (contract database.md). The options of a field's type stand beside its common keys."""

from typing import Annotated

from aiohttp import web

from server.actions import fields
from server.rest.context import act, look, path_id, read_body, read_exact_json, respond
from server.rest.schema_types import Char, Choice, Integer
from server.rest.schemas import Body

routes = web.RouteTableDef()
DESCRIPTION = Char(allow_null=True, allow_blank=True)


class NewField(Body):
    name: Annotated[str, Char(max_length=255)]
    type: Annotated[str, Choice(fields.TYPES)]
    description: Annotated[str | None, DESCRIPTION] = None


class FieldChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    type: Annotated[str | None, Choice(fields.TYPES)] = None
    description: Annotated[str | None, DESCRIPTION] = None


class NewPrimaryField(Body):
    new_primary_field_id: Annotated[int, Integer()]


@routes.get(r"/api/database/fields/table/{table_id:\d+}/")
async def list_fields(request: web.Request) -> web.Response:
    return respond(await look(request, fields.list_fields, table_id=path_id(request, "table_id")))


@routes.post(r"/api/database/fields/table/{table_id:\d+}/")
async def create_field(request: web.Request) -> web.Response:
    raw = await read_exact_json(request)
    body = NewField.read(raw)
    made = await act(
        request,
        fields.create_field,
        table_id=path_id(request, "table_id"),
        name=body.name,
        kind=body.type,
        description=body.description,
        options=raw,
    )
    return respond(made)


@routes.post(r"/api/database/fields/table/{table_id:\d+}/change-primary-field/")
async def change_primary_field(request: web.Request) -> web.Response:
    body = await read_body(request, NewPrimaryField)
    table_id = path_id(request, "table_id")
    changed = await act(request, fields.change_primary_field, table_id=table_id, field_id=body.new_primary_field_id)
    return respond(changed)


@routes.get(r"/api/database/fields/{field_id:\d+}/")
async def get_field(request: web.Request) -> web.Response:
    return respond(await look(request, fields.get_field, field_id=path_id(request, "field_id")))


@routes.patch(r"/api/database/fields/{field_id:\d+}/")
async def update_field(request: web.Request) -> web.Response:
    raw = await read_exact_json(request)
    body = FieldChanges.read(raw)
    changes = {"description": body.description} if "description" in body.given() else {}
    changed = await act(
        request,
        fields.update_field,
        field_id=path_id(request, "field_id"),
        name=body.name,
        kind=body.type,
        changes=changes,
        options=raw,
    )
    return respond(changed)


@routes.delete(r"/api/database/fields/{field_id:\d+}/")
async def delete_field(request: web.Request) -> web.Response:
    return respond(await act(request, fields.delete_field, field_id=path_id(request, "field_id")))
