"""Signing up and in, tokens, and one's own account (contract database.md, c)."""

from typing import Annotated, Any

from aiohttp import web

from server.actions import accounts
from server.auth.managers import account_permissions
from server.errors import INVALID_OLD_PASSWORD, INVALID_REFRESH_TOKEN, Refused
from server.rest.context import (
    OPTIONS,
    PASSWORDS,
    RUNNER,
    TOKENS,
    act,
    credentials,
    look,
    no_content,
    read_body,
    read_json,
    respond,
)
from server.rest.failures import FlatRefusal
from server.rest.logins import check_password, count_attempt, find_login
from server.rest.schema_types import Boolean, Char, Choice, Email, Language, Password
from server.rest.schemas import Body, InvalidBody, ListOf

routes = web.RouteTableDef()
INVITATION_LINK = "workspace-invitation"  # what a signed text of `Tokens.sign` may be used for


class SignUp(Body):
    name: Annotated[str, Char(min_length=2, max_length=150)]
    email: Annotated[str, Email()]
    password: Annotated[str, Password()]
    language: Annotated[str, Language()] = "en"
    authenticate: Annotated[bool, Boolean()] = False
    workspace_invitation_token: Annotated[str | None, Char(allow_null=True, allow_blank=True)] = None


class Login(Body):
    email: Annotated[str | None, Char()] = None
    username: Annotated[str | None, Char()] = None
    password: Annotated[str, Char()]


class RefreshToken(Body):
    refresh_token: Annotated[str | None, Char()] = None
    token: Annotated[str | None, Char()] = None


class VerifyToken(Body):
    refresh_token: Annotated[str, Char()]


class ChangePassword(Body):
    old_password: Annotated[str, Char()]
    new_password: Annotated[str, Password()]


class AccountChanges(Body):
    first_name: Annotated[str | None, Char(min_length=2, max_length=150)] = None
    language: Annotated[str | None, Language()] = None
    email_notification_frequency: Annotated[str | None, Choice(["instant", "daily", "weekly", "never"])] = None
    completed_onboarding: Annotated[bool | None, Boolean()] = None
    completed_guided_tours: Annotated[list[str] | None, ListOf(Char(max_length=64), max_length=100)] = None


def about(account: accounts.Account) -> dict[str, Any]:
    """What every answer to a login says beside the tokens."""
    return {
        "user": account.user,
        "permissions": account_permissions(account.is_staff),
        "user_notifications": {"unread_count": account.unread},
        "active_licenses": {"instance_wide": {}, "per_workspace": {}},
    }


def fresh_access(request: web.Request, account: accounts.Account) -> dict[str, Any]:
    token = request.app[TOKENS].access(account.id, account.valid_from)
    return {"token": token, "access_token": token}


def fresh_tokens(request: web.Request, account: accounts.Account) -> dict[str, Any]:
    """Both tokens and the session of a login."""
    tokens = request.app[TOKENS]
    refresh = tokens.refresh(account.id, account.email, account.verified, account.valid_from)
    session = tokens.sign("session", {"user_id": account.id})
    return {**fresh_access(request, account), "refresh_token": refresh, "user_session": session}


async def read_flat(request: web.Request, model: type[Body]) -> Any:
    """A body whose errors have the shape `{field: [text]}`, as those of the token endpoints do."""
    try:
        return model.read(await read_json(request))
    except InvalidBody as error:
        raise FlatRefusal(error) from None


@routes.post("/api/user/")
async def sign_up(request: web.Request) -> web.Response:
    """Makes an account; with `authenticate` the answer also logs in."""
    body = SignUp.read(await read_json(request))
    invitation = body.workspace_invitation_token
    options = request.app[OPTIONS]
    count_attempt(request)
    account = await request.app[RUNNER].store.write(
        accounts.create_user,
        name=body.name,
        email=body.email,
        password_hash=await request.app[PASSWORDS].hash(body.password),
        language=body.language,
        invitation_id=request.app[TOKENS].unsign(INVITATION_LINK, invitation) if invitation else None,
        with_workspace=options.signup_creates_workspace,
        anybody=options.allow_signups,
    )
    if not body.authenticate:
        return respond({"user": account.user})
    return respond({**about(account), **fresh_tokens(request, account)})


@routes.post("/api/user/token-auth/")
async def log_in(request: web.Request) -> web.Response:
    """Checks e-mail (or `username`) and password."""
    body = await read_flat(request, Login)
    name = body.email or body.username
    if name is None:
        return respond({"email": ["This field is required."]}, 400)
    account = await find_login(request, name, body.password)
    return respond({**fresh_tokens(request, account), **about(account)})


@routes.post("/api/user/token-refresh/")
async def refresh(request: web.Request) -> web.Response:
    """A new access token for a refresh token, which stays as it is."""
    body = RefreshToken.read(await read_json(request))
    account = await account_behind(request, body.refresh_token or body.token)
    return respond({**fresh_access(request, account), **about(account)})


@routes.post("/api/user/token-verify/")
async def verify(request: web.Request) -> web.Response:
    """Tells whose refresh token it is."""
    body = await read_flat(request, VerifyToken)
    return respond(about(await account_behind(request, body.refresh_token)))


async def account_behind(request: web.Request, token: str | None) -> accounts.Account:
    """The account of a refresh token; raises Refused."""
    if not token:
        raise Refused(INVALID_REFRESH_TOKEN)
    claims = request.app[TOKENS].read_refresh(token)
    return await request.app[RUNNER].store.read(accounts.find_refreshable, claims)


@routes.post("/api/user/token-blacklist/")
async def sign_out(request: web.Request) -> web.Response:
    """Ends a refresh token before its time."""
    body = await read_flat(request, VerifyToken)
    claims = request.app[TOKENS].read_refresh(body.refresh_token)
    await request.app[RUNNER].store.write(accounts.refuse_token, claims)
    return no_content()


@routes.patch("/api/user/account/")
async def update_account(request: web.Request) -> web.Response:
    """Changes one's own account."""
    body = await read_body(request, AccountChanges)
    return respond(await act(request, accounts.update_account, changes=body.given()))


@routes.post("/api/user/change-password/")
async def change_password(request: web.Request) -> web.Response:
    """Changes the password; every other session ends."""
    body = await read_body(request, ChangePassword)
    stored, claims = await look(request, accounts.find_password), credentials(request).claims
    assert claims is not None
    if not await check_password(request, f"user {claims.user_id}", stored, body.old_password):
        raise Refused(INVALID_OLD_PASSWORD)
    password_hash = await request.app[PASSWORDS].hash(body.new_password)
    await act(request, accounts.change_password, password_hash=password_hash)
    return no_content()


@routes.post("/api/workspaces/create-initial-workspace/")
async def create_initial_workspace(request: web.Request) -> web.Response:
    """The workspace made at sign-up, or a new one with sample content; a given name is ignored, as recorded."""
    credentials(request)
    return respond(await act(request, accounts.create_initial_workspace))
