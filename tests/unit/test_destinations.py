"""Which addresses and URLs the server calls on somebody's behalf."""

import socket
from typing import Any

import pytest

from server.destinations import Destinations, NotAllowed, is_public, parse_url

PRIVATE = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:7f00:1::", "2001:20::1",
    "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255",
    "2606:4700::1111", "2a00::1",
)  # fmt: skip


def test_addresses_that_are_not_public() -> None:
    assert [address for address in PRIVATE if is_public(address)] == []
    assert [address for address in PUBLIC if not is_public(address)] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/hook?team=1",
        "https://example.com:8443/hook",
        "http://[2606:4700::1111]:8080/",
        "https://bücher.example/",
    ],
)
def test_urls_that_may_be_called(url: str) -> None:
    parse_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://",
        "http:///path",
        "http://user@example.com/",
        "http://:password@example.com/",
        "http://example.com/#fragment",
        "http://example.com:25/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.1./",
        "http://[::1/",
        "http://example.com/" + "x" * 2048,
    ],
)
def test_urls_that_may_not_be_called(url: str) -> None:
    with pytest.raises(NotAllowed):
        parse_url(url)


def found(*addresses: str) -> Any:
    """A look-up that finds these addresses."""

    def lookup(host: str, port: int, **how: Any) -> list[Any]:
        kinds = [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]
        return [(kind, socket.SOCK_STREAM, 6, "", (address, port)) for kind, address in kinds]

    return lookup


async def test_of_a_host_every_address_must_be_public() -> None:
    await Destinations(lookup=found("8.8.8.8", "2606:4700::1111")).check("http://a.example/", timeout=1)
    for private in ("127.0.0.1", "::ffff:8.8.8.8", "fe80::1%2"):
        with pytest.raises(NotAllowed, match="public"):
            await Destinations(lookup=found("8.8.8.8", private)).check("http://a.example/", timeout=1)
        await Destinations(lookup=found("8.8.8.8", private), allow_private=True).check("http://a.example/", timeout=1)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example", "a..example"])
async def test_a_host_that_cannot_be_found(host: str) -> None:
    with pytest.raises(NotAllowed):
        await Destinations().check(f"http://{host}/", timeout=5)
