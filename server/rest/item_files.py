"""Files of items: an item that is made of one, and the file itself (contract items.md)."""

from collections.abc import Callable
from typing import Annotated

from aiohttp import web

from server.actions import item_files, items
from server.rest.context import respond
from server.rest.files import send_file
from server.rest.items_context import act, look
from server.rest.schema_types import Char
from server.rest.schemas import Body
from server.rest.uploads import received

routes = web.RouteTableDef()
DOCUMENT_CAME: web.AppKey[Callable[[], None]] = web.AppKey("document_came")
CALLS = {"state", "locked_by_user_id"}  # changes of an item after which its document may wait to be interpreted


class NewUpload(Body):
    """The texts of an upload; the name is that of the file where none is given."""

    collection_id: Annotated[str | None, Char()] = None
    column_id: Annotated[str | None, Char()] = None
    name: Annotated[str | None, Char(max_length=255)] = None


async def upload_item(request: web.Request) -> web.Response:
    """An item made of the one file of an upload."""
    await look(request, item_files.open_upload)
    async with received(request, most=1) as form:
        body, (file,) = NewUpload.read(form.texts), form.files
        made = await act(
            request,
            items.create_item,
            collection_id=body.collection_id,
            column_id=body.column_id,
            name=body.name or file.name,
            file=file,
        )
    request.app[DOCUMENT_CAME]()
    return respond(made, 201)


@routes.get("/files/{file_id}")
async def get_file(request: web.Request) -> web.Response:
    file = await look(request, item_files.find_item_file, file_id=request.match_info["file_id"])
    return await send_file(request, file, ranges=True)
