"""Where a Socket.IO client may put its token: the CONNECT packet, the Authorization header, the query."""

from typing import Any
from urllib.parse import parse_qs

SCHEMES = ("jwt", "bearer")


def token_of(environ: dict[str, Any], auth: Any) -> str:
    """The access token of a connection, empty when there is none."""
    if isinstance(auth, dict) and isinstance(auth.get("token"), str):
        return bare(auth["token"])
    header = environ.get("HTTP_AUTHORIZATION", "")
    return bare(header) or parse_qs(environ.get("QUERY_STRING", "")).get("token", [""])[0]


def bare(text: str) -> str:
    """A token without its scheme."""
    scheme, _, token = text.strip().partition(" ")
    return token.strip() if scheme.lower() in SCHEMES else text.strip()
