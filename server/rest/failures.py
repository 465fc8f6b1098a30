"""How failures look: each dialect has its own shape, found by the path of the request.

database API: contract database.md (c); items API: `{"message"}`; records API: `{"error": {"code", "message"}}`.
An unexpected exception is logged with the request's id and answered with 500 and that id, never with its text.
"""

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from server.errors import BAD_AUTHORIZATION, BODY_TOO_SLOW, INVALID_ACCESS_TOKEN, Refused, TooMany, Unavailable
from server.metrics import Limit, met
from server.rest.context import UnsupportedMediaType, respond
from server.rest.schemas import InvalidBody

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
RECORDS = ("/api/1/ce/", "/api/projects/", "/api/endpoints/")
ITEMS = {
    "authenticate", "clients", "workspaces", "collections", "apply_template", "workflows", "columns",
    "field_types", "fields", "items", "values", "comments", "webhooks", "files",
}  # fmt: skip
RETRY_AFTER = "1"  # seconds
logger = logging.getLogger(__name__)


class FlatRefusal(Exception):
    """An invalid body whose answer is `{field: [text]}` and nothing else, as that of the token endpoints is."""

    def __init__(self, cause: InvalidBody) -> None:
        super().__init__(str(cause))
        self.body = cause.plain()


def is_records(path: str) -> bool:
    return path.startswith(RECORDS)


def is_items(path: str) -> bool:
    return path[1:].partition("/")[0] in ITEMS


def render(request: web.Request, status: int, code: str, detail: Any, **headers: str) -> web.Response:
    """An error in the dialect of the request's path."""
    if is_records(request.path):
        answer = respond({"error": {"code": status, "message": as_text(detail) or code}}, status)
    elif is_items(request.path):
        answer = respond({"message": as_text(detail) or code}, status)
    else:
        answer = respond(({"error": code} if code else {}) | {"detail": detail}, status)
        if status == 401 and code in ("", INVALID_ACCESS_TOKEN.code):
            answer.headers["WWW-Authenticate"] = 'JWT realm="api"'
    answer.headers.update(headers)
    return answer


def as_text(detail: Any) -> str:
    """Field errors as one line: `name: This field is required.`"""
    if isinstance(detail, dict):
        return "; ".join(f"{name}: {as_text(value)}" for name, value in detail.items())
    if isinstance(detail, list):
        return " ".join(as_text(value.get("error", value) if isinstance(value, dict) else value) for value in detail)
    return str(detail)


def refusal(request: web.Request, error: Refused) -> web.Response:
    """The answer to a refused action."""
    kind = error.kind
    plain = is_records(request.path) or is_items(request.path)
    answer = render(request, kind.plain_status if plain else kind.status, kind.code, error.detail)
    if kind is BAD_AUTHORIZATION and not plain:
        answer.body = respond({"detail": error.detail, "code": "bad_authorization_header"}).body
    if kind is BODY_TOO_SLOW:
        answer.force_close()  # the rest of the body may never come
    return answer


def not_found(request: web.Request) -> web.Response:
    """An unknown URL; one that only lacks its slash is told so, never redirected."""
    path = request.path
    if is_items(path) or is_records(path):
        return render(request, 404, "", "Not found.")
    if not path.endswith("/") and path.startswith("/api/") and resolves(request, path + "/"):
        detail = f"A valid URL must end with a trailing slash. Please, redirect requests to {path}/"
        return render(request, 404, "URL_TRAILING_SLASH_MISSING", detail)
    return render(request, 404, "URL_NOT_FOUND", f"URL {path} not found.")


def resolves(request: web.Request, path: str) -> bool:
    """True when some resource has this path."""
    return any(matches(resource, path) for resource in request.app.router.resources())


def matches(resource: web.AbstractResource, path: str) -> bool:
    """True when a resource, plain or with parameters, has this path."""
    if isinstance(resource, web.PlainResource):
        return resource.canonical == path
    return isinstance(resource, web.DynamicResource) and resource.get_info()["pattern"].fullmatch(path) is not None


@web.middleware
async def render_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns everything that is raised into an answer."""
    try:
        return await handler(request)
    except Refused as error:
        return refusal(request, error)
    except FlatRefusal as error:
        return respond(error.body, 400)
    except UnsupportedMediaType as error:
        return render(request, 415, "", str(error))
    except Unavailable as error:
        logger.warning("%s (%s)", error.told, error)
        return render(request, 503, "ERROR_UNAVAILABLE", error.told, **{"Retry-After": RETRY_AFTER})
    except TooMany as error:
        again = str(math.ceil(error.wait))
        return render(request, 429, error.kind.code, error.kind.detail, **{"Retry-After": again})
    except web.RequestPayloadError:
        return render(request, 400, "", "The request body cannot be decoded.")
    except ConnectionResetError:  # nobody hears this, but it is no failure of ours
        return render(request, 400, "", "The connection ended before the request did.")
    except web.HTTPNotFound:
        return not_found(request)
    except web.HTTPMethodNotAllowed as error:
        allow = ", ".join([*sorted(error.allowed_methods), "OPTIONS"])
        return render(request, 405, "", f'Method "{request.method}" not allowed.', Allow=allow)
    except web.HTTPRequestEntityTooLarge:
        met(Limit.BODY_SIZE)
        return render(request, 413, "ERROR_BODY_TOO_LARGE", "The request body is too large.")
    except web.HTTPException:
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return render(request, 500, "ERROR_INTERNAL", "The server failed to answer this request.")
