"""Which web pages may read the answers of an endpoint: decided by its project, not by the server's own setting.

An empty list: any page, without credentials. A listed origin: that page, with credentials, echoed as it was sent.
Any other origin gets no permission, and its request was refused."""

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps

from aiohttp import hdrs, web

from server.actions import records
from server.auth.origins import is_listed
from server.rest.context import RUNNER
from server.rest.failures import render_failures

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    # not x-master-key: it is for servers
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "authorization, content-type, accept, range, if-range",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",  # seconds: origins may change
}
EXPOSED_HEADERS = (
    "Authorization, Stream-Offset, Retry-After, X-Request-Id, Content-Disposition, Content-Range, Accept-Ranges, ETag"
)


def cors_headers(origin: str, listed: Sequence[str]) -> dict[str, str]:
    """The headers that let a page of this origin read the answer."""
    if not listed:
        return {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"}
    if not is_listed(origin, listed):
        return {hdrs.VARY: "Origin"}
    return {
        hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
        hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true",
        hdrs.VARY: "Origin",
    }


async def permission(request: web.Request) -> dict[str, str]:
    """The headers for the page that sent the request, none where no page did."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return {}
    listed = await request.app[RUNNER].store.read(records.find_origins, request.match_info["name"])
    return cors_headers(origin, listed)


def shared(handler: Handler) -> Handler:
    """Marks every answer of a handler, errors too, so that an admitted page can read it."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        response = await render_failures(request, handler)
        if not response.prepared and (headers := await permission(request)):
            response.headers.update(headers)
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS
        return response

    return answer
