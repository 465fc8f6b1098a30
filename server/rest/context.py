"""What every resource uses: typed application state, credentials and bodies of a request, and the answer.

A handler parses the request with these, calls exactly one action through `act` or one query through `look`, and
answers with `respond`. Every read notes the log position of its snapshot; the answer to a GET carries it
(contract mirrors.md), so that its reader can go on with the events above it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from aiohttp import hdrs, web

from server.actions.runner import Action, Query, Runner
from server.addresses import client_host, client_scheme
from server.auth.actors import Credentials
from server.auth.passwords import Passwords
from server.auth.tokens import Tokens
from server.encoding import encode
from server.errors import BAD_AUTHORIZATION, BODY_TOO_SLOW, Refused
from server.metrics import Limit, met
from server.rest.schemas import Body, parse_form, parse_json
from server.sandbox.pool import Sandbox

P = ParamSpec("P")
T = TypeVar("T")
B = TypeVar("B", bound=Body)
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
MAX_ID = 2**31 - 1
MAX_SOCKET_ID = 255  # characters
SCHEMES = ("jwt", "bearer")
POSITION_HEADER = "Stream-Offset"


@dataclass(frozen=True, slots=True)
class RestOptions:
    """The settings that resources need."""

    public_url: str
    signup_creates_workspace: bool
    allow_signups: bool
    body_timeout: float  # seconds
    max_json_depth: int
    max_rooms: int  # of one stream
    metrics_token: str


class Readiness:
    """Whether the server takes traffic: `accepting` is turned off when it stops; `bell` tells whether it hears;
    `running` counts the requests that are being served, streams among them."""

    def __init__(self, bell: Callable[[], bool]) -> None:
        self.accepting = True
        self.bell = bell
        self.running = 0
        self._idle: asyncio.Event | None = None  # while somebody waits for it

    def checks(self) -> dict[str, bool]:
        return {"accepting": self.accepting, "bell": self.bell()}

    def begin(self) -> None:
        """A request begins."""
        self.running += 1

    def end(self) -> None:
        """A request is over."""
        self.running -= 1
        if not self.running and self._idle is not None:
            self._idle.set()

    async def idle(self) -> None:
        """Waits until no request runs."""
        while self.running:
            self._idle = self._idle or asyncio.Event()
            self._idle.clear()
            await self._idle.wait()


RUNNER = web.AppKey("runner", Runner)
READINESS = web.AppKey("readiness", Readiness)
TOKENS = web.AppKey("tokens", Tokens)
PASSWORDS = web.AppKey("passwords", Passwords)
OPTIONS = web.AppKey("options", RestOptions)
SANDBOX = web.AppKey("sandbox", Sandbox)
CREDENTIALS = web.RequestKey("credentials", Credentials)  # read once a request; the access log names the user
POSITION = web.RequestKey("position", int)  # of the log, when the request read first


def token_of(header: str) -> str | None:
    """The access token of an Authorization header; None where there is no JWT. Raises Refused for half a header."""
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() not in SCHEMES:
        return None
    if not token.strip() or " " in token.strip():
        raise Refused(BAD_AUTHORIZATION)
    return token.strip()


def credentials(request: web.Request) -> Credentials:
    """Who the request says it comes from: the token's claims, and the socket to leave out of its events."""
    known = request.get(CREDENTIALS)
    if known is None:
        token = token_of(request.headers.get("Authorization", ""))
        claims = request.app[TOKENS].read_access(token) if token is not None else None
        known = request[CREDENTIALS] = Credentials(claims, acting_socket(request))
    return known


async def act(request: web.Request, action: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs an action for the request's actor."""
    return await request.app[RUNNER].act(credentials(request), action, *args, **kwargs)


async def act_long(request: web.Request, action: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for one that may take more than some milliseconds, such as an import."""
    return await request.app[RUNNER].act_long(credentials(request), action, *args, **kwargs)


async def look(request: web.Request, query: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a query for the request's actor."""
    return await look_as(request, credentials(request), query, *args, **kwargs)


async def look_as(request: web.Request, who: Credentials, query: Action[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for an actor whose credentials were brought in another way."""
    found, position = await request.app[RUNNER].look_at(who, query, *args, **kwargs)
    note_position(request, position)
    return found


async def ask(request: web.Request, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs a query that needs no account."""
    found, position = await request.app[RUNNER].ask_at(query, *args, **kwargs)
    note_position(request, position)
    return found


def note_position(request: web.Request, position: int) -> None:
    """Notes how far the log reaches that the answer knows; of several positions the smallest counts, since events that
    are told twice can be recognised, and missing ones cannot."""
    request[POSITION] = min(position, request.get(POSITION, position))


def mark_position(request: web.Request, response: web.StreamResponse) -> None:
    """Says from where events follow, in each successful answer to a read."""
    if request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and response.status // 100 == 2 and POSITION in request:
        response.headers[POSITION_HEADER] = str(request[POSITION])


class UnsupportedMediaType(Exception):
    """A body of a type that the resource does not read."""

    def __init__(self, content_type: str) -> None:
        shown = content_type.encode("ascii", "replace").decode()
        super().__init__(f'Unsupported media type "{shown}" in request.')


async def read_json(request: web.Request, *, exact: bool = False) -> Any:
    """The body as a JSON value, its fractions as Decimal when `exact`; forms are taken too. Raises
    UnsupportedMediaType or UnreadableBody."""
    raw = await read_raw(request)
    if request.content_type == FORM_TYPE:
        return parse_form(raw)
    if request.content_type != JSON_TYPE and (raw or "Content-Type" in request.headers):
        raise UnsupportedMediaType(request.headers.get("Content-Type", request.content_type))
    return parse_json(raw, request.app[OPTIONS].max_json_depth, exact=exact)


async def read_raw(request: web.Request) -> bytes:
    """The body; raises Refused when it takes too long to arrive."""
    try:
        async with asyncio.timeout(request.app[OPTIONS].body_timeout):
            return await request.read()
    except TimeoutError:
        met(Limit.BODY_TIME)
        raise Refused(BODY_TOO_SLOW) from None


async def read_exact_json(request: web.Request) -> Any:
    """The body of a request that carries cells; the actor's token is looked at first."""
    credentials(request)
    return await read_json(request, exact=True)


async def read_body(request: web.Request, model: type[B]) -> B:
    """The checked body; the actor's token is looked at first, as the original does. Raises InvalidBody."""
    credentials(request)
    return model.read(await read_json(request))


def acting_socket(request: web.Request) -> str | None:
    """The socket that the request names as its own; what no socket can be called names none."""
    named = request.headers.get("WebSocketId", "")
    return named if 0 < len(named) <= MAX_SOCKET_ID and named.isascii() and named.isprintable() else None


def path_id(request: web.Request, name: str) -> int:
    """An integer of the path; what is larger than any id becomes the largest. Raises HTTPNotFound for digits of other
    scripts, which the patterns of routes let pass."""
    text = request.match_info[name].lstrip("0") or "0"
    if not text.isascii():
        raise web.HTTPNotFound
    return min(int(text), MAX_ID) if len(text) <= len(str(MAX_ID)) else MAX_ID


def respond(value: Any, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(body=encode(value), status=status, content_type=JSON_TYPE)


def no_content() -> web.Response:
    return web.Response(status=204)


def base_url(request: web.Request) -> str:
    """The address under which the client reached the server, without a slash at the end."""
    return request.app[OPTIONS].public_url.rstrip("/") or f"{client_scheme(request)}://{client_host(request)}"
