"""Where a Socket.IO client may put its token: the CONNECT packet, else the Authorization header, the cookie that a
login of the items API sets, or the query."""

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from server.auth.origins import OriginRules

SCHEMES = ("jwt", "bearer")
COOKIE = "access_token"


def token_of(environ: dict[str, Any], auth: Any, origins: OriginRules) -> str:
    """The access token of a connection; empty when there is none, or only a cookie that the page may not use."""
    token = auth.get("token") if isinstance(auth, dict) else None
    if isinstance(token, str) and bare(token):
        return bare(token)
    if header := bare(environ.get("HTTP_AUTHORIZATION", "")):
        return header
    if cookie := cookie_of(environ.get("HTTP_COOKIE", "")):
        allowed = origins.may_use_cookie(environ.get("HTTP_ORIGIN"), environ.get("HTTP_HOST", ""))
        return cookie if allowed else ""
    query: str = environ.get("QUERY_STRING", "")
    return parse_qs(query).get("token", [""])[0]


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
