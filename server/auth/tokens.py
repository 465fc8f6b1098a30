"""JSON Web Tokens: who a request or a socket says it is.

Invariants: one algorithm, HS256; every token names its kind and is refused as any other, those of a project's own users
by their header already, those of clients wherever these are not said to be welcome; a header that is not expected and a
claim that is missing, of the wrong type or in the future refuse the token, and the refusal does not say which. One key
signs, several may verify: a token names its own. Tokens issued before the account's `tokens_valid_from` are refused by
`auth.actors`, which knows the account; those of a project's own users need a login that has not ended, which
`auth.visitors` asks for.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import jwt
import orjson
from jwt.types import Options

from server.errors import (
    BAD_SIGNATURE,
    INVALID_ACCESS_TOKEN,
    INVALID_REFRESH_TOKEN,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    ErrorCode,
    Refused,
)

ALGORITHM = "HS256"
ACCESS, REFRESH, CLIENT, RECORD_USER = "access", "refresh", "client", "record-user"  # kinds of tokens
TYPES = {ACCESS: "JWT", REFRESH: "JWT", CLIENT: "JWT", RECORD_USER: "record-user+jwt"}  # the header's `typ`: RFC 8725
RECORD_USER_LIFETIME = 86400  # seconds (contract records.md)
HEADERS = {"alg", "typ", "kid"}  # whatever else a header says would have to be understood, `crit` above all
CLAIMS = ["exp", "iat", "jti", "token_type", "user_id"]
OWN_CLAIMS = set(CLAIMS)
MAX_TOKEN = 4096  # characters; ours have 350, with the longest address of a mailbox less than 3,500
REMEMBERED = 4096  # tokens whose signature is not checked again
CLIENT_LIFETIME = 3600  # seconds, as the contract has it (items.md)
LEEWAY = 2  # seconds: tolerates clocks of several machines, and a token issued in the second of a password change


class Claims(NamedTuple):
    """What a valid token says; times in seconds. The user is an account, or a record of an authentication endpoint."""

    user_id: int
    issued_at: int
    expires_at: int
    jti: str


class Tokens:
    """Issues and reads the server's tokens."""

    def __init__(
        self, secret_key: str, access_lifetime: int, refresh_lifetime: int, fallbacks: Iterable[str] = ()
    ) -> None:
        self._key = secret_key
        self._key_id = key_id(secret_key)
        # prepared: what does all at once lets go of the interpreter, which other threads then keep for milliseconds
        self._signing = hmac.new(secret_key.encode(), digestmod=hashlib.sha256)
        self._header = jwt.encode({}, secret_key, algorithm=ALGORITHM, headers={"kid": self._key_id}).partition(".")[0]
        self._keys = {key_id(key): key for key in (*fallbacks, secret_key)}
        self.lifetimes = {
            ACCESS: access_lifetime,
            REFRESH: refresh_lifetime,
            CLIENT: CLIENT_LIFETIME,
            RECORD_USER: RECORD_USER_LIFETIME,
        }
        self._verified = lru_cache(REMEMBERED)(self._verify)

    def access(self, user_id: int, valid_from: int = 0) -> str:
        """An access token; `valid_from` is the account's `tokens_valid_from`."""
        return self._issue(ACCESS, user_id, valid_from, {})

    def client(self, user_id: int) -> str:
        """An access token of a client, by its account: good for the items API alone."""
        return self._issue(CLIENT, user_id, 0, {})

    def refresh(self, user_id: int, email: str, verified: bool, valid_from: int = 0) -> str:
        """A refresh token; clients of the original read `verified_email_claim` from it."""
        return self._issue(REFRESH, user_id, valid_from, {"verified_email_claim": email if verified else None})

    def record_user(self, user_id: int, project_id: int) -> tuple[str, Claims]:
        """A token of a project's own user, a record of one of its authentication endpoints, and what it says."""
        token = self._issue(RECORD_USER, user_id, 0, {"project_id": project_id})
        return token, self._verified((RECORD_USER,), token, TOKEN_INVALID)

    def _issue(self, kind: str, user_id: int, valid_from: int, more: dict[str, Any]) -> str:
        issued = max(int(time.time()), valid_from)
        claims = {"token_type": kind, "exp": issued + self.lifetimes[kind], "iat": issued, "jti": uuid.uuid4().hex}
        named = {"kid": self._key_id, "typ": TYPES[kind]}
        return jwt.encode(claims | {"user_id": user_id} | more, self._key, algorithm=ALGORITHM, headers=named)

    def read_access(self, token: str, *, clients: bool = False) -> Claims:
        """The claims of an access token, where `clients` are welcome also of theirs; raises
        Refused(INVALID_ACCESS_TOKEN)."""
        return self._read((ACCESS, CLIENT) if clients else (ACCESS,), token, INVALID_ACCESS_TOKEN)

    def read_refresh(self, token: str) -> Claims:
        """The claims of a refresh token; raises Refused(INVALID_REFRESH_TOKEN)."""
        return self._read((REFRESH,), token, INVALID_REFRESH_TOKEN)

    def read_record_user(self, token: str) -> Claims | ErrorCode:
        """The claims of a token of a project's own user, or why there are none: an endpoint that needs no token does
        not mind."""
        try:
            return self._read((RECORD_USER,), token, TOKEN_INVALID, TOKEN_EXPIRED)
        except Refused as error:
            return error.kind

    def _read(self, kinds: tuple[str, ...], token: str, refusal: ErrorCode, expired: ErrorCode | None = None) -> Claims:
        if len(token) > MAX_TOKEN:
            raise Refused(refusal)
        claims = self._verified(kinds, token, refusal)
        if claims.expires_at + LEEWAY <= time.time():
            raise Refused(expired or refusal)
        return claims

    def _verify(self, kinds: tuple[str, ...], token: str, refusal: ErrorCode) -> Claims:
        """The claims of a token that is whole. They are remembered, since a client sends the same token with every
        request and its signature is a tenth of the work; its expiry is not, and neither are refusals."""
        try:
            return claims_of(kinds, self._own(token) or self._decode(token, TYPES[kinds[0]]))
        except (jwt.PyJWTError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
            raise Refused(refusal) from None

    def _own(self, token: str) -> dict[str, Any] | None:
        """What a token says that has our header to the letter, our key's signature, and our claims and no others; None
        for any other, good or bad. Thousands of clients who come back at once bring such tokens, and all that PyJWT
        looks at, and here can be only one way, takes it six times as long."""
        signed, _, signature = token.rpartition(".")
        header, _, body = signed.partition(".")
        if header != self._header:
            return None
        signing = self._signing.copy()
        signing.update(signed.encode())
        proof = base64.urlsafe_b64encode(signing.digest())
        if not hmac.compare_digest(proof.rstrip(b"="), signature.encode()):
            return None
        given = orjson.loads(base64.urlsafe_b64decode(body + "=="))
        is_plain = isinstance(given, dict) and given.keys() == OWN_CLAIMS and given["iat"] <= time.time() + LEEWAY
        return given if is_plain else None

    def _decode(self, token: str, typ: str) -> dict[str, Any]:
        """What a token of a type says that one of the keys signed; raises what PyJWT raises, ValueError or KeyError."""
        key = self._key_of(jwt.get_unverified_header(token), typ)
        checked: Options = {"require": CLAIMS, "verify_exp": False}
        given: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM], leeway=LEEWAY, options=checked)
        return given

    def _key_of(self, header: dict[str, Any], typ: str) -> str:
        """The key that a token names, ours when it names none; raises ValueError or KeyError."""
        if header["alg"] != ALGORITHM or header["typ"] != typ or header.keys() - HEADERS:
            raise ValueError("unexpected header")
        return self._keys[header.get("kid", self._key_id)]

    def sign(self, purpose: str, value: Any) -> str:
        """A value that comes back through somebody else's hands, such as an invitation link: `data:time:mac`."""
        data = base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")
        signed = f"{data}:{int(time.time()):x}"
        return f"{signed}:{mac(self._key, purpose, signed)}"

    def unsign(self, purpose: str, text: str) -> Any:
        """The value of a signed text; raises Refused(BAD_SIGNATURE)."""
        signed, _, given = text.rpartition(":")
        brought = given.encode(errors="surrogatepass")
        if not any(hmac.compare_digest(brought, mac(key, purpose, signed).encode()) for key in self._keys.values()):
            raise Refused(BAD_SIGNATURE)
        data = signed.partition(":")[0]
        return json.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))


def claims_of(kinds: tuple[str, ...], given: dict[str, Any]) -> Claims:
    """The claims of a token of one of these types; raises ValueError."""
    numbers = given["user_id"], given["iat"], given["exp"]
    right_types = all(type(number) is int for number in numbers) and isinstance(given["jti"], str)
    if given["token_type"] not in kinds or not right_types:
        raise ValueError("another kind of token")
    return Claims(*numbers, given["jti"])


def key_id(key: str) -> str:
    """The name of a key, which tells nothing of it."""
    return mac(key, "key", "id")[:8]


def mac(key: str, purpose: str, text: str) -> str:
    """What only a holder of the key can say of a text, for one purpose."""
    digest = hmac.digest(key.encode(), f"{purpose}:{text}".encode(errors="surrogatepass"), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
