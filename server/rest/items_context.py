"""What the resources of the items API share: its ways to bring a token, and answers for its actors.

The access token of a user or a client comes in the `Authorization` header, with or without a scheme, or in the cookie
that a login sets.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from aiohttp import hdrs, web

from server.actions.runner import Action
from server.actions.value_checks import Answers, answered
from server.addresses import client_host
from server.auth.actors import Credentials
from server.errors import NO_CREDENTIALS, ORIGIN_REFUSED, Refused
from server.rest.context import (
    CREDENTIALS,
    OPTIONS,
    RUNNER,
    SANDBOX,
    SCHEMES,
    TOKENS,
    acting_socket,
    look_as,
    read_json,
)
from server.rest.middlewares import ORIGINS
from server.rest.schema_types import Invalid
from server.rest.schemas import Body, InvalidBody, ListOf, Query

P = ParamSpec("P")
T = TypeVar("T")
B = TypeVar("B", bound=Body)
Q = TypeVar("Q", bound=Query)
COOKIE = "access_token"
SAFE_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS)


def credentials(request: web.Request) -> Credentials:
    """Who the request says it comes from; raises Refused for a bad token and for a page that may not use the cookie."""
    known = request.get(CREDENTIALS)
    if known is None:
        known = request[CREDENTIALS] = read_credentials(request)
    return known


def read_credentials(request: web.Request) -> Credentials:
    """The same, read for the first time."""
    header = request.headers.get(hdrs.AUTHORIZATION, "").strip()
    scheme, _, rest = header.partition(" ")
    token = rest.strip() if scheme.lower() in SCHEMES else header
    if not token and (token := request.cookies.get(COOKIE, "")) and request.method not in SAFE_METHODS:
        require_own_page(request)
    claims = request.app[TOKENS].read_access(token, clients=True) if token else None
    return Credentials(claims, acting_socket(request))


def require_own_page(request: web.Request) -> None:
    """Raises Refused where the page may not act with the cookie alone."""
    if not is_own_page(request):
        raise Refused(ORIGIN_REFUSED)


def is_own_page(request: web.Request) -> bool:
    """True for a request of a page of ours, or of an origin allowed by its name."""
    return request.app[ORIGINS].may_use_cookie(request.headers.get(hdrs.ORIGIN), client_host(request))


def may_set_cookie(request: web.Request) -> bool:
    """Whether the cookie may be given or taken away: no foreign page logs its visitor in as somebody else, or out, for
    which a mere form would do. Who is no page names no origin."""
    return hdrs.ORIGIN not in request.headers or is_own_page(request)


async def act(request: web.Request, action: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs an action for the request's actor."""
    return await request.app[RUNNER].act(credentials(request), action, *args, **kwargs)


async def look(request: web.Request, query: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a query for the request's actor."""
    return await look_as(request, credentials(request), query, *args, **kwargs)


def require_token(request: web.Request) -> None:
    """Raises Refused where nobody has signed in."""
    if credentials(request).claims is None:
        raise Refused(NO_CREDENTIALS)


async def read_body(request: web.Request, model: type[B]) -> B:
    """The checked body; who sends it is looked at first. Raises Refused or UnsupportedMediaType."""
    require_token(request)
    return model.read(await read_json(request))


def read_query(request: web.Request, model: type[Q]) -> Q:
    """The checked query; who sends it is looked at first. Raises Refused."""
    require_token(request)
    return model.read(dict(request.query))


async def read_list(request: web.Request, name: str, model: type[B], most: int) -> list[dict[str, Any]]:
    """What was given of each element of a body that is an array; refusals name it. Raises as `read_body`."""
    require_token(request)
    raw = await read_json(request)
    try:
        found: list[B] = ListOf(model, max_length=most).clean(raw)
    except Invalid as refusal:
        raise InvalidBody({name: refusal.problems}) from None
    return [each.given() for each in found]


async def act_answered(request: web.Request, action: Callable[..., T], **given: Any) -> T:
    """Runs an action that has to know what expressions make of values, and takes that as `answers`."""
    runner, who = request.app[RUNNER], credentials(request)

    def attempt(answers: Answers) -> Awaitable[T]:
        return runner.act(who, action, **given, answers=answers)

    return await answered(request.app[SANDBOX], attempt, party_of(request))


def party_of(request: web.Request) -> str:
    """Who takes turns with others at the worker processes."""
    claims = credentials(request).claims
    return f"user {claims.user_id}" if claims is not None else ""


def included(request: web.Request) -> frozenset[str]:
    """The nested arrays that the query's `include` asks for."""
    return frozenset(name.strip() for name in request.query.get("include", "").split(","))


def is_encrypted(request: web.Request) -> bool:
    """True where the client speaks https, to us or to a router in front of us. Anybody is believed: who lies about it
    only keeps a cookie from itself."""
    return (
        request.secure
        or request.headers.get(hdrs.X_FORWARDED_PROTO, "").lower() == "https"
        or request.app[OPTIONS].public_url.startswith("https:")
    )
