"""Accounts: signing up and in, tokens, ending sessions."""

import time
from typing import Any

import jwt
import pytest

from server.auth import passwords
from tests.support.app import PASSWORD, SECRET, Server, running_server


@pytest.mark.usefixtures("real_hashing")
def test_unknown_accounts_take_as_long_as_others() -> None:
    """The hash that is checked for them costs what every other one costs."""
    assert not passwords.HASHER.check_needs_rehash(passwords.UNKNOWN)
    assert not passwords.matches(None, PASSWORD)


@pytest.mark.usefixtures("real_hashing")
async def test_signing_up_makes_an_account_that_can_log_in(server: Server) -> None:
    body = {"name": "New Person", "email": "New@Example.com", "password": PASSWORD, "authenticate": True}
    made = (await server.request("POST", "/api/user/", body)).body
    assert made["user"]["username"] == "new@example.com"
    assert made["user"]["is_staff"], "the first account of a server is staff"
    assert made["token"] == made["access_token"]
    login = await server.request("POST", "/api/user/token-auth/", {"email": "NEW@example.com", "password": PASSWORD})
    assert login.status == 200
    assert login.body["user"] == made["user"]
    second = await server.request("POST", "/api/user/", body | {"email": "second@example.com"})
    assert not second.body["user"]["is_staff"]


async def test_signing_up_makes_a_workspace_with_a_sample_table(database_url: str) -> None:
    async with running_server(database_url=database_url) as server:
        ann = await server.sign_up("Ann")
        (workspace,) = await ann.ok("GET", "/api/workspaces/")
        (database,) = await ann.ok("GET", "/api/applications/")
        assert database["workspace"]["id"] == workspace["id"]
        table = database["tables"][0]
        rows = await ann.ok("GET", f"/api/database/rows/table/{table['id']}/")
        assert rows["count"] > 0
        again = await ann.ok("POST", "/api/workspaces/create-initial-workspace/", {})
        assert again["id"] == workspace["id"]


@pytest.mark.parametrize(
    ("path", "body", "status", "answer"),
    [
        ("/api/user/token-auth/", {"email": "ann", "password": "x"}, 401, "ERROR_INVALID_CREDENTIALS"),
        ("/api/user/token-auth/", {}, 400, None),
        ("/api/user/token-refresh/", {}, 401, "ERROR_INVALID_REFRESH_TOKEN"),
        ("/api/user/token-refresh/", {"refresh_token": "garbage"}, 401, "ERROR_INVALID_REFRESH_TOKEN"),
        ("/api/user/token-verify/", {"refresh_token": "garbage"}, 401, "ERROR_INVALID_REFRESH_TOKEN"),
        ("/api/user/", {"name": "x", "email": "a@b.co", "password": "short"}, 400, "ERROR_REQUEST_BODY_VALIDATION"),
        ("/api/user/", {"name": "Ann", "email": "a@b.co", "password": PASSWORD, "workspace_invitation_token": "no"},
         400, "BAD_TOKEN_SIGNATURE"),
    ],
)  # fmt: skip
async def test_what_is_refused(server: Server, path: str, body: Any, status: int, answer: str | None) -> None:
    found = await server.request("POST", path, body)
    assert (found.status, found.body.get("error")) == (status, answer)


async def test_tokens_are_refreshed_verified_and_signed_out(server: Server) -> None:
    ann = await server.sign_up()
    refreshed = await server.request("POST", "/api/user/token-refresh/", {"refresh_token": ann.refresh_token})
    assert set(refreshed.body) >= {"token", "access_token", "user", "permissions"}
    assert "refresh_token" not in refreshed.body
    assert (await server.request("POST", "/api/user/token-refresh/", {"refresh_token": ann.token})).status == 401
    verified = await server.request("POST", "/api/user/token-verify/", {"refresh_token": ann.refresh_token})
    assert verified.body["user"]["id"] == ann.id
    out = {"refresh_token": ann.refresh_token}
    assert (await server.request("POST", "/api/user/token-blacklist/", out)).status == 204
    assert (await server.request("POST", "/api/user/token-refresh/", out)).status == 401
    assert (await server.request("POST", "/api/user/token-blacklist/", out)).status == 400
    assert (await ann.request("GET", "/api/workspaces/")).status == 200


def forged(number: int, changes: dict[str, Any]) -> str:
    now = int(time.time())
    claims = {"token_type": "access", "exp": now + 600, "iat": now, "jti": "x", "user_id": number} | changes
    return jwt.encode({key: value for key, value in claims.items() if value is not None}, SECRET, algorithm="HS256")


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"exp": 1}, False),
        ({"iat": 2**33}, False),
        ({"token_type": "refresh"}, False),
        ({"user_id": "1"}, False),
        ({"user_id": True}, False),
        ({"jti": None}, False),
        ({"exp": None}, False),
    ],
)
async def test_only_whole_access_tokens_are_accepted(server: Server, changes: Any, accepted: bool) -> None:
    ann = await server.sign_up()
    ann.token = forged(ann.id, changes)
    assert (await ann.request("GET", "/api/workspaces/")).status == (200 if accepted else 401)
    socket = await server.websocket(f"/ws/core/?jwt_token={ann.token}")
    (welcome,) = await socket.expect("authentication")
    assert welcome["success"] is accepted
    if not accepted:
        await socket.until(lambda: socket.closed)
        assert socket.closed == (1000, "")


@pytest.mark.usefixtures("real_hashing")
async def test_a_new_password_ends_every_other_session(server: Server) -> None:
    ann = await server.sign_up()
    here, there = await ann.core_socket(), await ann.core_socket()
    change = {"old_password": PASSWORD, "new_password": PASSWORD + "X"}
    wrong = await ann.request("POST", "/api/user/change-password/", change | {"old_password": "wrong"})
    assert (wrong.status, wrong.body["error"]) == (400, "ERROR_INVALID_OLD_PASSWORD")
    await ann.ok("POST", "/api/user/change-password/", change, socket=here)
    await there.expect("force_disconnect")
    await there.until(lambda: there.closed)
    assert there.closed == (1000, "")
    assert (await ann.request("GET", "/api/workspaces/")).body["error"] == "ERROR_INVALID_ACCESS_TOKEN"
    login = {"email": ann.email, "password": PASSWORD + "X"}
    ann.token = (await server.request("POST", "/api/user/token-auth/", login)).body["access_token"]
    assert (await ann.request("GET", "/api/workspaces/")).status == 200, "a token of the same second counts"
    await ann.ok("PATCH", "/api/user/account/", {"language": "nl"})
    await here.expect("user_updated")
    table = await ann.table(await ann.database(await ann.workspace()))
    here.rest()
    await here.subscribe("table", table_id=table)  # the socket that survived is as good as before
