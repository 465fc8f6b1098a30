"""Authentication endpoints of the records API: registering, logging in and out, one's own record."""

import asyncio
import logging
from typing import Any

import pytest

from server.auth.visitors import COOKIE
from server.parts import STORE
from server.rest.context import TOKENS
from server.store import log, retention
from server.store.models import RecordLogin, RecordSession, RecordUser, StoredRecord
from server.store.transaction import Transaction
from tests.support.app import PASSWORD, Server, running_server
from tests.support.core_2026 import newcomer
from tests.support.record_users import Club, credentials, make_club, refusal
from tests.support.records import running_endpoint

PAGE, OTHER = "https://app.example.com", "https://evil.example"
NEW = "another-password-1234"


def everything(tx: Transaction) -> str:
    """All rows of the log and of the records API as text."""
    rows: list[Any] = [*log.read_after(tx.db, 0, 10_000)]
    for model in (StoredRecord, RecordUser, RecordLogin, RecordSession):
        rows += list(model.select().dicts())
    return str(rows)


async def test_post_registers_a_user_and_the_password_is_nowhere(club: Club, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    body = {"username": "Ann", "email": "ann@example.com", "password": PASSWORD, "age": 7, "big": 2**70}
    made = await club.people.ok("POST", body)
    shown = {key: value for key, value in body.items() if key != "password"}
    assert (list(made), made["data"]) == (["uniqueId", "data", "createdAt", "updatedAt"], shown)
    assert await club.people.ok("GET", masterKey=club.people.project["master_key"]) == [made]
    assert (await club.log_in({"email": "ANN@example.com", "password": PASSWORD})).body == made
    assert (await club.log_in({"email": "ann@example.com", "password": PASSWORD}, dataOnly="true")).body == shown
    assert (await club.log_in(credentials("ANN", "not the password"))).status == 401
    stored = await club.server.app[STORE].read(everything)
    told = "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "argon2id" in stored and "argon2id" not in told
    assert PASSWORD not in stored + told and "not the password" not in told


BAD_USERS: list[tuple[Any, str]] = [
    ({"password": PASSWORD}, "The username or the email is missing."),
    ({"username": None, "password": PASSWORD}, "The username or the email is missing."),
    ({"username": "ann"}, "The password is missing."),
    ({"username": "ann", "password": "short"}, "password: This password is too short. It must contain at least 8"
     " characters."),
    ({"username": "ann", "password": [1]}, "password: Not a valid string."),
    ({"username": 5, "password": PASSWORD}, "The username is invalid."),
    ({"username": " ", "password": PASSWORD}, "The username is invalid."),
    ({"username": "a\0b", "password": PASSWORD}, "The username is invalid."),
    ({"username": "x" * 255, "password": PASSWORD}, "The username is invalid."),
    ({"email": "ann", "password": PASSWORD}, "The email is invalid."),
    (["username", "password"], "A user must be an object with username or email."),
    ({"username": "BOB ", "password": PASSWORD}, "The username or the email is taken."),
    ({"username": "x", "email": "bob", "password": PASSWORD}, "The email is invalid."),
]  # fmt: skip


async def test_name_taken_and_other_refused_registrations(club: Club) -> None:
    await club.join("bob")
    before = await club.server.app[STORE].read(everything)
    for body, message in BAD_USERS:
        assert refusal(await club.people.call("POST", body)) == (400, message)
    assert await club.server.app[STORE].read(everything) == before


async def test_of_many_who_want_a_name_at_once_one_gets_it(club: Club) -> None:
    answers = await asyncio.gather(*(club.people.call("POST", credentials("ann")) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [400] * 5
    assert (await club.log_in(credentials("ann"))).status == 200


async def test_names_are_unique_per_endpoint_and_freed_by_deleting(club: Club) -> None:
    staff = await club.people.another("club/staff", authentication=True)
    bob = await club.join("bob")
    other = await club.join("bob", staff)
    assert other.id != bob.id
    assert (await bob.ok(club.people, "GET"))["uniqueId"] == bob.unique_id
    assert refusal(await bob.call(staff, "GET")) == (400, "There is no such record.")
    gone = await bob.ok(club.people, "DELETE")
    assert gone["data"] == {"username": "bob"}
    assert refusal(await bob.call(club.people, "GET")) == (401, "The access token is invalid.")
    await club.people.ok("POST", credentials("bob"))
    assert (await other.ok(staff, "GET"))["uniqueId"] == other.unique_id


async def test_login_gives_the_token_as_cookie(club: Club) -> None:
    ann = await club.join()
    answer = await club.log_in(credentials())
    assert (answer.status, answer.body["uniqueId"]) == (200, ann.unique_id)
    (cookie,) = answer.headers.getall("Set-Cookie")
    parts = cookie.split("; ")
    assert parts[0].startswith(f"{COOKIE}=ey") and "Authorization" not in answer.headers
    assert {"HttpOnly", "Secure", "SameSite=None", "Path=/", "Max-Age=86400"} == set(parts[1:])
    assert answer.headers["Cache-Control"] == "no-store"
    mine = await club.people.ok("GET", headers={"Cookie": parts[0]})
    assert mine["uniqueId"] == ann.unique_id


async def test_no_at_cookie_gives_the_token_as_header(club: Club) -> None:
    ann = await club.join()
    answer = await club.log_in(credentials(), headers={"Origin": OTHER}, noATCookie="true")
    assert "Set-Cookie" not in answer.headers and "Authorization" in answer.headers["Access-Control-Expose-Headers"]
    assert (await club.people.ok("GET", headers={"Authorization": answer.headers["Authorization"]}))[
        "uniqueId"
    ] == ann.unique_id


@pytest.mark.parametrize(
    ("origins", "headers", "takes_cookie"),
    [
        ([], {}, True),
        ([], {"Sec-Fetch-Site": "same-origin"}, True),
        ([], {"Sec-Fetch-Site": "cross-site"}, False),
        ([], {"Origin": OTHER}, False),
        ([], {"Origin": "null"}, False),
        ([PAGE], {"Origin": PAGE}, True),
        ([PAGE], {"Origin": PAGE, "Sec-Fetch-Site": "cross-site"}, True),
    ],
)
async def test_the_cookie_counts_for_listed_origins_only(
    server: Server, origins: list[str], headers: dict[str, str], takes_cookie: bool
) -> None:
    """A foreign page with the visitor's cookie reads nothing, stores nothing and is given no cookie."""
    club = await make_club(server, origins=origins)
    ann = await club.join()
    login = await club.log_in(credentials(), headers=headers)
    assert ("Set-Cookie" in login.headers, "Authorization" in login.headers) == (takes_cookie, not takes_cookie)
    for method in ("GET", "POST", "PUT", "DELETE"):
        more = {"uniqueId": "0" * 32} if method in ("PUT", "DELETE") else {}
        answer = await club.vault.call(method, 1, headers=headers | ann.cookie, **more)
        if takes_cookie:
            assert answer.status != 401
        else:
            assert refusal(answer) == (401, "The access token is missing.")
    assert len(await ann.ok(club.vault, "GET")) == takes_cookie
    if not takes_cookie:  # the token that the page itself brings counts
        assert (await club.vault.call("POST", 1, headers=headers | ann.header)).status == 200


async def test_the_header_counts_before_the_cookie(club: Club) -> None:
    ann = await club.join()
    answer = await club.vault.call("GET", headers=ann.cookie | {"Authorization": "Bearer x"})
    assert refusal(answer) == (401, "The access token is invalid.")


WRONG: list[tuple[Any, int, str]] = [
    ({"username": "ann", "password": "wrong"}, 401, "The name or the password is wrong."),
    ({"username": "eve", "password": PASSWORD}, 401, "The name or the password is wrong."),
    ({"username": "a\1", "password": PASSWORD}, 401, "The name or the password is wrong."),
    ({"password": PASSWORD}, 400, "The username or the email is missing."),
    ({"username": "ann"}, 400, "password: This field is required."),
    ([], 400, "non_field_errors: Invalid data. Expected a dictionary, but got list."),
]


async def test_wrong_credentials(club: Club) -> None:
    await club.join()
    before = await club.server.app[STORE].read(everything)
    for body, status, message in WRONG:
        answer = await club.log_in(body)
        assert refusal(answer) == (status, message) and "Set-Cookie" not in answer.headers
    assert await club.server.app[STORE].read(everything) == before


@pytest.mark.parametrize("what", ["login", "logout"])
async def test_login_and_logout_need_post_and_an_authentication_endpoint(club: Club, what: str) -> None:
    ann = await club.join()
    for method in ("GET", "PUT", "DELETE"):
        answer = await ann.call(club.people, method, {}, **{what: "true"})
        assert refusal(answer) == (400, "login and logout need the method POST.")
    for name in ("shop/orders", "club/vault"):
        answer = await ann.call(club.vault, "POST", credentials(), name=name, **{what: "true"})
        assert refusal(answer) == (400, "The endpoint authenticates nobody.")
    assert (await club.people.call("POST", credentials(), key=None, **{what: "true"})).status == 403


async def test_too_many_logins_are_429(database_url: str) -> None:
    async with running_server(database_url=database_url, logins_per_account=2) as server:
        club = await make_club(server)
        await club.join()
        for name in ("ann", "ANN"):
            assert (await club.log_in(credentials(name, "wrong"))).status == 401
        answer = await club.log_in(credentials())
        assert refusal(answer) == (429, "Too many attempts. Come back later.") and answer.headers["Retry-After"]
        await club.people.ok("POST", credentials("bob"))
        assert (await club.log_in(credentials("bob"))).status == 200


async def test_get_is_me_as_one_object(club: Club) -> None:
    ann, bob = await club.join("ann"), await club.join("bob")
    mine = await ann.ok(club.people, "GET")
    assert mine["uniqueId"] == ann.unique_id and mine["data"] == {"username": "ann"}
    assert await ann.ok(club.people, "GET", dataOnly="true") == {"username": "ann"}
    assert await ann.ok(club.people, "GET", uniqueId=ann.unique_id) == mine
    assert refusal(await ann.call(club.people, "GET", uniqueId=bob.unique_id)) == (400, "There is no such record.")
    assert refusal(await club.people.call("GET")) == (401, "The access token is missing.")
    trusted = {"masterKey": club.people.project["master_key"]}
    assert [each["data"] for each in await club.people.ok("GET", **trusted)] == [mine["data"], {"username": "bob"}]


async def test_put_and_delete_are_for_the_owner_only(club: Club) -> None:
    ann, bob = await club.join("ann"), await club.join("bob")
    socket = await bob.listening(club.people)
    for method in ("PUT", "DELETE"):
        answer = await ann.call(club.people, method, {"username": "x"}, uniqueId=bob.unique_id)
        assert refusal(answer) == (403, "The record belongs to somebody else.")
    changed = await ann.ok(club.people, "PUT", {"age": 7}, strategy="merge")
    assert changed["data"] == {"username": "ann", "age": 7}
    assert (await ann.ok(club.people, "PUT", {"name": "A"}, uniqueId=ann.unique_id))["data"] == {
        "username": "ann",
        "name": "A",
    }
    assert refusal(await ann.call(club.people, "PUT", {"username": "Bob"})) == (
        400,
        "The username or the email is taken.",
    )
    assert refusal(await ann.call(club.people, "PUT", "text")) == (
        400,
        "A user must be an object with username or email.",
    )
    assert (await ann.ok(club.people, "PUT", {"email": "a@b.example"}))["data"] == {"email": "a@b.example"}
    assert (await club.log_in(credentials("a@b.example"))).status == 200
    assert (await club.log_in(credentials("ann"))).status == 401
    trusted = {"masterKey": club.people.project["master_key"], "uniqueId": bob.unique_id}
    told = await club.people.ok("PUT", {"username": "Bob"}, **trusted)
    assert await socket.next() == {"type": "PUT", "record": told}


async def test_an_empty_unique_id_does_not_mean_ones_own_record(club: Club) -> None:
    """A program that lost an id must not delete its user."""
    ann = await club.join("ann")
    for method in ("GET", "PUT", "DELETE"):
        answer = await ann.call(club.people, method, {"age": 7}, uniqueId="")
        assert refusal(answer) == (400, "There is no such record."), method
    assert (await ann.ok(club.people, "GET"))["data"] == {"username": "ann"}


async def test_a_new_password_ends_every_token_and_changes_nothing_else(club: Club) -> None:
    ann = await club.join()
    other = await club.session(ann.id)
    before = await ann.ok(club.people, "PUT", {"username": "ann", "age": 7})
    sockets = [await ann.listening(club.people), await club.vault.listening(accessToken=other)]
    changed = await ann.ok(club.people, "PUT", {"password": NEW})
    assert changed["data"] == before["data"]
    for socket in sockets:
        await socket.until(lambda socket=socket: socket.closed)
        assert socket.closed == (1000, "The password changed.")
    assert sockets[0].messages == [{"type": "PUT", "record": changed}] and sockets[1].messages == []
    for token in (ann.token, other):
        answer = await club.vault.call("GET", headers={"Authorization": f"Bearer {token}"})
        assert refusal(answer) == (401, "The access token is invalid.")
    assert (await club.log_in(credentials())).status == 401
    assert (await club.log_in(credentials(password=NEW))).status == 200


async def test_logout_ends_one_token_and_its_sockets(club: Club) -> None:
    ann = await club.join()
    other = await club.session(ann.id)
    ended, kept = await ann.listening(club.vault), await club.vault.listening(accessToken=other)
    answer = await club.people.call("POST", logout="true", headers=ann.cookie)
    assert (answer.status, answer.body) == (200, {})
    assert f'{COOKIE}=""' in answer.headers["Set-Cookie"] and "Max-Age=0" in answer.headers["Set-Cookie"]
    await ended.until(lambda: ended.closed)
    assert ended.closed == (1000, "The user has logged out.")
    assert refusal(await ann.call(club.vault, "GET")) == (401, "The access token is invalid.")
    assert refusal(await ann.call(club.people, "POST", logout="true")) == (401, "The access token is invalid.")
    made = await club.vault.ok("POST", 1, headers={"Authorization": f"Bearer {other}"})
    assert await kept.next() == {"type": "POST", "record": made} and kept.closed is None


async def test_tokens_of_workspaces_and_of_endpoints_are_never_each_other(club: Club) -> None:
    ann, bob = await club.join(), await newcomer(club.server, "Bob")
    for scheme in ("JWT", "Bearer"):
        answer = await club.vault.call("GET", headers={"Authorization": f"{scheme} {bob.token}"})
        assert refusal(answer) == (401, "The access token is invalid.")
        headers = {"Authorization": f"{scheme} {ann.token}"}
        assert (await club.server.request("GET", "/api/workspaces/", headers=headers)).status == 401
        assert (await club.server.request("GET", "/workspaces", headers=headers)).status == 401
    socket = await club.server.websocket(f"/ws/core/?jwt_token={ann.token}")
    (verdict,) = await socket.expect("authentication")
    assert verdict["success"] is False


async def test_a_token_counts_in_its_own_project_only(club: Club) -> None:
    ann = await club.join()
    other = await running_endpoint(club.server, "rival/orders")
    vault = await other.another("rival/vault", secure=True, access={"read": True})
    assert refusal(await ann.call(vault, "GET")) == (401, "The access token is invalid.")


async def test_the_flag_authentication_stays_while_there_are_records(club: Club) -> None:
    ann = await club.join()
    await ann.ok(club.vault, "POST", 1)
    for endpoint in (club.people, club.vault):
        body = {"authentication": not endpoint.shown["authentication"]}
        answer = await endpoint.admin.request("PATCH", f"/api/endpoints/{endpoint.shown['id']}/", body)
        text = "The flag authentication can be changed only while there are no records."
        assert refusal(answer) == (400, text)
    await club.people.change(secure=False)
    assert club.people.shown["secure"] is True


async def test_deleting_users_endpoints_leaves_nothing_behind(club: Club) -> None:
    ann = await club.join()
    await ann.ok(club.vault, "POST", 1)
    socket = await ann.listening(club.vault)
    await club.people.manage("DELETE", f"/api/endpoints/{club.people.shown['id']}/")
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1000, "The users of the project were deleted.")
    assert refusal(await ann.call(club.vault, "GET")) == (401, "The access token is invalid.")
    await club.vault.manage("DELETE", f"/api/projects/{club.vault.project['id']}/")
    models = (RecordUser, RecordLogin, RecordSession, StoredRecord)
    assert await club.server.app[STORE].read(lambda tx: [model.select().count() for model in models]) == [0] * 4


async def test_expired_logins_are_forgotten(club: Club) -> None:
    ann = await club.join()
    club.server.app[TOKENS].lifetimes["record-user"] = -10
    await club.session(ann.id)
    store = club.server.app[STORE]
    assert [await store.write(retention.forget_record_sessions) for _ in range(2)] == [1, 0]
    assert (await ann.call(club.vault, "GET")).status == 200
