"""Accounts: signing up and in, what a user may change about oneself, ending sessions (contract database.md, c).

Passwords arrive here hashed: hashing takes too long for a transaction."""

import time
from typing import Any, NamedTuple

from server.actions import databases, invitations, workspaces
from server.actions.people import person
from server.auth.actors import Actor, actor_of
from server.auth.tokens import Claims
from server.errors import (
    EMAIL_TAKEN,
    INVALID_CREDENTIALS,
    INVALID_REFRESH_TOKEN,
    REFRESH_TOKEN_BLACKLISTED,
    SIGNUP_DISABLED,
    USER_NOT_FOUND,
    Refused,
)
from server.events import rooms
from server.events.control import SessionsEnded, TokenEnded
from server.events.workspaces import UserUpdated
from server.store.models import RefusedToken, User, UserNotification
from server.store.transaction import Transaction


class Account(NamedTuple):
    """An account as the edges need it: who it is, the `user` object of its answers, and from when its tokens count."""

    id: int
    email: str
    verified: bool
    is_staff: bool
    valid_from: int
    user: dict[str, Any]
    unread: int = 0


def account_of(user: User) -> Account:
    """The account with its `user` object; a notification counts as unread while it belongs to no workspace."""
    unread = UserNotification.select().where(
        UserNotification.user_id == user.id, UserNotification.workspace_id.is_null(), ~UserNotification.read
    )
    shown = {
        "first_name": user.first_name,
        "username": user.email,
        "is_staff": user.is_staff,
        "id": user.id,
        "language": user.language,
        "email_notification_frequency": user.email_notification_frequency,
        "email_verified": user.email_verified,
        "completed_onboarding": user.completed_onboarding,
        "completed_guided_tours": user.completed_guided_tours,
    }
    return Account(
        user.id, user.email, user.email_verified, user.is_staff, user.tokens_valid_from, shown, unread.count()
    )


def create_user(
    tx: Transaction,
    *,
    name: str,
    email: str,
    password_hash: str,
    language: str = "en",
    invitation_id: int | None = None,
    with_workspace: bool = True,
    anybody: bool = True,
) -> Account:
    """Signs a user up: with an invitation into its workspace, else with a workspace of one's own, which holds a
    database with a sample table. The first account of a server is staff. Raises Refused."""
    tx.lock_users(0)  # one sign-up at a time: the check for the e-mail and for the first account holds
    if User.find(email=email) is not None:
        raise Refused(EMAIL_TAKEN)
    if not anybody and invitation_id is None and User.select().exists():
        raise Refused(SIGNUP_DISABLED)
    first = not User.select().exists()
    user = User.create(first_name=name, email=email, password=password_hash, language=language, is_staff=first)
    actor = actor_of(user)
    if invitation_id is not None:
        invitations.accept_at_signup(tx, actor, invitation_id)
        User.update(email_verified=True).where(User.id == user.id).execute()
        user.email_verified = True
    elif with_workspace:
        create_initial_workspace(tx, actor)
    return account_of(user)


def create_initial_workspace(tx: Transaction, actor: Actor) -> dict[str, Any]:
    """The first workspace of a user with sample content; the one that is there when there is one already."""
    tx.lock_users(actor.id)
    if existing := workspaces.workspaces_of(tx, actor):
        return workspaces.show_workspace(actor, next(iter(existing)))
    made = workspaces.create_workspace(tx, actor, name=f"{actor.name}'s workspace")
    databases.create_sample(tx, actor, made["id"], name=f"{actor.name}'s company")
    return made


def find_login(tx: Transaction, email: str) -> tuple[str | None, int]:
    """The password hash and id of an account, (None, 0) when there is none that may log in."""
    user = User.find(email=email.lower())
    return (user.password, user.id) if user is not None and user.is_active else (None, 0)


def find_account(tx: Transaction, user_id: int) -> Account:
    """The account for a fresh login."""
    user = User.find(id=user_id)
    if user is None or not user.is_active:
        raise Refused(INVALID_CREDENTIALS)
    return account_of(user)


def find_refreshable(tx: Transaction, claims: Claims) -> Account:
    """The account behind a refresh token that was neither signed out nor ended."""
    user = User.find(id=claims.user_id)
    ended = RefusedToken.select().where(RefusedToken.jti == claims.jti).exists()
    if user is None or not user.is_active or ended or claims.issued_at < user.tokens_valid_from:
        raise Refused(INVALID_REFRESH_TOKEN)
    return account_of(user)


def refuse_token(tx: Transaction, claims: Claims) -> None:
    """Signs a refresh token out; raises Refused when it is already."""
    tx.lock_users(claims.user_id)
    RefusedToken.delete().where(RefusedToken.expires_at < int(time.time())).execute()
    if RefusedToken.select().where(RefusedToken.jti == claims.jti).exists():
        raise Refused(REFRESH_TOKEN_BLACKLISTED)
    RefusedToken.create(jti=claims.jti, expires_at=claims.expires_at)


def update_account(tx: Transaction, actor: Actor, *, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes one's own account; everybody in one's workspaces is told."""
    tx.lock_users(actor.id)
    if changes:
        User.update(**changes).where(User.id == actor.id).execute()
    user = User.get_by_id(actor.id)
    audience = [rooms.workspace(number) for number in workspaces.workspaces_of(tx, actor)] or [rooms.user(actor.id)]
    tx.record(UserUpdated(person(user)), *audience, origin=actor.origin)
    keys = ("first_name", "language", "email_notification_frequency", "completed_onboarding", "completed_guided_tours")
    return {key: getattr(user, key) for key in keys}


def change_password(tx: Transaction, actor: Actor, *, password_hash: str) -> None:
    """Stores a new password, refuses every token issued before, and ends all sockets but the acting one."""
    tx.lock_users(actor.id)
    valid_from = int(time.time()) + 1  # in whole seconds, as tokens count: those of this second are refused too
    User.update(password=password_hash, tokens_valid_from=valid_from).where(User.id == actor.id).execute()
    tx.record(SessionsEnded(actor.id, actor.socket_id))


def sign_out(tx: Transaction, actor: Actor, *, jti: str) -> None:
    """Ends the sockets that were opened with a token of the actor's."""
    tx.record(TokenEnded(actor.id, jti))


def end_account(tx: Transaction, *, email: str) -> int:
    """Ends an account: nobody logs in to it any more, its tokens are refused and its sockets are closed. What it made
    stays, and names it. Returns its id; raises Refused where there is none that may log in."""
    _, user_id = find_login(tx, email)
    if not user_id:
        raise Refused(USER_NOT_FOUND)
    tx.lock_users(user_id)
    User.update(is_active=False).where(User.id == user_id).execute()
    tx.record(SessionsEnded(user_id, None, account_ended=True))
    return user_id


def find_password(tx: Transaction, actor: Actor) -> str:
    """The actor's password hash."""
    found: str = User.get_by_id(actor.id).password
    return found
