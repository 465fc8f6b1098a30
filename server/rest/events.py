"""What streams are told, live (handed on) and in pages for clients that poll (contract mirrors.md)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from aiohttp import hdrs, web
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from server.actions import streams
from server.auth.actors import Credentials
from server.errors import INVALID_QUERY
from server.metrics import Limit, met
from server.rest.context import OPTIONS, credentials, look, note_position, respond
from server.rest.middlewares import add_cors, require_origin
from server.rest.schema_types import Char, Integer, problem, refuse
from server.rest.schemas import InvalidBody, ListOf, Query

routes = web.RouteTableDef()
PAGE_SIZE, MAX_PAGE_SIZE = 200, 1000
MAX_ROOMS = 200
MAX_DIGITS = 19
Serve = Callable[
    [web.Request, web.StreamResponse, Credentials, Sequence[str], str | None], Awaitable[web.StreamResponse]
]
EVENT_STREAM = web.AppKey[Serve]("event_stream")
STREAM_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True)
class StreamName(Char):
    """`workspace:ID`, `table:ID`, `row:TABLE:ROW` or `items:WORKSPACE`."""

    def convert(self, value: Any) -> str:
        if not streams.is_stream(value):
            raise refuse("Expected workspace:ID, table:ID, row:TABLE:ROW or items:WORKSPACE.", "invalid")
        return str(value)

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.str_schema(pattern=f"^({streams.STREAM.pattern})$")


class StreamQuery(Query):
    room: Annotated[list[str], ListOf(StreamName(), min_length=1)]


def rooms_of(request: web.Request) -> list[str]:
    """The rooms that the query names; raises InvalidBody for more than one stream may have."""
    names, most = request.query.getall("room", []), request.app[OPTIONS].max_rooms
    if len(names) > most:
        met(Limit.PAGES)
        found = problem(f"Ensure this field has no more than {most} elements.", "max_length")
        raise InvalidBody({"room": [found]}, INVALID_QUERY)
    return names


class EventQuery(StreamQuery):
    limit: Annotated[int, Integer(min=1, max=MAX_PAGE_SIZE)] = PAGE_SIZE


def position_of(text: str | None) -> int | None:
    """A log position; 0, which nothing continues, for what is none, and None where none was given."""
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS else 0


@routes.get("/api/events/")
async def list_events(request: web.Request) -> web.Response:
    """A page of events; the header names the page's position, not the end of the log, since one reads on from it."""
    credentials(request)
    asked = EventQuery.read({**request.query, "room": rooms_of(request)})
    after = position_of(request.query.get("after"))
    found = await look(request, streams.list_events, names=asked.room, after=after, limit=asked.limit)
    note_position(request, found["position"])
    return respond(found)


@routes.get("/api/events/stream")
async def stream_events(request: web.Request) -> web.StreamResponse:
    """Live events. HEAD says whether they may be heard, and from where on."""
    require_origin(request)
    who = credentials(request)
    names = StreamQuery.read({"room": rooms_of(request)}).room
    since = request.headers.get("Last-Event-ID", request.query.get("since"))
    response = web.StreamResponse(headers=STREAM_HEADERS)
    add_cors(request, response)  # the middleware comes too late for an answer that was begun
    if request.method == hdrs.METH_HEAD:
        await look(request, streams.open_streams, names=names)
        return response
    return await request.app[EVENT_STREAM](request, response, who, names, since)
