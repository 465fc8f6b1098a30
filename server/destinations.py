"""Where the server calls on somebody's behalf: public addresses only, which it looks up and checks by itself.

Invariants: the address that was checked is the one that is connected to, whatever a name resolves to a moment later; of
a name all addresses must be public; an address that stands for another one (IPv4 in IPv6, 6to4, NAT64, Teredo) is never
public. `Host`, SNI and the certificate's name stay those of the URL.
"""

import asyncio
import re
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

MAX_URL = 2048  # characters
WEB_PORTS = (80, 443)
FIRST_FREE_PORT = 1024  # below are the mail servers and the like, to which HTTP would be abuse
LOOKUPS = 16  # threads: a name server that does not answer holds one for some 10 s
KEEPALIVE = 1.5  # seconds: shorter than servers keep idle connections, so that no request meets the end of one
NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)  # hosts that some parser reads as an IPv4 address
RESERVED_4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
        "168.63.129.16/32",  # public by its number, but the metadata and DNS of a cloud's own machines
    )
]  # fmt: skip
GLOBAL_6 = ip_network("2000::/3")  # all that is assigned; mapped, NAT64, local and multicast addresses lie outside
RESERVED_6 = [ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
Lookup = Callable[..., list[Any]]


class NotAllowed(OSError):
    """A destination that the server does not call; the text says why, to whoever named it."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that anybody on the Internet could call."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv4Address):
        return not any(found in network for network in RESERVED_4)
    return found in GLOBAL_6 and not any(found in network for network in RESERVED_6)


def parse_url(text: str) -> URL:
    """A URL that may be called, as far as it can be told without looking its host up; raises NotAllowed."""
    try:
        url = URL(text)
        host, port = url.host, url.port
        if host and NUMERIC.fullmatch(host):
            IPv4Address(host)
    except ValueError:
        raise NotAllowed("Enter a valid URL.") from None
    if url.scheme not in ("http", "https") or not host or len(str(url)) > MAX_URL:
        raise NotAllowed("Enter a valid URL, which begins with http:// or https://.")
    if url.raw_user is not None or url.raw_password is not None or url.raw_fragment:
        raise NotAllowed("The URL must have neither a user, nor a password, nor a fragment.")
    if port is None or (port not in WEB_PORTS and port < FIRST_FREE_PORT):
        raise NotAllowed("The port must be 80, 443, or 1024 and above.")
    return url


class Destinations(AbstractResolver):
    """What may be called: with `allow_private` every address; `lookup` is, or stands in for, `socket.getaddrinfo`."""

    def __init__(self, *, allow_private: bool = False, lookup: Lookup = socket.getaddrinfo) -> None:
        self.allow_private = allow_private
        self.lookup = lookup
        self._threads = ThreadPoolExecutor(LOOKUPS, "lookup")  # of its own, so that slow name servers delay nobody else

    def connector(self) -> TCPConnector:
        """What connects to public addresses and to no others."""
        return TCPConnector(
            resolver=self,
            use_dns_cache=False,
            socket_factory=self._open,
            limit=0,
            keepalive_timeout=KEEPALIVE,
        )

    async def check(self, text: str, *, timeout: float) -> None:
        """Raises NotAllowed for a URL that the server would not call now; `timeout` in seconds."""
        url = parse_url(text)
        try:
            async with asyncio.timeout(timeout):
                await self.resolve(url.host or "", url.port or 0)
        except NotAllowed:
            raise
        except (OSError, TimeoutError):
            raise NotAllowed("The host cannot be found.") from None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host; raises NotAllowed unless all of them are public, and OSError for an unknown one."""
        job = partial(self.lookup, host, port, family=family, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, job)
        except UnicodeError:  # a label that no name can have
            raise OSError(None, "The host cannot be found.") from None
        for *_, address in found:
            self._require_public(address[0])
        return [
            ResolveResult(hostname=host, host=address[0], port=port, family=kind, proto=protocol, flags=0)
            for kind, _, protocol, _, address in found
        ]

    def _require_public(self, address: str) -> None:
        if not self.allow_private and not is_public(address):
            raise NotAllowed("The host does not have public addresses only.")

    def _open(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for an address that is about to be connected to. Nothing comes by another way, URLs with an address
        instead of a name neither."""
        family, kind, protocol, _, address = info
        self._require_public(address[0])
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Called when the connector ends; lookups that still run are left to themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
