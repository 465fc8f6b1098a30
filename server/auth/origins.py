"""Web origins: which page may call what. Pure: headers and lists in, verdicts out."""

import ipaddress
import re
from collections.abc import Sequence
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


def is_listed(origin: str | None, listed: Sequence[str]) -> bool:
    """True when the Origin header names one of the listed, normalised origins."""
    return origin is not None and normalise_origin(origin) in listed


def is_admitted(origin: str | None, listed: Sequence[str], deny_no_origin: bool) -> bool:
    """Whether a project of the records API serves a request with this Origin header: an empty list admits every
    origin; a request without one, such as a server's, is admitted unless `deny_no_origin`."""
    if origin is None:
        return not deny_no_origin
    return not listed or is_listed(origin, listed)
