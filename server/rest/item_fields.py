"""Fields of workflows, and templates of whole workflows (contract items.md)."""

from typing import Annotated

from aiohttp import web

from server.actions import item_fields, templates
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.schema_types import Boolean, Char, Choice
from server.rest.schemas import Body

routes = web.RouteTableDef()


class NewItemField(Body):
    workflow_id: Annotated[str, Char()]
    field_type_id: Annotated[str, Char()]
    name: Annotated[str, Char(max_length=255)]
    shared: Annotated[bool, Boolean()] = False
    required: Annotated[bool, Boolean()] = False


class ItemFieldChanges(Body):
    name: Annotated[str | None, Char(max_length=255)] = None
    shared: Annotated[bool | None, Boolean()] = None
    required: Annotated[bool | None, Boolean()] = None


class TemplateChoice(Body):
    collection_id: Annotated[str, Char()]
    template_name: Annotated[str, Choice(tuple(templates.TEMPLATES))]


@routes.get("/fields")
async def list_fields(request: web.Request) -> web.Response:
    return respond(await look(request, item_fields.list_fields, workflow_id=request.query.get("workflow_id")))


@routes.post("/fields")
async def create_field(request: web.Request) -> web.Response:
    body = await read_body(request, NewItemField)
    made = await act(
        request,
        item_fields.create_field,
        workflow_id=body.workflow_id,
        field_type_id=body.field_type_id,
        name=body.name,
        shared=body.shared,
        required=body.required,
    )
    return respond(made, 201)


@routes.patch("/fields/{field_id}")
async def update_field(request: web.Request) -> web.Response:
    changes = (await read_body(request, ItemFieldChanges)).given()
    field_id = request.match_info["field_id"]
    return respond(await act(request, item_fields.update_field, field_id=field_id, changes=changes))


@routes.delete("/fields/{field_id}")
async def delete_field(request: web.Request) -> web.Response:
    await act(request, item_fields.delete_field, field_id=request.match_info["field_id"])
    return no_content()


@routes.post("/apply_template")
async def apply_template(request: web.Request) -> web.Response:
    body = await read_body(request, TemplateChoice)
    made = await act(
        request, templates.apply_template, collection_id=body.collection_id, template_name=body.template_name
    )
    return respond(made)
