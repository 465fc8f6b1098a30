"""Secure endpoints of the records API: who sees, changes and hears which records, and when that ends."""

from collections.abc import Awaitable, Callable
from functools import partial
from itertools import product
from typing import Any

import jwt
import pytest

from server.auth.tokens import key_id
from tests.support.app import SECRET, Server
from tests.support.record_users import INVALID, MISSING, OTHER, PAGE, Club, RecordPerson, make_club, refusal
from tests.support.records_client import Connect


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["uniqueId"] for record in records]


async def test_data_access_flags(club: Club) -> None:
    """Own records always; those of others, and those of nobody, as the flags say; the master key may everything."""
    ann, bob = await club.join("ann"), await club.join("bob")
    for flags in product([False, True], repeat=3):
        await check_flags(club, ann, bob, *flags)


async def check_flags(club: Club, ann: RecordPerson, bob: RecordPerson, read: bool, update: bool, delete: bool) -> None:
    trusted = {"masterKey": club.vault.project["master_key"]}
    own = [await ann.ok(club.vault, "POST", number) for number in range(2)]
    others = [await bob.ok(club.vault, "POST", 5), await club.vault.ok("POST", 6, **trusted)]
    await club.vault.change(access={"read": read, "update": update, "delete": delete})
    seen = ids(own + others) if read else ids(own)
    assert ids(await ann.ok(club.vault, "GET")) == seen
    assert ids(await ann.ok(club.vault, "GET", limit=5, offset=1)) == seen[1:]
    assert ids(await club.vault.ok("GET", **trusted)) == ids(own + others)
    for record in others:
        answer = await ann.call(club.vault, "GET", uniqueId=[own[0]["uniqueId"], record["uniqueId"]])
        assert answer.status == 200 if read else refusal(answer) == (400, "There is no such record.")
        for method, allowed in (("PUT", update), ("DELETE", delete)):
            answer = await ann.call(club.vault, method, "changed", uniqueId=record["uniqueId"])
            assert answer.status == 200 if allowed else refusal(answer) == (403, "The record belongs to somebody else.")
    left = await club.vault.ok("GET", dataOnly="true", **trusted)
    assert left == [0, 1] + ([] if delete else ["changed"] * 2 if update else [5, 6])
    for record in own:
        await ann.ok(club.vault, "PUT", "mine", uniqueId=record["uniqueId"])
        await ann.ok(club.vault, "DELETE", uniqueId=record["uniqueId"])
    for record in () if delete else others:
        await club.vault.ok("DELETE", uniqueId=record["uniqueId"], **trusted)


async def test_without_read_a_socket_hears_only_changes_of_own_records(club: Club, connect: Connect) -> None:
    ann, bob = await club.join("ann"), await club.join("bob")
    start = await club.server.log_position()
    raw = await ann.listening(club.vault)
    client = await connect()
    assert (await client.subscribe(club.vault, accessToken=ann.token))["ok"]
    await bob.ok(club.vault, "POST", "not heard")
    await club.vault.ok("POST", "nobody's", masterKey=club.vault.project["master_key"])
    made = await ann.ok(club.vault, "POST", 1, dataOnly="true")
    (shown,) = await ann.ok(club.vault, "GET")
    assert made == shown["data"]
    changed = await club.vault.ok("PUT", 2, masterKey=club.vault.project["master_key"], uniqueId=shown["uniqueId"])
    gone = await ann.ok(club.vault, "DELETE", uniqueId=shown["uniqueId"])
    kinds = zip(("POST", "PUT", "DELETE"), (shown, changed, gone), strict=True)
    expected = [{"type": kind, "record": each} for kind, each in kinds]
    assert [await raw.next() for _ in range(3)] == expected
    named = {"endpoint": club.vault.shown["name"]}
    assert await client.take(3) == [("record", named | message) for message in expected]
    late = await club.vault.socket(accessToken=ann.token, since=start)
    assert [await late.next() for _ in range(3)] == expected
    again = await connect()
    assert (await again.subscribe(club.vault, accessToken=ann.token, since=start))["ok"]
    assert await again.take(3) == [("record", named | message) for message in expected]
    assert raw.rest() == late.rest() == await client.rest() == await again.rest() == []


async def test_with_read_a_socket_hears_everything_once(server: Server, connect: Connect) -> None:
    club = await make_club(server, access={"read": True})
    ann, bob = await club.join("ann"), await club.join("bob")
    start = await server.log_position()
    raw, client = await ann.listening(club.vault), await connect()
    assert (await client.subscribe(club.vault, accessToken=ann.token))["ok"]
    made = [await who.ok(club.vault, "POST", who.name) for who in (ann, bob, ann)]
    late = await ann.listening(club.vault, since=start)
    made.append(await bob.ok(club.vault, "POST", "last"))
    expected = [{"type": "POST", "record": record} for record in made]
    for socket in (raw, late):
        assert [await socket.next() for _ in range(4)] == expected and socket.rest() == []
    assert [told["record"] for _, told in await client.take(4)] == made and await client.rest() == []


