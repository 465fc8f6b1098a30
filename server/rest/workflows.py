"""Workflows of the items API (contract items.md)."""

from typing import Annotated

from aiohttp import web

from server.actions import workflows
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.schema_types import Char, Choice
from server.rest.schemas import Body

routes = web.RouteTableDef()


class NewWorkflow(Body):
    collection_id: Annotated[str, Char()]
    workspace_id: Annotated[str | None, Char()] = None
    classification: Annotated[str, Choice(workflows.CLASSIFICATIONS)]
    name: Annotated[str, Char(max_length=255)]


class WorkflowChanges(Body):
    classification: Annotated[str | None, Choice(workflows.CLASSIFICATIONS)] = None
    name: Annotated[str | None, Char(max_length=255)] = None


@routes.get("/workflows")
async def list_workflows(request: web.Request) -> web.Response:
    found = await look(
        request,
        workflows.list_workflows,
        workspace_id=request.query.get("workspace_id"),
        collection_id=request.query.get("collection_id"),
    )
    return respond(found)


@routes.post("/workflows")
async def create_workflow(request: web.Request) -> web.Response:
    body = await read_body(request, NewWorkflow)
    made = await act(
        request,
        workflows.create_workflow,
        collection_id=body.collection_id,
        workspace_id=body.workspace_id,
        classification=body.classification,
        name=body.name,
    )
    return respond(made, 201)


@routes.get("/workflows/{workflow_id}")
async def get_workflow(request: web.Request) -> web.Response:
    return respond(await look(request, workflows.get_workflow, workflow_id=request.match_info["workflow_id"]))


@routes.patch("/workflows/{workflow_id}")
async def update_workflow(request: web.Request) -> web.Response:
    changes = (await read_body(request, WorkflowChanges)).given()
    workflow_id = request.match_info["workflow_id"]
    return respond(await act(request, workflows.update_workflow, workflow_id=workflow_id, changes=changes))


@routes.delete("/workflows/{workflow_id}")
async def delete_workflow(request: web.Request) -> web.Response:
    await act(request, workflows.delete_workflow, workflow_id=request.match_info["workflow_id"])
    return no_content()
