"""Where a request to an endpoint arrives: the endpoint and its project by the endpoint's name, in one statement that is
composed once, since every request begins with it."""

from functools import cache

from server.store.models import Endpoint, Project
from server.store.models.base import columns


def find_place(name: str) -> tuple[Endpoint, Project] | None:
    """The endpoint of a name with its project; None where there is none, or only in a workspace that is trashed."""
    database = Endpoint._meta.database
    row = database.execute_sql(statement(database.param), (name,)).fetchone()
    if row is None:
        return None
    split = len(Endpoint._meta.sorted_fields)
    return Endpoint.of_row(row[:split]), Project.of_row(row[split:])


@cache
def statement(param: str) -> str:
    return f"""
        SELECT {columns(Endpoint)}, {columns(Project)} FROM record_endpoint
        JOIN record_project ON record_project.id = record_endpoint.project_id
        JOIN workspace ON workspace.id = record_project.workspace_id AND NOT workspace.trashed
        WHERE record_endpoint.name = {param}
    """
