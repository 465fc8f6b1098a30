"""Authentication endpoints over HTTP: passwords in what is sent, logging in and out (contract records.md).

Invariants: a password is hashed or compared here and goes nowhere else; a page that may not use the cookie is not given
one, so that no foreign page can log its visitor in as somebody else.
"""

import json
from typing import Annotated, Any

from aiohttp import hdrs, web

from server.actions import record_logins, records
from server.actions.record_users import PASSWORD, login_name
from server.auth.visitors import COOKIE
from server.encoding import encode
from server.errors import BAD_USER, WRONG_CREDENTIALS, Refused
from server.rest.context import PASSWORDS, RUNNER, TOKENS, respond
from server.rest.logins import check_password, count_attempt
from server.rest.record_requests import is_true, may_have_cookie, read_data, visitor_of
from server.rest.schema_types import Char, Password
from server.rest.schemas import Body

MARK = f'"{PASSWORD}":'.encode()  # how the key looks in data, which are compact JSON


class NewPassword(Body):
    password: Annotated[str, Password()]


class RecordLogin(Body):
    """What logs in: either name will do."""

    username: Annotated[str | None, Char(allow_null=True)] = None
    email: Annotated[str | None, Char(allow_null=True)] = None
    password: Annotated[str, Char()]


async def take_password(request: web.Request, data: bytes, *, newcomer: bool = False) -> tuple[bytes, str | None]:
    """The data without the password, and its hash, where they are sent to an authentication endpoint; as they are
    elsewhere. Raises Refused or TooMany; hashing costs as much as a login and counts as one."""
    if MARK not in data:
        return data, None
    store, name = request.app[RUNNER].store, request.match_info["name"]
    use = await store.read(record_logins.find_password_use, visitor_of(request), name=name, newcomer=newcomer)
    value = json.loads(data) if use.wanted else None
    if not isinstance(value, dict) or PASSWORD not in value:
        return data, None
    given = NewPassword.read({PASSWORD: value.pop(PASSWORD)})
    if not use.trusted:
        count_attempt(request)
    return encode(value), await request.app[PASSWORDS].hash(given.password)


async def log_in(request: web.Request) -> web.Response:
    """Checks name and password and answers the user's record, with a token as cookie or header."""
    body = RecordLogin.read(json.loads(await read_data(request)))
    visitor, endpoint, store = visitor_of(request), request.match_info["name"], request.app[RUNNER].store
    name = body.username or body.email
    if name is None:
        raise Refused(BAD_USER, "The username or the email is missing.")
    login = await store.read(record_logins.find_login, visitor, name=endpoint, login=name)
    account = f"record user {login.endpoint_id} {login_name(name)}"
    if not await check_password(request, account, login.password, body.password):
        raise Refused(WRONG_CREDENTIALS)
    token, claims = request.app[TOKENS].record_user(login.user_id, login.project_id)
    record = await store.write(record_logins.log_in, visitor, name=endpoint, login=login, claims=claims)
    answer = respond(shown(request, record))
    answer.headers[hdrs.CACHE_CONTROL] = "no-store"
    if is_true(request, "noATCookie") or not login.takes_cookie or not may_have_cookie(request):
        answer.headers[hdrs.AUTHORIZATION] = f"Bearer {token}"
    else:
        age = request.app[TOKENS].lifetimes["record-user"]
        answer.set_cookie(COOKIE, token, max_age=age, httponly=True, secure=True, samesite="None")
    return answer


async def log_out(request: web.Request) -> web.Response:
    """Ends the token of the request, closes the sockets that were opened with it, and clears the cookie."""
    store, name = request.app[RUNNER].store, request.match_info["name"]
    await store.write(record_logins.log_out, visitor_of(request), name=name)
    answer = respond({})
    answer.del_cookie(COOKIE, httponly=True, secure=True, samesite="None")
    return answer


def shown(request: web.Request, envelope: records.Envelope) -> Any:
    """What the client asked to see of a record."""
    return envelope["data"] if is_true(request, "dataOnly") else envelope
