"""Cross-origin answers, content negotiation and odd requests, for every resource alike."""

import re

from aiohttp import HttpVersion10, HttpVersion11, hdrs, web

from server.addresses import client_host
from server.auth.origins import OriginRules
from server.errors import ORIGIN_REFUSED, Refused
from server.rest.context import respond
from server.rest.failures import Handler, render
from server.rest.uploads import most_bytes

ALLOWED_HEADERS = (
    "authorization, content-type, accept, websocketid, clientsessionid, clientundoredoactiongroupid, x-master-key,"
    " last-event-id"
)
ALLOWED_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
EXPOSED_HEADERS = "Stream-Offset, Retry-After, X-Request-Id"
MAX_AGE = "86400"  # seconds
ACCEPTABLE = ("*/*", "application/*", "application/json", "text/event-stream")
OWN_CORS = ("/socket.io/", "/api/1/ce/")  # Socket.IO and endpoints answer for themselves
HOST = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])?(?::[0-9]{1,5})?", re.ASCII)
ONCE = (hdrs.AUTHORIZATION, hdrs.ORIGIN, hdrs.CONTENT_ENCODING)  # aiohttp sees to Host, Content-Length and the like
ENCODINGS = ("identity", "gzip", "deflate")
ORIGINS = web.AppKey("origins", OriginRules)


def add_cors(request: web.Request, response: web.StreamResponse) -> None:
    """Says which page may read the answer: one of an allowed origin, which is echoed, with credentials; any, without.
    An answer that depends on the origin says so to caches, whoever asked."""
    origin, rules, headers = request.headers.get(hdrs.ORIGIN), request.app[ORIGINS], response.headers
    if rules.allowed != {"*"}:
        headers.add(hdrs.VARY, "Origin")
    if origin is None or hdrs.ACCESS_CONTROL_ALLOW_ORIGIN in headers:
        return
    if rules.is_allowed(origin):
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
    elif "*" in rules.allowed:
        headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    else:
        return
    headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS


def require_origin(request: web.Request) -> None:
    """Raises Refused for a page that may not open a stream."""
    if not request.app[ORIGINS].admits(request.headers.get(hdrs.ORIGIN), client_host(request)):
        raise Refused(ORIGIN_REFUSED)


@web.middleware
async def cross_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers preflight requests and marks every other answer, errors too."""
    if request.method == hdrs.METH_OPTIONS and not request.path.startswith(OWN_CORS):
        response: web.StreamResponse = web.Response(content_type="text/html", charset="utf-8")
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = ALLOWED_HEADERS
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = ALLOWED_METHODS
        response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = MAX_AGE
    else:
        response = await handler(request)
    if not response.prepared and not request.path.startswith(OWN_CORS):
        add_cors(request, response)
    return response


def oddity(request: web.Request) -> tuple[int, str] | None:
    """What aiohttp lets pass and a proxy in front of us may understand otherwise, or that we would not do as asked: a
    status, and what is wrong."""
    headers = request.headers
    if request.version not in (HttpVersion10, HttpVersion11):
        return 400, "The version of HTTP is not supported."
    if not HOST.fullmatch(headers.get(hdrs.HOST, "")):
        return 400, "The host is invalid."
    for name in ONCE:
        if len(headers.getall(name, ())) > 1:
            return 400, "A header that can be there once is repeated."
    if headers.get(hdrs.TRANSFER_ENCODING, "chunked").lower() != "chunked":
        return 400, "The transfer encoding is not supported."
    if headers.get(hdrs.CONTENT_ENCODING, "identity").lower() not in ENCODINGS:
        return 415, "The content encoding is not supported."
    return None


@web.middleware
async def screen(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what no handler is to see: a request that could mean two things, a body too large before it comes, and a
    client of the JSON API that accepts no JSON."""
    found, announced = oddity(request), request.content_length
    if announced and announced > (most := most_bytes(request)):
        raise web.HTTPRequestEntityTooLarge(most, announced)
    if found is not None:
        return render(request, found[0], "", found[1])
    if request.path.startswith("/api/") and not is_acceptable(request):
        return respond({"detail": "Could not satisfy the request Accept header."}, 406)
    return await handler(request)


def is_acceptable(request: web.Request) -> bool:
    """Whether an Accept header names something that we answer with; health checks and endpoints do not mind."""
    if request.path.startswith(("/api/_health/", "/api/1/ce/")):
        return True
    accept = request.headers.get(hdrs.ACCEPT, "*/*")
    return any(part.partition(";")[0].strip() in ACCEPTABLE for part in accept.split(","))
