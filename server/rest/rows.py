"""Rows of tables, one by one and in pages (contract database.md, c)."""

from typing import Any

from aiohttp import web

from server.actions import row_history, row_lists, rows
from server.actions.row_lists import RowQuery
from server.errors import INVALID_QUERY
from server.rest.context import act, base_url, credentials, look, no_content, path_id, read_exact_json, respond
from server.rest.paging import limit_offset, number, numbered_links, page_links
from server.rest.row_requests import Before, BeforeId, by_name, flag, page_size
from server.rest.schema_types import problem
from server.rest.schemas import Body, InvalidBody

routes = web.RouteTableDef()
HISTORY_LIMIT = 100


@routes.get(r"/api/database/rows/table/{table_id:\d+}/")
async def list_rows(request: web.Request) -> web.Response:
    credentials(request)
    query = request.query
    asked = RowQuery(
        page=number(query.get("page"), 1) or 1,
        size=page_size(query),
        search=query.get("search", ""),
        search_mode=query.get("search_mode", ""),
        order_by=query.get("order_by", ""),
        include=query.get("include", ""),
        exclude=query.get("exclude", ""),
        by_name=by_name(request),
    )
    count, found = await look(request, row_lists.list_rows, table_id=path_id(request, "table_id"), asked=asked)
    links = numbered_links(base_url(request) + request.path, query, count, asked.page, asked.size)
    return respond({"count": count, **links, "results": found})


@routes.post(r"/api/database/rows/table/{table_id:\d+}/")
async def create_row(request: web.Request) -> web.Response:
    values = await read_exact_json(request)
    Body.read(values)
    made = await act(
        request,
        rows.create_row,
        table_id=path_id(request, "table_id"),
        values=values,
        by_name=by_name(request),
        before_id=Before.read(dict(request.query)).before,
    )
    return respond(made)


@routes.get("/api/database/rows/names/")
async def list_row_names(request: web.Request) -> web.Response:
    """The names of rows by table: `?table__ID=ROW,ROW`, as often as needed."""
    wanted: dict[int, list[int]] = {}
    for key, text in request.query.items():
        table, ids = number(key.removeprefix("table__"), 0), [number(each, 0) for each in text.split(",")]
        if not table or not all(ids):
            raise InvalidBody({key: [problem("Expected table__ID=ROW,ROW.", "invalid")]}, INVALID_QUERY)
        wanted[table] = ids
    return respond(await look(request, row_lists.list_row_names, wanted=wanted))


@routes.get(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/")
async def get_row(request: web.Request) -> web.Response:
    table_id, row_id = path_id(request, "table_id"), path_id(request, "row_id")
    row = await look(request, rows.get_row, table_id=table_id, row_id=row_id, by_name=by_name(request))
    more: dict[str, Any] = {"metadata": {}} if "metadata" in request.query.get("include", "").split(",") else {}
    return respond({**row, **more})


@routes.patch(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/")
async def update_row(request: web.Request) -> web.Response:
    values = await read_exact_json(request)
    Body.read(values)
    changed = await act(
        request,
        rows.update_row,
        table_id=path_id(request, "table_id"),
        row_id=path_id(request, "row_id"),
        values=values,
        by_name=by_name(request),
    )
    return respond(changed)


@routes.delete(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/")
async def delete_row(request: web.Request) -> web.Response:
    await act(request, rows.delete_row, table_id=path_id(request, "table_id"), row_id=path_id(request, "row_id"))
    return no_content()


@routes.patch(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/move/")
async def move_row(request: web.Request) -> web.Response:
    moved = await act(
        request,
        rows.move_row,
        table_id=path_id(request, "table_id"),
        row_id=path_id(request, "row_id"),
        before_id=BeforeId.read(dict(request.query)).before_id,
        by_name=by_name(request),
    )
    return respond(moved)


@routes.get(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/adjacent/")
async def find_adjacent_row(request: web.Request) -> web.Response:
    found = await look(
        request,
        row_lists.find_adjacent_row,
        table_id=path_id(request, "table_id"),
        row_id=path_id(request, "row_id"),
        previous=flag(request, "previous"),
        search=request.query.get("search", ""),
        search_mode=request.query.get("search_mode", ""),
        by_name=by_name(request),
    )
    return no_content() if found is None else respond(found)


@routes.get(r"/api/database/rows/table/{table_id:\d+}/{row_id:\d+}/history/")
async def list_row_history(request: web.Request) -> web.Response:
    limit, offset = limit_offset(request.query, default=HISTORY_LIMIT, most=HISTORY_LIMIT)
    count, found = await look(
        request,
        row_history.list_row_history,
        table_id=path_id(request, "table_id"),
        row_id=path_id(request, "row_id"),
        limit=limit,
        offset=offset,
    )
    links = page_links(base_url(request) + request.path, request.query, count, limit, offset)
    return respond({"count": count, **links, "results": found})
