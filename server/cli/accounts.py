"""`create-user`, `end-account` and `token`: accounts without the API, for the first administrator and for scripts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from server.actions import accounts
from server.app import open_tools, wake_servers
from server.cli.environment import UNAVAILABLE, fail, read_settings
from server.cli.migrate import prepare
from server.errors import Refused, Unavailable
from server.parts import Tools
from server.settings import Settings
from server.store.models import User
from server.store.transaction import Transaction

T = TypeVar("T")
MIN_PASSWORD, MAX_PASSWORD = 8, 256  # characters, as at sign-up


def create_user(
    email: Annotated[str, typer.Argument(help="The e-mail address to log in with.")],
    name: Annotated[str, typer.Option(help="The name that others see; default: the address.")] = "",
    password: Annotated[
        str, typer.Option(help="8 to 256 characters; asked for when not given.", envvar="ROOMCAST_PASSWORD")
    ] = "",
    staff: Annotated[bool, typer.Option("--staff", help="May administer the server.")] = False,
) -> None:
    """Make an account, as sign-up does."""
    settings = read_settings()
    if "@" not in email:
        fail(f"{email} is no e-mail address")
    password = (password or typer.prompt("Password", hide_input=True, confirmation_prompt=True)).strip()  # as sign-up
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        fail(f"the password must have {MIN_PASSWORD} to {MAX_PASSWORD} characters")

    async def enter(tools: Tools) -> accounts.Account:
        hashed = await tools.passwords.hash(password)
        return await tools.store.write(
            enter_user,
            name=name or email,
            email=email.lower(),
            password_hash=hashed,
            with_workspace=settings.signup_creates_workspace,
            staff=staff,
        )

    account = with_tools(settings, enter, refused=f"there is an account for {email} already")
    typer.echo(f"made account {account.id} for {account.email}")


def end_account(email: Annotated[str, typer.Argument(help="The account's e-mail address.")]) -> None:
    """End an account: it can no longer log in, its tokens are refused and its sockets are closed."""
    settings = read_settings()

    async def end(tools: Tools) -> int:
        user_id = await tools.store.write(accounts.end_account, email=email)
        await wake_servers(settings)
        return user_id

    user_id = with_tools(settings, end, refused=f"there is no account for {email} that may log in")
    typer.echo(f"account {user_id} has ended")


def token(email: Annotated[str, typer.Argument(help="The account's e-mail address.")]) -> None:
    """Print an access token for an account."""
    settings = read_settings()

    async def issue(tools: Tools) -> str:
        _, user_id = await tools.store.read(accounts.find_login, email)
        account = await tools.store.read(accounts.find_account, user_id)
        return tools.tokens.access(account.id, account.valid_from)

    typer.echo(with_tools(settings, issue, refused=f"there is no account for {email} that may log in"))


def enter_user(
    tx: Transaction, *, name: str, email: str, password_hash: str, with_workspace: bool, staff: bool
) -> accounts.Account:
    """Signs a user up and makes staff of them, in one transaction."""
    account = accounts.create_user(
        tx, name=name, email=email, password_hash=password_hash, with_workspace=with_workspace
    )
    if staff:
        User.update(is_staff=True).where(User.id == account.id).execute()
    return account


def with_tools(settings: Settings, work: Callable[[Tools], Awaitable[T]], *, refused: str) -> T:
    """Runs something on the database of the settings; ends the command with the word `refused` when it is."""

    async def run() -> T:
        tools = open_tools(settings)
        try:
            return await work(tools)
        finally:
            await asyncio.to_thread(tools.close)

    prepare(settings)
    try:
        return asyncio.run(run())
    except Refused:
        fail(refused, 1)
    except Unavailable as error:
        fail(f"the database cannot be reached: {error}", UNAVAILABLE)
