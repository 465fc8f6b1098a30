"""One log line a request: method, path, status, duration, address, user; and the id under which it can be found.

Invariant: this is the outermost middleware, so it sees what the client gets
and counts what runs. Sockets are logged when they have begun."""

import logging
import time

from aiohttp import web

from server.addresses import client_address
from server.logs import REQUEST_ID, REQUEST_ID_HEADER, request_id
from server.rest.context import CREDENTIALS, READINESS, mark_position
from server.rest.failures import Handler

NAME = web.RequestKey("request_id", str)
QUIET = ("/healthz", "/readyz", "/api/_health/", "/socket.io/")  # probes and long-polling: logged at DEBUG
logger = logging.getLogger(__name__)


@web.middleware
async def access_log(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Names the request, answers its name, and logs it when it is over."""
    name = request[NAME] = request_id(request.headers.get(REQUEST_ID_HEADER))
    token = REQUEST_ID.set(name)
    began = time.perf_counter()
    readiness = request.app[READINESS]
    readiness.begin()
    status = 499  # the client went away before there was an answer
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as error:
        status = error.status
        raise
    finally:
        readiness.end()
        log(request, status, (time.perf_counter() - began) * 1000)
        REQUEST_ID.reset(token)


def log(request: web.Request, status: int, ms: float) -> None:
    """Writes the line; `ms` is the time until the answer was made, of a socket until it was let in or closed, of a
    stream its whole life."""
    level = logging.DEBUG if request.path.startswith(QUIET) and status < 500 else logging.INFO
    if not logger.isEnabledFor(level):
        return
    fields: dict[str, object] = {
        "method": request.method,
        "path": request.path_qs,
        "status": status,
        "ms": round(ms, 1),
        "address": client_address(request),
    }
    who = f" {fields['address']}"
    if (user := user_id(request)) is not None:
        fields["user"] = user
        who += f" user {user}"
    logger.log(level, "%s %s %d %.1f ms%s", request.method, request.path_qs, status, ms, who, extra=fields)


def user_id(request: web.Request) -> int | None:
    """The account that the request proved to come from."""
    known = request.get(CREDENTIALS)
    return known.claims.user_id if known is not None and known.claims is not None else None


async def mark_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Names the request in its answer (a signal, since streams answer before they return), and the position of what was
    read; a server that stops asks the client to bring its next request to another one."""
    name = request.get(NAME)
    if name is not None:
        response.headers[REQUEST_ID_HEADER] = name
    mark_position(request, response)
    if not request.app[READINESS].accepting:
        response.force_close()
