"""Who calls an endpoint of records: no account, but the key of the project and the web page it comes from; on a secure
endpoint one of the project's own users.

The one check of HTTP requests and sockets alike; its refusals are also the reasons with which sockets are closed.
Invariant: a cookie counts only where no page sent it, or one of a listed origin did.
"""

import hmac
from dataclasses import dataclass
from typing import TypeAlias

from server.auth.origins import is_admitted, is_listed
from server.auth.tokens import Claims
from server.errors import (
    KEY_INVALID,
    KEY_MISSING,
    MASTER_KEY_INVALID,
    ORIGIN_REFUSED,
    TOKEN_INVALID,
    TOKEN_MISSING,
    ErrorCode,
    Refused,
)
from server.store.models import Project, RecordSession

COOKIE = "__Secure-rested-access-token"
Token: TypeAlias = Claims | ErrorCode | None
"""What a token says, why it says nothing, or that there is none."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request says about its sender; None for what it does not say. The cookie's token is one that the browser
    added by itself."""

    key: str | None
    origin: str | None
    master_key: str | None = None
    token: Token = None
    cookie: Token = None


def check_visitor(visitor: Visitor, project: Project) -> None:
    """Raises Refused unless the visitor has the project's key and comes from one of its origins; the master key
    stands for the origin."""
    if not visitor.key:
        raise Refused(KEY_MISSING)
    if not same(visitor.key, project.key):
        raise Refused(KEY_INVALID)
    if visitor.master_key is not None:
        if not same(visitor.master_key, project.master_key):
            raise Refused(MASTER_KEY_INVALID)
    elif not is_admitted(visitor.origin, project.origins, project.deny_no_origin):
        raise Refused(ORIGIN_REFUSED)


def may_use_cookie(origin: str | None, project: Project) -> bool:
    """Whether a request with this Origin header may bring a cookie, and be given one."""
    return origin is None or is_listed(origin, project.origins)


def find_user(visitor: Visitor, project: Project) -> Claims:
    """The project's user behind the visitor's token, one that is logged in as of this transaction; raises Refused."""
    token = visitor.token
    if token is None and may_use_cookie(visitor.origin, project):
        token = visitor.cookie
    if token is None:
        raise Refused(TOKEN_MISSING)
    if isinstance(token, ErrorCode):
        raise Refused(token)
    if RecordSession.find(jti=token.jti, project_id=project.id) is None:
        raise Refused(TOKEN_INVALID)
    return token


def same(given: str, secret: str) -> bool:
    """Compares without telling by its time how much is right."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
