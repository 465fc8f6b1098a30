"""What the demo's changes happen to: a person, a workspace, a table, a board, an endpoint."""

import secrets
from dataclasses import dataclass

from server.cli.demo.rest import Rest


@dataclass(frozen=True, slots=True)
class Stage:
    """The ids that changes and clients name."""

    token: str
    workspace_id: int
    database_id: int
    table_id: int
    field_id: int
    column_ids: list[str]
    endpoint: str
    key: str

    @property
    def field(self) -> str:
        """The key of the table's primary field in rows."""
        return f"field_{self.field_id}"


async def build_stage(rest: Rest) -> Stage:
    """Signs up somebody new and makes everything afresh, so that any database will do."""
    name = f"demo-{secrets.token_hex(6)}"
    account = {"name": "Demo", "email": f"{name}@example.com", "password": secrets.token_hex(16), "authenticate": True}
    rest.token = (await rest.call("POST", "/api/user/", account))["access_token"]
    workspace = (await rest.call("POST", "/api/workspaces/", {"name": name}))["id"]
    database, table, field = await build_table(rest, workspace)
    endpoint, key = await build_endpoint(rest, workspace, name)
    return Stage(rest.token, workspace, database, table, field, await build_board(rest, workspace), endpoint, key)


async def build_table(rest: Rest, workspace: int) -> tuple[int, int, int]:
    """Ids of a database, a table in it and the table's primary field."""
    body = {"name": "Orders", "type": "database"}
    database = (await rest.call("POST", f"/api/applications/workspace/{workspace}/", body))["id"]
    body = {"name": "Order"}
    table = (await rest.call("POST", f"/api/database/tables/database/{database}/", body))["id"]
    fields = await rest.call("GET", f"/api/database/fields/table/{table}/")
    return database, table, next(field["id"] for field in fields if field["primary"])


async def build_board(rest: Rest, workspace: int) -> list[str]:
    """Ids of the columns of a new workflow."""
    collection = (await rest.call("POST", "/collections", {"workspace_id": workspace, "name": "Invoices"}))["id"]
    body = {"workspace_id": workspace, "collection_id": collection, "name": "In", "classification": "SUPPLIER_INVOICE"}
    return [column["id"] for column in (await rest.call("POST", "/workflows", body))["columns"]]


async def build_endpoint(rest: Rest, workspace: int, name: str) -> tuple[str, str]:
    """Name and key of a new endpoint."""
    project = await rest.call("POST", "/api/projects/", {"workspace_id": workspace, "name": name})
    endpoint = await rest.call("POST", f"/api/projects/{project['id']}/endpoints/", {"name": name})
    return endpoint["name"], project["key"]
