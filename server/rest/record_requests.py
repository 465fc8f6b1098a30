"""What a request to an endpoint says: who sends it, which records it means, and the data in its body."""

from typing import NamedTuple

from aiohttp import hdrs, web

from server.auth.visitors import COOKIE, Token, Visitor
from server.encoding import encode
from server.errors import BAD_BODY, BAD_CONTENT_TYPE, INVALID_QUERY, Refused
from server.rest.context import JSON_TYPE, OPTIONS, SCHEMES, TOKENS, read_raw
from server.rest.schemas import parse_json

TEXT_TYPE = "text/plain"
UTF8 = ("utf-8", "utf8", "us-ascii")
SITE = "Sec-Fetch-Site"
OWN_SITES = ("same-origin", "none")  # what it says of a page of ours, and of the address bar
ALL = 2**31 - 1  # records, when no limit is given
MAX_DIGITS = 9


class Page(NamedTuple):
    """How many records, and how many before them to leave out."""

    limit: int
    offset: int


def visitor_of(request: web.Request) -> Visitor:
    """Who sends the request; the master key may be a parameter or a header."""
    query, headers = request.query, request.headers
    master_key, origin = query.get("masterKey", headers.get("X-Master-Key")), headers.get(hdrs.ORIGIN)
    scheme, _, token = headers.get(hdrs.AUTHORIZATION, "").strip().partition(" ")
    brought = read_token(request, token.strip()) if scheme.lower() in SCHEMES else None
    cookie = read_token(request, request.cookies.get(COOKIE, "")) if may_have_cookie(request) else None
    return Visitor(query.get("key"), origin, master_key, brought, cookie)


def read_token(request: web.Request, text: str) -> Token:
    """What a token says, empty for none; whether it counts is for the endpoint to say."""
    return request.app[TOKENS].read_record_user(text) if text else None


def may_have_cookie(request: web.Request) -> bool:
    """False where a foreign page has the browser send something without an Origin header, as for a picture; where there
    is one, the endpoint decides."""
    return bool(request.headers.get(hdrs.ORIGIN)) or request.headers.get(SITE, "none") in OWN_SITES


def is_true(request: web.Request, parameter: str) -> bool:
    return request.query.get(parameter, "").lower() == "true"


def page_of(request: web.Request) -> Page:
    """`limit` and `offset`; raises Refused for what is no whole number."""
    return Page(whole_number(request, "limit", ALL), whole_number(request, "offset", 0))


def whole_number(request: web.Request, parameter: str, default: int) -> int:
    text = request.query.get(parameter)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS):
        raise Refused(INVALID_QUERY, f"The parameter {parameter} must be a whole number.")
    return int(text)


def unique_ids(request: web.Request) -> list[str]:
    """The ids that the request names, each once, repeated or separated by commas."""
    named = [part.strip() for text in request.query.getall("uniqueId", ()) for part in text.split(",")]
    return list(dict.fromkeys(named))


def one_unique_id(request: web.Request) -> str | None:
    """The id of the one record that is meant, None where none is named; an empty id names a record that is not there,
    never the user's own. Raises Refused for several."""
    named = unique_ids(request)
    if len(named) > 1:
        raise Refused(INVALID_QUERY, "Only one record can be meant here.")
    return named[0] if named else None


def refuse_login(request: web.Request) -> None:
    """Raises Refused for what would change something by a link or a picture."""
    if is_true(request, "login") or is_true(request, "logout"):
        raise Refused(INVALID_QUERY, "login and logout need the method POST.")


async def read_data(request: web.Request) -> bytes:
    """The body as JSON text: JSON made compact, text/plain as a string. Raises Refused."""
    if request.content_type not in (JSON_TYPE, TEXT_TYPE):
        raise Refused(BAD_CONTENT_TYPE)
    raw = await read_raw(request)
    if not raw:
        raise Refused(BAD_BODY, "The body is empty.")
    if request.content_type == TEXT_TYPE:
        return encode(read_text(request, raw))
    return encode(parse_json(raw, request.app[OPTIONS].max_json_depth))


def read_text(request: web.Request, raw: bytes) -> str:
    if (request.charset or "utf-8").lower() in UTF8:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    raise Refused(BAD_BODY, "The text must be UTF-8.")
