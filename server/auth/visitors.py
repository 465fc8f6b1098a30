"""Who calls an endpoint of records: no account, but the key of the project and the web page it comes from.

The one check of HTTP requests and sockets alike; its refusals are also the reasons with which sockets are closed.
"""

import hmac
from dataclasses import dataclass

from server.auth.origins import is_admitted
from server.errors import KEY_INVALID, KEY_MISSING, MASTER_KEY_INVALID, ORIGIN_REFUSED, Refused
from server.store.models import Project


@dataclass(frozen=True, slots=True)
class Visitor:
    """What a request says about its sender; None for what it does not say."""

    key: str | None
    origin: str | None
    master_key: str | None = None


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


def same(given: str, secret: str) -> bool:
    """Compares without telling by its time how much is right."""
    return hmac.compare_digest(given.encode(errors="replace"), secret.encode())
