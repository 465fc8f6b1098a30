"""Sockets of secure endpoints: what ends them, on every node and in a browser, and what is left then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from server.parts import REGISTRY
from server.rest.context import TOKENS
from tests.support.app import PATIENCE, RawSocket, Server, running_server
from tests.support.node import NodeClient, Toolchain
from tests.support.record_users import INVALID, OTHER, PAGE, Club, RecordPerson, make_club
from tests.support.records import TICK, RunningEndpoint
from tests.support.records_client import Connect, records_clients


def project(club: Club) -> str:
    return f"/api/projects/{club.vault.project['id']}/"


Happening = Callable[[Club, RecordPerson], Awaitable[Any]]
ENDINGS: dict[str, Happening] = {
    "The user has logged out.": lambda club, ann: ann.ok(club.people, "POST", logout="true"),
    "The password changed.": lambda club, ann: ann.ok(club.people, "PUT", {"password": "a-new-password"}),
    "The user was deleted.": lambda club, ann: ann.ok(club.people, "DELETE"),
    "The options of the endpoint changed.": lambda club, ann: club.vault.change(access={"update": True}),
    "The API key changed.": lambda club, ann: club.vault.manage("POST", project(club) + "rotate-key/"),
    "The allowed origins changed.": lambda club, ann: club.vault.manage("PATCH", project(club), {"origins": [PAGE]}),
    "The endpoint was deleted.": lambda club, ann: club.vault.manage(
        "DELETE", f"/api/endpoints/{club.vault.shown['id']}/"
    ),
}


SEEN_BY_ALL = ["The user has logged out.", "The options of the endpoint changed."]


@pytest.mark.parametrize(
    ("reason", "read"), [*((reason, False) for reason in ENDINGS), *((reason, True) for reason in SEEN_BY_ALL)]
)
async def test_what_ends_an_open_socket(server: Server, connect: Connect, reason: str, read: bool) -> None:
    club = await make_club(server, access={"read": read})
    ann = await club.join()
    by_cookie, by_token = await club.vault.listening(headers=ann.cookie), await ann.listening(club.vault)
    client = await connect()
    assert (await client.subscribe(club.vault, accessToken=ann.token))["ok"]
    made = await ann.ok(club.vault, "POST", "the last words")
    await ENDINGS[reason](club, ann)
    for socket in (by_cookie, by_token):
        await socket.until(lambda socket=socket: socket.closed)
        assert (socket.closed, socket.messages) == ((1000, reason), [{"type": "POST", "record": made}])
    _, (name, told) = await client.take(2)
    assert (name, told) == ("closed", {"endpoint": "club/vault", "code": 1000, "reason": reason})
    assert club.vault.watchers() == 0 and not client.ended.is_set()
    rooms = [room for room in server.app[REGISTRY].members if room.startswith("ce:")]
    assert rooms == []


async def test_a_token_that_expires_ends_the_socket(club: Club, connect: Connect) -> None:
    ann = await club.join()
    club.server.app[TOKENS].lifetimes["record-user"] = 2
    short = await club.session(ann.id)
    raw, client, other = await club.vault.socket(accessToken=short), await connect(), await connect()
    for each in (client, other):
        assert (await each.subscribe(club.vault, accessToken=short))["ok"]
    assert (await other.subscribe(club.vault, accessToken=ann.token))["ok"]  # a new token in time
    await raw.until(lambda: raw.closed)
    reason = "The access token has expired."
    assert raw.closed == (1000, reason)
    assert await client.take(1) == [("closed", {"endpoint": "club/vault", "code": 1000, "reason": reason})]
    made = await ann.ok(club.vault, "POST", 1)
    assert (await other.take(1))[0][1]["record"] == made and await client.rest() == await other.rest() == []


async def test_a_client_may_come_as_somebody_else(club: Club, connect: Connect) -> None:
    ann, bob = await club.join("ann"), await club.join("bob")
    client = await connect()
    for who in (ann, bob):
        assert (await client.subscribe(club.vault, accessToken=who.token))["ok"]
    assert (await client.subscribe(club.vault, accessToken="x"))["reason"] == INVALID
    await ann.ok(club.vault, "POST", "not heard")
    made = await bob.ok(club.vault, "POST", "heard")
    await ann.ok(club.people, "POST", logout="true")
    assert [told["record"] for _, told in await client.take(1)] == [made] and await client.rest() == []
    await client.call("unsubscribe", {"endpoint": "club/vault"})
    await bob.ok(club.people, "POST", logout="true")
    assert await client.rest() == []


async def test_a_logout_on_one_node_ends_sockets_on_the_other(database_url: str, redis_url: str) -> None:
    async with (
        running_server(database_url=database_url, redis_url=redis_url) as one,
        running_server(database_url=database_url, redis_url=redis_url) as two,
    ):
        club = await make_club(one)
        ann = await club.join()
        there = RunningEndpoint(two, club.vault.admin, club.vault.project, club.vault.shown)
        raw = await ann.listening(there)
        async with records_clients(two.url) as connect:
            client = await connect(transports=["websocket"])
            assert (await client.subscribe(there, accessToken=ann.token))["ok"]
            made = await ann.ok(club.vault, "POST", 1)
            await ann.ok(club.people, "POST", logout="true")
            await raw.until(lambda: raw.closed)
            assert (raw.closed, raw.messages) == (
                (1000, "The user has logged out."),
                [{"type": "POST", "record": made}],
            )
            assert [name for name, _ in await client.take(2)] == ["record", "closed"]


async def test_a_browser_reads_why_with_the_cookie_and_with_access_token(server: Server, node: Toolchain) -> None:
    club = await make_club(server, origins=[PAGE])
    ann = await club.join()
    url = server.url.replace("http", "ws")
    page = {"Origin": PAGE}
    bad = club.vault.path(accessToken="x")
    async with NodeClient(node, "endpoint.mjs") as browser:

        async def opened(number: int, path: str, headers: dict[str, str]) -> None:
            await browser.send({"cmd": "open", "id": number, "url": url + path, "headers": headers})
            await browser.receive("open")

        async def closed() -> tuple[int, int, str]:
            end = await browser.receive("close")
            return end["id"], end["code"], end["reason"]

        await opened(1, bad, page)
        assert await closed() == (1, 4000, INVALID)
        await opened(2, club.vault.path(), {"Origin": OTHER} | ann.cookie)
        assert await closed() == (2, 4000, "The origin is not allowed.")
        await opened(3, club.vault.path(), page | ann.cookie)
        await opened(4, club.vault.path(accessToken=ann.token), page)
        async with asyncio.timeout(PATIENCE):
            while club.vault.watchers() < 2:
                await asyncio.sleep(TICK)
        made = await ann.ok(club.vault, "POST", 1)
        for _ in range(2):
            assert (await browser.receive("message"))["data"] == {"type": "POST", "record": made}
        await ann.ok(club.people, "POST", logout="true")
        assert sorted([await closed(), await closed()]) == [
            (number, 1000, "The user has logged out.") for number in (3, 4)
        ]


async def test_requests_of_listed_pages_have_credentials(server: Server) -> None:
    """CORS on secure endpoints: preflight, the origin echoed, refusals that the page can read."""
    club = await make_club(server, origins=[PAGE])
    ann = await club.join()
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    preflight = await club.vault.call("OPTIONS", headers=asked, key=None)
    assert preflight.status == 204 and "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    served = await club.vault.call("GET", headers={"Origin": PAGE} | ann.cookie)
    refused = await club.vault.call("GET", headers={"Origin": PAGE})
    assert (served.status, refused.status) == (200, 401)
    for answer in (preflight, served, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Access-Control-Allow-Credentials"] == "true" and answer.headers["Vary"] == "Origin"


async def test_a_socket_that_is_closed_leaves_no_room(club: Club) -> None:
    ann = await club.join()
    socket: RawSocket = await ann.listening(club.vault)
    await socket.close()
    async with asyncio.timeout(PATIENCE):
        while club.vault.watchers():
            await asyncio.sleep(TICK)
    assert not [room for room in club.server.app[REGISTRY].members if room.startswith("ce:")]
