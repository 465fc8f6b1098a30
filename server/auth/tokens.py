"""JSON Web Tokens: who a request or a socket says it is.

Invariants: one algorithm, HS256; every token names its type and is refused as any other; a claim that is missing,
of the wrong type or in the future refuses the token. Tokens issued before the account's `tokens_valid_from` are
refused by `auth.actors`, which knows the account.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jwt

from server.errors import BAD_SIGNATURE, INVALID_ACCESS_TOKEN, INVALID_REFRESH_TOKEN, ErrorCode, Refused

ALGORITHM = "HS256"
REMEMBERED = 4096  # tokens whose signature is not checked again
LEEWAY = 2  # seconds: tolerates clocks of several machines, and a token issued in the second of a password change


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says; times in seconds."""

    user_id: int
    issued_at: int
    expires_at: int
    jti: str


class Tokens:
    """Issues and reads the server's tokens."""

    def __init__(self, secret_key: str, access_lifetime: int, refresh_lifetime: int) -> None:
        self._key = secret_key
        self.lifetimes = {"access": access_lifetime, "refresh": refresh_lifetime}
        self._verified = lru_cache(REMEMBERED)(self._verify)

    def access(self, user_id: int, valid_from: int = 0) -> str:
        """An access token; `valid_from` is the account's `tokens_valid_from`."""
        return self._issue("access", user_id, valid_from, {})

    def refresh(self, user_id: int, email: str, verified: bool, valid_from: int = 0) -> str:
        """A refresh token; clients of the original read `verified_email_claim` from it."""
        return self._issue("refresh", user_id, valid_from, {"verified_email_claim": email if verified else None})

    def _issue(self, kind: str, user_id: int, valid_from: int, more: dict[str, Any]) -> str:
        issued = max(int(time.time()), valid_from)
        claims = {"token_type": kind, "exp": issued + self.lifetimes[kind], "iat": issued, "jti": uuid.uuid4().hex}
        return jwt.encode(claims | {"user_id": user_id} | more, self._key, algorithm=ALGORITHM)

    def read_access(self, token: str) -> Claims:
        """The claims of an access token; raises Refused(INVALID_ACCESS_TOKEN)."""
        return self._read("access", token, INVALID_ACCESS_TOKEN)

    def read_refresh(self, token: str) -> Claims:
        """The claims of a refresh token; raises Refused(INVALID_REFRESH_TOKEN)."""
        return self._read("refresh", token, INVALID_REFRESH_TOKEN)

    def _read(self, kind: str, token: str, refusal: ErrorCode) -> Claims:
        claims = self._verified(kind, token, refusal)
        if claims.expires_at + LEEWAY <= time.time():
            raise Refused(refusal)
        return claims

    def _verify(self, kind: str, token: str, refusal: ErrorCode) -> Claims:
        """The claims of a token that is whole. They are remembered, since a client sends the same token with every
        request and its signature is a tenth of the work; its expiry is not, and neither are refusals."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[ALGORITHM],
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "jti", "token_type", "user_id"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Refused(refusal) from None
        user_id = claims["user_id"]
        if claims["token_type"] != kind or isinstance(user_id, bool) or not isinstance(user_id, int):
            raise Refused(refusal)
        return Claims(user_id, int(claims["iat"]), int(claims["exp"]), str(claims["jti"]))

    def sign(self, purpose: str, value: Any) -> str:
        """A value that comes back through somebody else's hands, such as an invitation link: `data:time:mac`."""
        data = base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
        signed = f"{data}:{int(time.time()):x}"
        return f"{signed}:{self._mac(purpose, signed)}"

    def unsign(self, purpose: str, text: str) -> Any:
        """The value of a signed text; raises Refused(BAD_SIGNATURE)."""
        signed, _, mac = text.rpartition(":")
        if not hmac.compare_digest(mac.encode(), self._mac(purpose, signed).encode()):
            raise Refused(BAD_SIGNATURE)
        data = signed.partition(":")[0]
        return json.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))

    def _mac(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key.encode(), f"{purpose}:{text}".encode(errors="surrogatepass"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
