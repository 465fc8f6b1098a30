"""Where a Socket.IO client may put its token: the CONNECT packet, else the Authorization header, the cookie that a
login of the items API sets, or the query."""

from http.cookies import CookieError, SimpleCookie
from typing import Any

from aiohttp import hdrs, web

from server.auth.origins import OriginRules

SCHEMES = ("jwt", "bearer")
COOKIE = "access_token"


def token_of(request: web.Request, auth: Any, origins: OriginRules) -> str:
    """The access token of a connection; empty when there is none, or only a cookie that the page may not use."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if isinstance(token, str) and bare(token):
        return bare(token)
    if header := bare(request.headers.get(hdrs.AUTHORIZATION, "")):
        return header
    if cookie := cookie_of(request.headers.get(hdrs.COOKIE, "")):
        allowed = origins.may_use_cookie(request.headers.get(hdrs.ORIGIN), request.headers.get(hdrs.HOST, ""))
        return cookie if allowed else ""
    return request.query.get("token", "")


def bare(text: str) -> str:
    """A token without its scheme."""
    scheme, _, token = text.strip().partition(" ")
    return token.strip() if scheme.lower() in SCHEMES else text.strip()


def cookie_of(header: str) -> str:
    """The access token of a Cookie header, empty when there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""
