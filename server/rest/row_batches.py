"""Several rows with one request, all or nothing (contract database.md, c)."""

from typing import Any

from aiohttp import web

from server.actions import rows
from server.rest.context import act, no_content, path_id, read_body, read_exact_json, respond
from server.rest.row_requests import Before, ChangedRows, NewRows, RowIds, by_name, flag

routes = web.RouteTableDef()


def answer(request: web.Request, found: list[Any], field_ids: list[int], **more: Any) -> web.Response:
    """The rows, and what the web client wants to know about them when it asks for it."""
    metadata = {"metadata": {"updated_field_ids": field_ids, **more}} if flag(request, "include_metadata") else {}
    return respond({"items": found, **metadata})


@routes.post(r"/api/database/rows/table/{table_id:\d+}/batch/")
async def create_rows(request: web.Request) -> web.Response:
    body = NewRows.read(await read_exact_json(request))
    made, field_ids = await act(
        request,
        rows.create_rows,
        table_id=path_id(request, "table_id"),
        items=body.items,
        by_name=by_name(request),
        before_id=Before.read(dict(request.query)).before,
    )
    return answer(request, made, field_ids)


@routes.patch(r"/api/database/rows/table/{table_id:\d+}/batch/")
async def update_rows(request: web.Request) -> web.Response:
    body = ChangedRows.read(await read_exact_json(request))
    changed, field_ids = await act(
        request,
        rows.update_rows_at_once,
        table_id=path_id(request, "table_id"),
        items=body.items,
        by_name=by_name(request),
    )
    return answer(request, changed, field_ids, cascade_update={"rows": [], "field_ids": []})


@routes.post(r"/api/database/rows/table/{table_id:\d+}/batch-delete/")
async def delete_rows(request: web.Request) -> web.Response:
    body = await read_body(request, RowIds)
    await act(request, rows.delete_rows, table_id=path_id(request, "table_id"), row_ids=body.items)
    return no_content()
