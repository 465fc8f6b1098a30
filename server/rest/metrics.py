"""`GET /metrics`: what the server counts, for Prometheus."""

import hmac

from aiohttp import hdrs, web

from server.addresses import client_address
from server.errors import NO_CREDENTIALS, NO_SUCH_THING, Refused
from server.metrics import CONTENT_TYPE, Gauges
from server.rates import counted
from server.rest.context import OPTIONS

routes = web.RouteTableDef()
GAUGES = web.AppKey("gauges", Gauges)
FORWARDED = ("Forwarded", "X-Forwarded-For")  # what comes through a proxy is not of this machine


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """The counters of this process; raises Refused for who may not read them."""
    require_reader(request)
    return web.Response(body=request.app[GAUGES].page(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


def require_reader(request: web.Request) -> None:
    """With a token whoever brings it, else the machine itself; to others nothing is there."""
    token = request.app[OPTIONS].metrics_token
    if token:
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise Refused(NO_CREDENTIALS)
    elif counted(client_address(request)) or any(name in request.headers for name in FORWARDED):
        raise Refused(NO_SUCH_THING)
