"""Records over HTTP: `/api/1/ce/<endpoint name>` (contract records.md). A WebSocket on the same URL is handed on."""

import io
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web

from server.actions import records
from server.encoding import encode
from server.errors import ANSWER_TOO_LARGE, ORIGIN_REFUSED, Refused
from server.rest.context import JSON_TYPE, RUNNER, SANDBOX, ask, respond
from server.rest.endpoint_cors import PREFLIGHT, permission, shared
from server.rest.record_files import create_file_records, read_file, wants_file
from server.rest.record_requests import (
    is_true,
    one_unique_id,
    page_of,
    read_data,
    refuse_login,
    unique_ids,
    visitor_of,
)
from server.rest.record_users import log_in, log_out, shown, take_password
from server.rest.uploads import MULTIPART, takes_files
from server.sandbox.tasks import EXPRESSION

routes = web.RouteTableDef()
PATH = "/api/1/ce/{name:.+}"
LARGE = 1 << 18  # bytes above which an answer is written in pieces, so that other clients are served in between
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ENDPOINT_SOCKET = web.AppKey[Handler]("endpoint_socket")


@routes.get(PATH)
async def get_records(request: web.Request) -> web.StreamResponse:
    if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
        return await request.app[ENDPOINT_SOCKET](request)
    return await read_records(request)


@shared
async def read_records(request: web.Request) -> web.Response:
    refuse_login(request)
    if wants_file(request):
        return await read_file(request)
    expression = request.query.get("jsonata")
    most = records.MAX_PAGE if expression is None else EXPRESSION.size
    text = await (read_some(request) if "uniqueId" in request.query else read_page(request, most))
    if expression is not None:
        if len(text) > most:
            raise Refused(ANSWER_TOO_LARGE)
        whose = f"endpoint {request.match_info['name']}"  # who visits it may be anybody, and many
        text = await request.app[SANDBOX].run("jsonata", expression, text, whose=whose)
    return web.Response(body=io.BytesIO(text) if len(text) > LARGE else text, content_type=JSON_TYPE)


async def read_some(request: web.Request) -> bytes:
    """The records that are named: of one name the record itself."""
    ids, name = unique_ids(request), request.match_info["name"]
    found = await ask(request, records.find_records, visitor_of(request), name=name, unique_ids=ids)
    parts = [shown(request, envelope) for envelope in found]
    return encode(parts[0] if len(ids) == 1 else parts)


async def read_page(request: web.Request, most: int) -> bytes:
    """All records, or those within `limit` and `offset`."""
    page, name = page_of(request), request.match_info["name"]
    data_only, visitor = is_true(request, "dataOnly"), visitor_of(request)
    return await ask(
        request, records.list_records, visitor, name=name, **page._asdict(), data_only=data_only, most=most
    )


@routes.post(PATH)
@shared
@takes_files
async def create_record(request: web.Request) -> web.Response:
    """Stores a record; at an authentication endpoint it registers a user, or logs one in or out."""
    if is_true(request, "login"):
        return await log_in(request)
    if is_true(request, "logout"):
        return await log_out(request)
    if request.content_type == MULTIPART:
        return await create_file_records(request)
    data, password = await take_password(request, await read_data(request), newcomer=True)
    name, store = request.match_info["name"], request.app[RUNNER].store
    made = await store.write(records.create_record, visitor_of(request), name=name, data=data, password=password)
    return respond(shown(request, made))


@routes.put(PATH)
@shared
async def update_record(request: web.Request) -> web.Response:
    refuse_login(request)
    unique_id = one_unique_id(request)
    data, password = await take_password(request, await read_data(request))
    changed = await request.app[RUNNER].store.write(
        records.update_record,
        visitor_of(request),
        name=request.match_info["name"],
        unique_id=unique_id,
        strategy=request.query.get("strategy", "force"),
        data=data,
        password=password,
    )
    return respond(shown(request, changed))


@routes.delete(PATH)
@shared
async def delete_record(request: web.Request) -> web.Response:
    refuse_login(request)
    name, unique_id = request.match_info["name"], one_unique_id(request)
    store = request.app[RUNNER].store
    removed = await store.write(records.delete_record, visitor_of(request), name=name, unique_id=unique_id)
    return respond(shown(request, removed))


@routes.options(PATH)
@shared
async def preflight(request: web.Request) -> web.Response:
    """Tells a page whether it may send its request; the request itself is checked when it comes."""
    if hdrs.ORIGIN in request.headers and hdrs.ACCESS_CONTROL_ALLOW_ORIGIN not in await permission(request):
        raise Refused(ORIGIN_REFUSED)
    return web.Response(status=204, headers=PREFLIGHT)
