"""Who acts: the account behind the credentials of a request or socket, checked inside the transaction that acts."""

import sys
from typing import NamedTuple

from server.auth.tokens import Claims
from server.errors import INVALID_ACCESS_TOKEN, NO_CREDENTIALS, USER_NOT_FOUND, Refused
from server.events.event import Origin
from server.store.models import User
from server.store.sql import run
from server.store.transaction import Transaction


class Credentials(NamedTuple):
    """What a request carries: the claims of its access token, if any, and the socket it names as its own."""

    claims: Claims | None
    socket_id: str | None = None

    def admitted(self) -> "Credentials":
        """The credentials of a socket that was let in: from then on its session ends through the log, which spares the
        socket that changed the password, and no longer by the age of its token."""
        assert self.claims is not None
        return Credentials(self.claims._replace(issued_at=sys.maxsize), self.socket_id)


class Actor(NamedTuple):
    """The account on whose behalf an action runs; `email` is empty for that of a client. `origin` is given to events
    that leave out the acting socket."""

    id: int
    name: str
    email: str
    is_staff: bool
    socket_id: str | None = None

    @property
    def origin(self) -> Origin | None:
        return Origin(self.id, self.socket_id) if self.socket_id else None


SERVER = Actor(0, "", "", is_staff=False)
"""Who acts where nobody has asked for it: its events leave nobody out."""

ACCOUNT = "SELECT first_name, email, is_staff, is_active, tokens_valid_from FROM account WHERE id = ?"
NOBODY = ("", None, False, False, 0)  # what there is of an account that is gone


def identify(tx: Transaction, credentials: Credentials) -> Actor:
    """The actor behind credentials, as of this transaction; raises Refused when the account is gone, inactive or
    its tokens were ended."""
    if credentials.claims is None:
        raise Refused(NO_CREDENTIALS)
    user_id = credentials.claims.user_id
    name, email, is_staff, is_active, valid_from = run(tx, ACCOUNT, [user_id]).fetchone() or NOBODY
    if not is_active:
        raise Refused(USER_NOT_FOUND)
    if credentials.claims.issued_at < valid_from:
        raise Refused(INVALID_ACCESS_TOKEN)
    return Actor(user_id, name, email or "", bool(is_staff), credentials.socket_id)


def actor_of(user: User) -> Actor:
    """The actor for an account."""
    return Actor(user.id, user.first_name, user.email or "", user.is_staff)
