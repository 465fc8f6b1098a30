"""Files of an endpoint's records: uploads, and the files themselves (contract records.md)."""

from aiohttp import web

from server.actions import record_files
from server.errors import INVALID_QUERY, Refused
from server.rest.context import RUNNER, ask, respond
from server.rest.files import send_file
from server.rest.record_requests import is_true, one_unique_id, visitor_of
from server.rest.uploads import received


async def create_file_records(request: web.Request) -> web.Response:
    """A record for each file of an upload: one as it is, several as an array."""
    store, visitor, name = request.app[RUNNER].store, visitor_of(request), request.match_info["name"]
    await store.read(record_files.open_upload, visitor, name=name)
    async with received(request) as form:
        made = await store.write(
            record_files.create_file_records, visitor, name=name, files=form.files, metadata=form.texts
        )
    shown = [envelope["data"] if is_true(request, "dataOnly") else envelope for envelope in made]
    return respond(shown[0] if len(shown) == 1 else shown)


async def read_file(request: web.Request) -> web.Response:
    """The file of a record; ranges of it with `stream=true`."""
    visitor, name, unique_id = visitor_of(request), request.match_info["name"], one_unique_id(request)
    file = await ask(request, record_files.find_record_file, visitor, name=name, unique_id=unique_id)
    return await send_file(request, file, ranges=is_true(request, "stream"))


def wants_file(request: web.Request) -> bool:
    """Whether the file and not the record is asked for; raises Refused for a stream of something else."""
    if is_true(request, "stream") and not is_true(request, "fileOnly"):
        raise Refused(INVALID_QUERY, "The parameter stream needs fileOnly=true.")
    return is_true(request, "fileOnly")
