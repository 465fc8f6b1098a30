"""Somebody with one thing of every kind, so that requests reach what they are about."""

from typing import Any

from server.actions.webhooks import EVENTS, create_webhook
from server.auth.actors import Credentials
from server.rest.context import RUNNER, TOKENS
from tests.support.app import Person

World = dict[str, Any]


async def make_world(ann: Person) -> World:
    """The ids of Ann's things, by the names that paths and bodies give them."""
    workspace = await ann.workspace()
    database = await ann.database(workspace)
    table = await ann.table(database)
    fields = await ann.ok("GET", f"/api/database/fields/table/{table}/")
    rows = await ann.ok("GET", f"/api/database/rows/table/{table}/")
    members = await ann.ok("GET", f"/api/workspaces/users/workspace/{workspace}/")
    invited = {"email": "bob@example.com", "permissions": "MEMBER", "base_url": ann.server.url}
    invitation = await ann.ok("POST", f"/api/workspaces/invitations/workspace/{workspace}/", invited)
    return {
        "workspace_id": workspace,
        "database_id": database,
        "application_id": database,
        "table_id": table,
        "field_id": fields[0]["id"],
        "row_id": rows["results"][0]["id"],
        "member_id": members[0]["id"],
        "invitation_id": invitation["id"],
    } | await make_board_and_records(ann, workspace)


async def make_board_and_records(ann: Person, workspace: int) -> World:
    """A collection with a workflow, a column and an item with a value and a comment; a client and a webhook; a project
    with an endpoint and a record."""
    collection = await ann.ok("POST", "/collections", {"workspace_id": str(workspace), "name": "Board"})
    workflow_body = {"collection_id": collection["id"], "classification": "OTHER", "name": "Flow"}
    workflow = await ann.ok("POST", "/workflows", workflow_body)
    column = await ann.ok("POST", "/columns", {"workflow_id": workflow["id"], "name": "To do"})
    field_type = await ann.ok("POST", "/field_types", {"workspace_id": str(workspace), "name": "Type"})
    field_body = {"workflow_id": workflow["id"], "field_type_id": field_type["id"], "name": "Field"}
    field = await ann.ok("POST", "/fields", field_body)
    values = [{"field_id": field["id"], "value": "x"}]
    item = await ann.ok("POST", "/items", {"column_id": column["id"], "name": "Item", "values": values})
    comment = await ann.ok("POST", f"/items/{item['id']}/comments", {"text": "Why?"})
    client = await ann.ok("POST", "/clients", {"workspace_id": str(workspace), "name": "Client"})
    project = await ann.ok("POST", "/api/projects/", {"workspace_id": workspace, "name": "Project"})
    endpoint = await ann.ok("POST", f"/api/projects/{project['id']}/endpoints/", {"name": f"endpoint-{project['id']}"})
    webhook = await ann.server.app[RUNNER].act(
        Credentials(ann.server.app[TOKENS].read_access(ann.token)),
        create_webhook,
        workspace_id=str(workspace),
        url="http://127.0.0.1:9999/",  # which REST would refuse, and nobody calls
        events=EVENTS,
    )
    record = await ann.ok("POST", f"/api/1/ce/{endpoint['name']}?key={project['key']}", {"a": 1})
    return {
        "collection_id": collection["id"],
        "workflow_id": workflow["id"],
        "column_id": column["id"],
        "item_id": item["id"],
        "value_id": item["values"][0]["id"],
        "field_type_id": field_type["id"],
        "template_name": "api-standard",
        "comment_id": comment["id"],
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
        "webhook_id": webhook["id"],
        "project_id": project["id"],
        "endpoint_id": endpoint["id"],
        "name": endpoint["name"],
        "key": project["key"],
        "uniqueId": record["uniqueId"],
    }
