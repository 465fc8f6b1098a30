"""Passwords at rest: argon2id, hashed and checked in threads of their own, never inside a transaction. Secrets that we
drew ourselves: SHA-256, since nobody guesses 256 random bits, however fast the hash."""

import asyncio
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

HASHER = PasswordHasher()  # RFC 9106, low-memory profile: 64 MiB, 3 passes
SECRET_BYTES = 32
THREADS = 2  # argon2 releases the interpreter lock; more would only fight for memory
# Checked for unknown accounts, so that they take as long. Nobody's: to hash one would be a fifth of the start-up.
UNKNOWN = "$argon2id$v=19$m=65536,t=3,p=4$V/Ex+nLarBdb2RcDeGlW2g$N/gYpUZB3zjwH8bOM0E+XMiIBIuXNxiVcGilHj08bFg"


class Passwords:
    """Hashes and checks passwords off the event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, "passwords")

    async def hash(self, password: str) -> str:
        """The argon2id hash to store."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, HASHER.hash, password)

    async def check(self, stored: str | None, password: str) -> bool:
        """True when `password` is the one behind `stored`; None stands for an account that does not exist."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, matches, stored, password)

    def close(self) -> None:
        self._threads.shutdown()


def matches(stored: str | None, password: str) -> bool:
    """Checks one password; always takes the time of a check."""
    try:
        return HASHER.verify(stored or UNKNOWN, password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def draw_secret() -> tuple[str, str]:
    """A new secret, and the hash of it to store."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return secret, digest(secret)


def digest(secret: str) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def is_secret(stored: str | None, secret: str) -> bool:
    """True when `secret` is the one behind `stored`, None for whom there is none; always takes the same time."""
    return hmac.compare_digest(stored or digest(""), digest(secret)) and stored is not None
