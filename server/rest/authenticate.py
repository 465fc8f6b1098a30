"""Logging in to the items API: people with a cookie, clients for a token (contract items.md)."""

import contextlib
from typing import Annotated

from aiohttp import web

from server.actions.accounts import sign_out
from server.auth.tokens import ACCESS, CLIENT
from server.errors import ORIGIN_REFUSED, Refused
from server.rest.context import TOKENS, no_content, read_json, respond
from server.rest.items_context import COOKIE, act, credentials, is_encrypted, may_set_cookie
from server.rest.logins import find_client, find_login
from server.rest.schema_types import Char, Email
from server.rest.schemas import Body

routes = web.RouteTableDef()


class UserLogin(Body):
    email: Annotated[str, Email()]
    password: Annotated[str, Char()]


class ClientLogin(Body):
    client_id: Annotated[str, Char()]
    client_secret: Annotated[str, Char()]


@routes.post("/authenticate/client")
async def authenticate_client(request: web.Request) -> web.Response:
    """An access token for a client's credentials, as JSON or as a form."""
    body = ClientLogin.read(await read_json(request))
    user_id, tokens = await find_client(request, body.client_id, body.client_secret), request.app[TOKENS]
    token = tokens.client(user_id)
    return respond({"access_token": token, "expires_in": tokens.lifetimes[CLIENT], "token_type": "Bearer"})


@routes.post("/authenticate/user")
async def log_in(request: web.Request) -> web.Response:
    """Checks e-mail and password and sets the cookie, which lives as long as its token. Refused to a foreign page."""
    if not may_set_cookie(request):
        raise Refused(ORIGIN_REFUSED)
    body = UserLogin.read(await read_json(request))
    account, tokens = await find_login(request, body.email, body.password), request.app[TOKENS]
    answer = respond({"id": account.id, "tos_accepted": True})
    answer.set_cookie(
        COOKIE,
        tokens.access(account.id, account.valid_from),
        max_age=tokens.lifetimes[ACCESS],
        httponly=True,
        secure=is_encrypted(request),
        samesite="Lax",
    )
    return answer


@routes.post("/authenticate/logout")
async def log_out(request: web.Request) -> web.Response:
    """Clears the cookie, but for no foreign page, and ends the sockets that were opened with its token, or with that of
    the header."""
    with contextlib.suppress(Refused):  # whoever is signed out already gets the same answer
        claims = credentials(request).claims
        if claims is not None:
            await act(request, sign_out, jti=claims.jti)
    answer = no_content()
    if may_set_cookie(request):
        answer.del_cookie(COOKIE, httponly=True, secure=is_encrypted(request), samesite="Lax")
    return answer
