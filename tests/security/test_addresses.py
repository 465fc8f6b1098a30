"""Where a client comes from and what it called us, seen through no, one or several proxies."""

import logging
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.addresses import TRUSTED_PROXIES, client_address, client_host, client_scheme
from tests.support.app import running_server
from tests.support.core_2026 import newcomer

PEER = "10.0.0.9"


def request(proxies: int | None, *headers: tuple[str, str], remote: str = PEER) -> web.Request:
    """A request over the network, from `remote`, to a server behind so many proxies (None: it was not said)."""
    app = web.Application()
    if proxies is not None:
        app[TRUSTED_PROXIES] = proxies
    made = make_mocked_request("GET", "/", CIMultiDict([("Host", "inside:8000"), *headers]), app=app)
    return made.clone(remote=remote)


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (None, ["1.1.1.1"], PEER),
        (0, ["1.1.1.1"], PEER),
        (0, [], PEER),
        (1, [], PEER),
        (1, ["1.1.1.1"], "1.1.1.1"),
        (1, ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        (1, ["6.6.6.6", "1.1.1.1"], "1.1.1.1"),
        (2, ["6.6.6.6, 1.1.1.1, 10.0.0.1"], "1.1.1.1"),
        (2, ["6.6.6.6", "1.1.1.1", "10.0.0.1"], "1.1.1.1"),
        (2, ["1.1.1.1"], "1.1.1.1"),  # a request that came past the outer one
        (3, ["1.1.1.1, 10.0.0.1"], "1.1.1.1"),
        (1, ["6.6.6.6,"], PEER),
        (1, [", , "], PEER),
        (1, ["unknown"], PEER),
        (1, ["1.1.1.1; DROP TABLE account"], PEER),
        (1, ["1.1.1"], PEER),
        (1, ["x" * 8000], PEER),
        (2, ["unknown, 10.0.0.1"], "10.0.0.1"),
        (1, ["1.1.1.1:4711"], "1.1.1.1"),
        (1, ["[2001:DB8::0:1]:4711"], "2001:db8::1"),
        (1, ["2001:db8:0:0:0:0:0:1"], "2001:db8::1"),
        (1, ["[2001:db8::1]"], "2001:db8::1"),
        (1, ["::ffff:1.1.1.1"], "1.1.1.1"),
        (1, ["fe80::1%eth0"], "fe80::1"),
    ],
)
def test_the_client_is_who_called_the_outermost_trusted_proxy(
    proxies: int | None, forwarded: list[str], address: str
) -> None:
    assert client_address(request(proxies, *[("X-Forwarded-For", value) for value in forwarded])) == address


@pytest.mark.parametrize(
    ("remote", "address"), [("::ffff:1.2.3.4", "1.2.3.4"), ("::1", "::1"), ("fe80::1%eth0", "fe80::1"), ("", "")]
)
def test_the_peer_is_named_in_one_spelling(remote: str, address: str) -> None:
    assert client_address(request(0, remote=remote)) == address


@pytest.mark.parametrize(
    ("proxies", "written", "scheme"),
    [
        (0, ["https"], "http"),
        (1, ["https"], "https"),
        (1, ["HTTPS"], "https"),
        (1, ["https, http"], "http"),
        (2, ["https, http"], "https"),
        (1, ["javascript"], "http"),
        (1, [], "http"),
    ],
)
def test_the_scheme_is_what_a_trusted_proxy_says(proxies: int, written: list[str], scheme: str) -> None:
    assert client_scheme(request(proxies, *[("X-Forwarded-Proto", value) for value in written])) == scheme


@pytest.mark.parametrize(
    ("proxies", "written", "host"),
    [
        (0, "rooms.example", "inside:8000"),
        (1, "rooms.example", "rooms.example"),
        (1, "rooms.example:8443", "rooms.example:8443"),
        (1, "[2001:db8::1]:80", "[2001:db8::1]:80"),
        (1, "evil.example, rooms.example", "rooms.example"),
        (1, "rooms.example/../x", "inside:8000"),
        (1, "user@rooms.example", "inside:8000"),
        (1, 'x" onload="', "inside:8000"),
        (1, "", "inside:8000"),
    ],
)
def test_the_host_is_what_a_trusted_proxy_says(proxies: int, written: str, host: str) -> None:
    assert client_host(request(proxies, ("X-Forwarded-Host", written))) == host


async def seen_by_a_page(tmp_path: Path, proxies: int) -> dict[str, Any]:
    """What a client that forwards, or lies about, another address gets: the link to the next page, and whether the
    page of that address is the server's own."""
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "rooms.example", "X-Forwarded-For": "1.1.1.1"}
    async with running_server(
        database_url=f"sqlite:///{tmp_path}/test.sqlite3", trusted_proxies=proxies, allowed_origins="https://a.example"
    ) as server:
        ann = await newcomer(server, "Ann")
        workspace = await ann.workspace()
        table = await ann.table(await ann.database(workspace), data=[["Name"], ["1"], ["2"]])
        rows = await ann.ok("GET", f"/api/database/rows/table/{table}/?size=1", headers=forwarded)
        origin = {"Origin": "https://rooms.example"}
        poll = await server.request("GET", "/socket.io/?EIO=4&transport=polling", headers=forwarded | origin)
        cookie = {"Cookie": f"access_token={ann.token}"}
        body = {"workspace_id": workspace, "name": "x"}
        write = await server.request("POST", "/collections", body, headers=forwarded | origin | cookie)
        inside = server.url
    return {"next": rows["next"].partition("/api/")[0].replace(inside, "inside"), "open": (poll.status, write.status)}


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "1.1.1.1")])
async def test_the_log_names_the_client(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, proxies: int, address: str
) -> None:
    caplog.set_level(logging.INFO, "server.rest.access_log")
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url, trusted_proxies=proxies) as server:
        forwarded = {"X-Forwarded-For": "6.6.6.6, 1.1.1.1"}
        await server.request("GET", "/api/settings/", headers=forwarded)
        socket = await server.websocket("/ws/core/", headers=forwarded)
        await socket.until(lambda: socket.closed)
    lines = [record for record in caplog.records if record.name == "server.rest.access_log"]
    assert [(line.address, f" ms {address}" in line.getMessage()) for line in lines] == [(address, True)] * 2


async def test_links_and_own_pages_are_those_of_the_address_that_clients_use(tmp_path: Path) -> None:
    assert await seen_by_a_page(tmp_path, 0) == {"next": "inside", "open": (400, 403)}
    assert await seen_by_a_page(tmp_path, 1) == {"next": "https://rooms.example", "open": (200, 201)}