async def test_a_replay_follows_the_flags_of_its_time(club: Club) -> None:
    """Without READ it is what was told of one's own, whatever others were told meanwhile."""
    ann, bob = await club.join("ann"), await club.join("bob")
    start = await club.server.log_position()
    await club.vault.change(access={"read": True})
    opened = await club.server.log_position()
    made = [await who.ok(club.vault, "POST", who.name) for who in (ann, bob)]
    everything = await ann.listening(club.vault, since=opened)
    assert [(await everything.next())["record"] for _ in range(2)] == made
    await club.vault.change(access={})
    await everything.until(lambda: everything.closed)
    own = await ann.listening(club.vault, since=start)
    made.append(await ann.ok(club.vault, "POST", "last"))
    assert [(await own.next())["record"] for _ in range(2)] == [made[0], made[2]]


async def test_what_was_told_before_read_was_set_is_not_replayed_to_others(club: Club, connect: Connect) -> None:
    """The log still has deleted records, which nobody but their owner could ever see."""
    ann, bob = await club.join("ann"), await club.join("bob")
    start = await club.server.log_position()
    made = await ann.ok(club.vault, "POST", "secret")
    await ann.ok(club.vault, "DELETE", uniqueId=made["uniqueId"])
    await club.vault.change(access={"read": True})
    opened = await club.server.log_position()
    socket, client = await bob.listening(club.vault, since=start), await connect()
    assert await socket.next() == {"type": "refresh", "position": opened}
    answer = await client.subscribe(club.vault, accessToken=bob.token, since=start)
    assert answer["refresh"] is True
    said = await ann.ok(club.vault, "POST", "for all")
    assert (await socket.next())["record"] == said
    (refresh, _), (_, told) = await client.take(2)
    assert (refresh, told["record"], await client.rest()) == ("refresh", said, [])


@pytest.mark.parametrize("flag", ["secure", "authentication"])
async def test_what_a_few_were_told_is_not_replayed_to_everybody_later(club: Club, connect: Connect, flag: str) -> None:
    """The log still has deleted records, and those of users, when an endpoint is opened to all who have its key."""
    ann, endpoint = await club.join("ann"), club.people if flag == "authentication" else club.vault
    start = await club.server.log_position()
    made = await ann.ok(club.vault, "POST", "secret")
    await ann.ok(club.vault, "DELETE", uniqueId=made["uniqueId"])
    await ann.ok(club.people, "DELETE")
    await endpoint.change(authentication=False, secure=False)
    opened = await club.server.log_position()
    socket, client = await endpoint.socket(since=start - 1, offsets="true"), await connect()
    assert await socket.next() == {"type": "refresh", "position": opened}
    answer = await client.subscribe(endpoint, since=start - 1)
    assert answer["refresh"] is True
    said = await endpoint.ok("POST", "open to all")
    assert (await socket.next())["record"] == said
    (refresh, _), (_, told) = await client.take(2)
    assert (refresh, told["record"], await client.rest()) == ("refresh", said, [])
    late = await endpoint.listening(since=opened)
    assert (await late.next())["record"] == said and late.rest() == []


async def test_an_authentication_endpoint_tells_each_user_of_the_own_record(club: Club) -> None:
    ann, bob = await club.join("ann"), await club.join("bob")
    socket = await ann.listening(club.people)
    await bob.ok(club.people, "PUT", {"username": "bob", "age": 7})
    changed = await ann.ok(club.people, "PUT", {"username": "ann", "password": "a-new-password"})
    assert await socket.next() == {"type": "PUT", "record": changed}
    assert changed["data"] == {"username": "ann"} and socket.rest() == []


async def test_switching_secure_on_and_off(club: Club) -> None:
    """Ownerless records of a secure endpoint need a flag; owners are remembered while the endpoint is open to all."""
    ann = await club.join()
    mine = await ann.ok(club.vault, "POST", "mine")
    await club.vault.change(secure=False)
    free = await ann.ok(club.vault, "POST", "everybody's")
    assert await club.vault.ok("GET") == [mine, free]
    await club.vault.change(secure=True)
    assert await ann.ok(club.vault, "GET") == [mine]
    await club.vault.change(access={"read": True})
    assert await ann.ok(club.vault, "GET") == [mine, free]
    answer = await ann.call(club.vault, "PUT", 1, uniqueId=free["uniqueId"])
    assert refusal(answer) == (403, "The record belongs to somebody else.")


