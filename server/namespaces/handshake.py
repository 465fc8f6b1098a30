"""Who may open a socket: which pages, and where a Socket.IO client may put its token: the CONNECT packet, else the
Authorization header, the cookie that a login of the items API sets, or the query."""

from http.cookies import CookieError, SimpleCookie
from typing import Any

from aiohttp import hdrs, web

from server.addresses import client_host
from server.auth.origins import OriginRules
from server.delivery.engineio_socket import Handshake
from server.errors import ORIGIN_REFUSED, Refused

SCHEMES = ("jwt", "bearer")
COOKIE = "access_token"


def require_origin(request: web.Request, origins: OriginRules) -> None:
    """Raises Refused for a page that may not open a socket."""
    if not origins.admits(request.headers.get(hdrs.ORIGIN), client_host(request)):
        raise Refused(ORIGIN_REFUSED)


def token_of(handshake: Handshake, auth: Any, origins: OriginRules) -> str:
    """The access token of a connection; empty when there is none, or only a cookie that the page may not use."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if isinstance(token, str) and (sent := bare(token)):
        return sent
    if header := bare(handshake.authorization):
        return header
    if cookie := cookie_of(handshake.cookie):
        return cookie if origins.may_use_cookie(handshake.origin, handshake.host) else ""
    return handshake.token


def bare(text: str) -> str:
    """A token without its scheme."""
    scheme, _, token = text.strip().partition(" ")
    return token.strip() if scheme.lower() in SCHEMES else text.strip()


def cookie_of(header: str, name: str = COOKIE) -> str:
    """The access token of a Cookie header, empty when there is none."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return found.value if found is not None else ""
