"""Who a client is and where it came to, as seen through the proxies in front of us.

Invariant: a forwarded header counts only as far as a stated number of proxies wrote it. Each appends to
`X-Forwarded-For` the address that it was called from, so what stands further left was written by the client.
"""

import ipaddress
import re
from functools import lru_cache

from aiohttp import hdrs, web

TRUSTED_PROXIES = web.AppKey("trusted_proxies", int)
HOST = re.compile(r"[\w.-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?", re.ASCII)
REMEMBERED = 4096  # spellings of addresses: reading one costs as much as the rest of a small request's head
PORT = re.compile(r"(?:\[(.+)\]|([^:\[\]]+))(?::\d+)?")  # an address with a port, as some proxies write it


def trusted_proxies(request: web.Request) -> int:
    """How many proxies in front are believed."""
    return request.app.get(TRUSTED_PROXIES, 0)


def forwarded(request: web.Request, name: str) -> list[str]:
    """What the trusted proxies wrote into a header, that of the outermost first; empty when none did."""
    count = trusted_proxies(request)
    if not count:
        return []
    return [part.strip() for value in request.headers.getall(name, ()) for part in value.split(",")][-count:]


def client_address(request: web.Request) -> str:
    """The IP address of the client: the one that the outermost trusted proxy was called from. Where that proxy wrote no
    address, the nearest one that was written; without proxies the peer. Empty where there is none (a UNIX socket)."""
    for written in forwarded(request, hdrs.X_FORWARDED_FOR):
        if address := as_address(written):
            return address
    return as_address(request.remote or "")


@lru_cache(REMEMBERED)
def as_address(text: str) -> str:
    """An IP address in its one spelling, without port and zone; empty for anything else."""
    found = PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(((found[1] or found[2]) if found else text).partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def client_scheme(request: web.Request) -> str:
    """`http` or `https`, as the client spoke it."""
    for written in forwarded(request, hdrs.X_FORWARDED_PROTO)[:1]:
        if written.lower() in ("http", "https"):
            return written.lower()
    return request.scheme


def client_host(request: web.Request) -> str:
    """The host, with its port, that the client asked for; empty where it named none."""
    for written in forwarded(request, hdrs.X_FORWARDED_HOST)[:1]:
        if HOST.fullmatch(written):
            return written
    return request.headers.get(hdrs.HOST, "")
