"""Checking passwords and the secrets of clients, and how often one may try (contracts database.md, c, and items.md).

Only what fails counts, and each process counts for itself. An attempt is counted before its password is looked at, so
that a thousand at once are no way around, and forgotten when it succeeds.
"""

from collections.abc import Callable
from functools import partial

from aiohttp import web

from server.actions import accounts, clients
from server.addresses import client_address
from server.auth.passwords import is_secret
from server.errors import INVALID_CREDENTIALS, TOO_MANY_ATTEMPTS, Refused, TooMany
from server.metrics import Limit, met
from server.rates import Rate, Rates, counted
from server.rest.context import PASSWORDS, RUNNER

MAX_NAME = 254  # characters of an e-mail address


class LoginAttempts:
    """Attempts by account, known or not, and by client address: so many within `window` seconds, 0: any number."""

    def __init__(self, window: float, per_account: int, per_address: int) -> None:
        self.accounts: Rates[str] = Rates(Rate.of(per_account / window, per_account))
        self.addresses: Rates[str] = Rates(Rate.of(per_address / window, per_address))

    def begin(self, address: str, account: str = "") -> None:
        """Counts an attempt; raises TooMany."""
        if address and (wait := self.addresses.take(address)):
            met(Limit.LOGINS_PER_ADDRESS)
            raise TooMany(TOO_MANY_ATTEMPTS, wait)
        if account and (wait := self.accounts.take(account)):
            met(Limit.LOGINS_PER_ACCOUNT)
            raise TooMany(TOO_MANY_ATTEMPTS, wait)

    def succeeded(self, address: str, account: str) -> None:
        """Takes back what `begin` counted."""
        self.addresses.give_back(address)
        self.accounts.give_back(account)


ATTEMPTS = web.AppKey("login_attempts", LoginAttempts)


def count_attempt(request: web.Request) -> None:
    """Counts something that costs as much as a login, for the client's address alone; raises TooMany."""
    request.app[ATTEMPTS].begin(counted(client_address(request)))


def begin_attempt(request: web.Request, account: str) -> Callable[[], None]:
    """Counts an attempt at an account and returns what takes it back; raises TooMany where there were too many."""
    address, account = counted(client_address(request)), account.lower()[:MAX_NAME]
    request.app[ATTEMPTS].begin(address, account)
    return partial(request.app[ATTEMPTS].succeeded, address, account)


async def check_password(request: web.Request, account: str, stored: str | None, password: str) -> bool:
    """Whether the password is the account's; raises TooMany where it was tried too often."""
    succeeded = begin_attempt(request, account)
    right = await request.app[PASSWORDS].check(stored, password)
    if right:
        succeeded()
    return right


async def find_login(request: web.Request, name: str, password: str) -> accounts.Account:
    """The account of these credentials; raises Refused or TooMany."""
    store = request.app[RUNNER].store
    stored, user_id = await store.read(accounts.find_login, name)
    if not await check_password(request, name, stored, password):
        raise Refused(INVALID_CREDENTIALS)
    return await store.read(accounts.find_account, user_id)


async def find_client(request: web.Request, client_id: str, secret: str) -> int:
    """The account of a client with this secret; raises Refused, in the same words whatever is wrong, or TooMany."""
    succeeded = begin_attempt(request, f"client {client_id}")
    stored, user_id = await request.app[RUNNER].store.read(clients.find_secret, client_id)
    if not is_secret(stored, secret):
        raise Refused(INVALID_CREDENTIALS)
    succeeded()
    return user_id
