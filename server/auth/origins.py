"""Web origins: which page may call what. Pure: headers and lists in, verdicts out.

Invariant: where a cookie is the credential, only a page of the server's own origin, or of one listed by name, may act
with it; `*` admits pages that bring a token of their own, never those that only have the cookie.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_ORIGIN = 300  # characters: scheme, the longest host name, port
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")


def normalise_origin(text: str) -> str | None:
    """An http(s) origin as browsers send it: lower case, punycode, no default port, no slash at the end; None for
    anything that is not an origin."""
    try:
        parts = urlsplit(text.strip()) if len(text) <= MAX_ORIGIN else SplitResult("", "", "", "", "")
        host, port = _host(parts), parts.port
    except ValueError:
        return None
    extra = parts.query or parts.fragment or "@" in parts.netloc or parts.path not in ("", "/")
    if parts.scheme not in DEFAULT_PORTS or not host or extra:
        return None
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, DEFAULT_PORTS[parts.scheme]) else "")


def _host(parts: SplitResult) -> str:
    """The host as browsers write it, empty for none; raises ValueError (UnicodeError is one)."""
    host = parts.hostname or ""
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host).compressed}]"
    host = host.encode("idna").decode().lower()
    return host if len(host) <= 253 and _HOST.fullmatch(host) else ""


def is_listed(origin: str | None, listed: Collection[str]) -> bool:
    """True when the Origin header names one of the listed origins; `*` names none."""
    found = normalise_origin(origin) if origin is not None else None
    return found is not None and found in {normalise_origin(each) for each in listed}


def is_admitted(origin: str | None, listed: Collection[str], deny_no_origin: bool) -> bool:
    """Whether a project of the records API serves a request with this Origin header: an empty list admits every
    origin; a request without one, such as a server's, is admitted unless `deny_no_origin`."""
    if origin is None:
        return not deny_no_origin
    return not listed or is_listed(origin, listed)


def is_own(origin: str, host: str, public_url: str = "") -> bool:
    """True for a page of this server: at its public address, else at the host of the request (either scheme, since
    a router in front may have taken the encryption off)."""
    found = normalise_origin(origin)
    if found is None:
        return False
    if public_url:
        return found == origin_of(public_url)
    return found in (normalise_origin(f"http://{host}"), normalise_origin(f"https://{host}"))


def origin_of(url: str) -> str | None:
    """The origin of a page's address."""
    parts = urlsplit(url)
    return normalise_origin(f"{parts.scheme}://{parts.netloc}")


@dataclass(frozen=True, slots=True)
class OriginRules:
    """The rules of ALLOWED_ORIGINS, for requests and for sockets of every kind alike. `host` is the one that the client
    named; a request without an Origin header comes from no page of another origin."""

    public_url: str
    allowed: frozenset[str]

    def is_allowed(self, origin: str | None) -> bool:
        """True for an origin that is allowed by its name; a page of it may use credentials."""
        return is_listed(origin, self.allowed)

    def knows(self, origin: str, host: str) -> bool:
        """True for a page of our own or of an origin allowed by its name."""
        return is_own(origin, host, self.public_url) or self.is_allowed(origin)

    def admits(self, origin: str | None, host: str) -> bool:
        """Whether a page of this origin may open a socket or a stream, with a token of its own."""
        return origin is None or "*" in self.allowed or self.knows(origin, host)

    def may_use_cookie(self, origin: str | None, host: str) -> bool:
        """True where a request or socket with this Origin header may act with nothing but a cookie."""
        return origin is not None and self.knows(origin, host)
