"""Files of records over HTTP, as tests send and fetch them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.app import Answer, Server, running_server
from tests.support.records import RunningEndpoint
from tests.support.storages import Kept

MOST = 200_000  # bytes of a file
TEXT = b"Dear all,\n"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
END = b"--x--\r\n"


@asynccontextmanager
async def files_server(database_url: str, kept: Kept) -> AsyncIterator[Server]:
    """A server with narrow limits that keeps files there."""
    settings = {"max_file_size": MOST, "max_body_size": 100_000, "body_timeout": 0.5, "housekeeping_interval": 0.05}
    async with running_server(database_url=database_url, file_storage=kept.url, max_uploads=3, **settings) as running:
        yield running


def a_file(data: bytes = TEXT, name: str | None = "letter.txt", kind: str = "text/plain") -> Any:
    return ("file", data, {"filename": name, "content_type": kind})


async def upload(endpoint: RunningEndpoint, *parts: Any, **query: Any) -> Answer:
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, data, more in parts:
        form.add_field(name, data, **more)
    return await endpoint.server.request("POST", endpoint.path(**query), data=form)


async def uploaded(endpoint: RunningEndpoint, *parts: Any, **query: Any) -> Any:
    answer = await upload(endpoint, *parts, **query)
    assert answer.status == 200, answer
    return answer.body


async def fetch(
    endpoint: RunningEndpoint, unique_id: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any
) -> tuple[int, bytes, Any]:
    path = endpoint.path(uniqueId=unique_id, fileOnly="true", **query)
    async with endpoint.server.http.request(method, endpoint.server.url + path, headers=headers) as response:
        return response.status, await response.read(), response.headers
