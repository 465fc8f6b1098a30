"""Logging in and out at authentication endpoints (contract records.md). Passwords are checked outside of transactions,
so a login asks for the hash first and is made when it fitted, if it is still the same."""

from typing import NamedTuple

from server.actions.record_users import login_name
from server.actions.records import Envelope, Place, find_place, known_user, show, visit
from server.auth.tokens import Claims
from server.auth.visitors import Visitor, check_visitor, find_user, may_use_cookie
from server.errors import NO_AUTHENTICATION, WRONG_CREDENTIALS, Refused
from server.events.control import RecordUserEnded
from server.store.models import RecordLogin, RecordSession, RecordUser
from server.store.transaction import Transaction

LOGGED_OUT = "The user has logged out."


class Login(NamedTuple):
    """Whom a login would be for: the hash of the password is None where nobody has the name. `takes_cookie` is false
    for a page that may have no cookie."""

    endpoint_id: int
    project_id: int
    user_id: int
    password: str | None
    takes_cookie: bool


class NewPassword(NamedTuple):
    """Whether the password in a request is one to be hashed, and whether whoever sends it is trusted."""

    wanted: bool
    trusted: bool


def find_authentication(visitor: Visitor, name: str) -> Place:
    """An authentication endpoint for whoever wants to log in or out; raises Refused."""
    place = find_place(name)
    check_visitor(visitor, place.project)
    if not place.endpoint.authentication:
        raise Refused(NO_AUTHENTICATION)
    return place


def find_password_use(tx: Transaction, visitor: Visitor, *, name: str, newcomer: bool) -> NewPassword:
    """What a password means in data that are sent to an endpoint; raises Refused for who may not write there."""
    place = visit(visitor, name, newcomer=newcomer)
    return NewPassword(place.endpoint.authentication, visitor.master_key is not None)


def find_login(tx: Transaction, visitor: Visitor, *, name: str, login: str) -> Login:
    """Whom a username or email stands for; raises Refused only for what is wrong with the endpoint or the visitor."""
    place = find_authentication(visitor, name)
    found = RecordLogin.find(endpoint_id=place.endpoint.id, name=login_name(login))
    user = RecordUser.find(record_id=found.user_id) if found is not None else None
    takes_cookie = may_use_cookie(visitor.origin, place.project)
    user_id, password = (user.record_id, user.password) if user is not None else (0, None)
    return Login(place.endpoint.id, place.project.id, user_id, password, takes_cookie)


def log_in(tx: Transaction, visitor: Visitor, *, name: str, login: Login, claims: Claims) -> Envelope:
    """Lets a token count from now on and returns the user's record; raises Refused where the password has changed
    meanwhile."""
    tx.lock_workspaces(find_place(name).project.workspace_id)
    endpoint = find_authentication(visitor, name).endpoint
    if RecordUser.find(record_id=login.user_id, endpoint_id=endpoint.id, password=login.password) is None:
        raise Refused(WRONG_CREDENTIALS)
    RecordSession.create(
        jti=claims.jti, user_id=login.user_id, project_id=login.project_id, expires_at=claims.expires_at
    )
    return show(known_user(endpoint, login.user_id))


def log_out(tx: Transaction, visitor: Visitor, *, name: str) -> None:
    """Ends the visitor's token and the sockets that were opened with it; raises Refused."""
    tx.lock_workspaces(find_place(name).project.workspace_id)
    user = find_user(visitor, find_authentication(visitor, name).project)
    RecordSession.delete().where(RecordSession.jti == user.jti).execute()
    tx.record(RecordUserEnded(user.user_id, user.jti, LOGGED_OUT))
