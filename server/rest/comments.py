"""Comments on items of the items API (contract items.md)."""

from typing import Annotated

from aiohttp import web

from server.actions import comments
from server.rest.context import no_content, respond
from server.rest.items_context import act, look, read_body
from server.rest.paging import limit_offset
from server.rest.schema_types import Char
from server.rest.schemas import Body

routes = web.RouteTableDef()
PAGE_SIZE = 200  # at most, and where no limit is given: few items have more
MAX_TEXT = 10_000  # characters


class NewComment(Body):
    text: Annotated[str, Char(max_length=MAX_TEXT)]


@routes.get("/items/{item_id}/comments")
async def list_comments(request: web.Request) -> web.Response:
    limit, offset = limit_offset(request.query, default=PAGE_SIZE, most=PAGE_SIZE)
    item_id = request.match_info["item_id"]
    return respond(await look(request, comments.list_comments, item_id=item_id, limit=limit, offset=offset))


@routes.post("/items/{item_id}/comments")
async def create_comment(request: web.Request) -> web.Response:
    text = (await read_body(request, NewComment)).text
    made = await act(request, comments.create_comment, item_id=request.match_info["item_id"], text=text)
    return respond(made, 201)


@routes.delete("/comments/{comment_id}")
async def delete_comment(request: web.Request) -> web.Response:
    await act(request, comments.delete_comment, comment_id=request.match_info["comment_id"])
    return no_content()