def expired(club: Club, ann: RecordPerson) -> str:
    """A token whose time is over, of a login that is still there."""
    claims = jwt.decode(ann.token, options={"verify_signature": False}) | {"iat": 1, "exp": 2}
    header = {"typ": "record-user+jwt", "kid": key_id(SECRET)}
    return jwt.encode(claims, SECRET, algorithm="HS256", headers=header)


async def deleted(club: Club, ann: RecordPerson) -> str:
    await ann.ok(club.people, "DELETE")
    return ann.token


async def logged_out(club: Club, ann: RecordPerson) -> str:
    await ann.ok(club.people, "POST", logout="true")
    return ann.token


async def given(text: str, club: Club, ann: RecordPerson) -> str:
    return text


async def out_of_time(club: Club, ann: RecordPerson) -> str:
    return expired(club, ann)


async def good(club: Club, ann: RecordPerson) -> str:
    return ann.token


Token = Callable[[Club, RecordPerson], Awaitable[str]]
REFUSED: dict[str, tuple[int, str, Token, dict[str, str], dict[str, Any]]] = {
    "token missing": (401, MISSING, partial(given, ""), {}, {}),
    "token invalid": (401, INVALID, partial(given, "x.y.z"), {}, {}),
    "token too long": (401, INVALID, partial(given, "x" * 5000), {}, {}),
    "token expired": (401, "The access token has expired.", out_of_time, {}, {}),
    "user deleted": (401, INVALID, deleted, {}, {}),
    "logged out": (401, INVALID, logged_out, {}, {}),
    "wrong origin": (403, "The origin is not allowed.", good, {"Origin": OTHER}, {"origins": [PAGE]}),
    "no origin": (403, "The origin is not allowed.", good, {}, {"deny_no_origin": True}),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_refusal_says_the_same_everywhere_and_nothing_is_stored_or_sent(
    server: Server, connect: Connect, case: str
) -> None:
    status, message, token_of, headers, project = REFUSED[case]
    club = await make_club(server, **project)
    ann, bob = await club.join("ann"), await club.join("bob")
    token = await token_of(club, ann)
    page = {"Origin": PAGE} if project else {}
    witness = await bob.listening(club.vault, headers=page)
    before = await server.log_position()
    bearer = headers | {"Authorization": f"Bearer {token}"} if token else headers
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = await club.vault.call(method, 1, headers=bearer, uniqueId="0" * 32)
        assert refusal(answer) == (status, message)
    cookie = headers | {"Cookie": f"__Secure-rested-access-token={token}"} if token else headers
    for query, sent in (({"accessToken": token}, headers), ({}, bearer), ({}, cookie)):
        socket = await club.vault.socket(headers=sent, **query)
        await socket.until(lambda socket=socket: socket.closed)
        assert (socket.closed, socket.messages) == ((4000, message), [])
    client = await connect(headers=headers, transports=["websocket"])
    answer = await client.subscribe(club.vault, accessToken=token)
    assert answer == {"ok": False, "endpoint": "club/vault", "code": 4000, "reason": message}
    assert await server.log_position() == before and witness.messages == [] and len(message.encode()) <= 123
    trusted = {"masterKey": club.vault.project["master_key"]}
    assert await club.vault.ok("GET", **trusted) == []
    refused = await club.vault.socket(headers=headers, **trusted)
    await refused.until(lambda: refused.closed)
    assert refused.closed[0] == 4000, "the master key is not for sockets"


@pytest.mark.parametrize("origins", [[], [PAGE]])
async def test_a_foreign_page_cannot_use_the_visitors_cookie_on_a_socket(
    server: Server, connect: Connect, origins: list[str]
) -> None:
    club = await make_club(server, origins=origins)
    ann = await club.join()
    reason = "The origin is not allowed." if origins else MISSING
    socket = await club.vault.socket(headers={"Origin": OTHER} | ann.cookie)
    await socket.until(lambda: socket.closed)
    assert socket.closed == (4000, reason)
    client = await connect(headers={"Origin": OTHER} | ann.cookie, transports=["websocket"])
    assert (await client.subscribe(club.vault))["reason"] == reason
    if origins:
        own = await connect(headers={"Origin": PAGE} | ann.cookie, transports=["websocket"])
        assert (await own.subscribe(club.vault))["ok"]
        await club.vault.listening(headers={"Origin": PAGE} | ann.cookie)
    else:
        await club.vault.listening(headers={"Origin": OTHER}, accessToken=ann.token)
