"""Tokens that are none of ours, or not what they say, are refused: everywhere, and all in the same words."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest

from server.auth import tokens
from server.auth.tokens import MAX_TOKEN, Tokens, key_id
from server.errors import BAD_SIGNATURE, INVALID_ACCESS_TOKEN, INVALID_REFRESH_TOKEN, Refused
from server.rest.context import TOKENS
from server.settings import Settings, SettingsError
from tests.support.app import PASSWORD, SECRET, Answer, Person, RawSocket, Server, running_server
from tests.support.core_2026 import Grid, arrive, ask_replay, kinds, make_grid, newcomer
from tests.support.socketio_client import Refused as ConnectError
from tests.support.socketio_client import session_client

OTHER = "another-key-for-tests-that-is-long-enough"
HEADER = {"alg": "HS256", "kid": key_id(SECRET), "typ": "JWT"}
NOW = int(time.time())
CLAIMS = {"token_type": "access", "exp": NOW + 86400, "iat": NOW, "jti": "a", "user_id": 1}
HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forge(header: Any = HEADER, claims: Any = CLAIMS, *, key: str = SECRET, alg: str = "HS256") -> str:
    """A token made by hand, which no library corrects; signed as `alg` has it, whatever the header says."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.digest(key.encode(), signed.encode(), HASHES[alg]))}"


def headed(**changes: Any) -> str:
    return forge({name: value for name, value in (HEADER | changes).items() if value is not None})


def claiming(**changes: Any) -> str:
    return forge(claims=CLAIMS | changes)


def lacking(name: str) -> str:
    return forge(claims={key: value for key, value in CLAIMS.items() if key != name})


def unsigned(alg: str) -> str:
    return f"{part(HEADER | {'alg': alg})}.{part(CLAIMS)}."


GOOD = forge()
CERTIFICATE = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
REFUSED = {
    "alg none": unsigned("none"),
    "alg none, spelt otherwise": unsigned("nOnE"),
    "no signature": GOOD.rpartition(".")[0] + ".",
    "another algorithm of the same key": forge(HEADER | {"alg": "HS512"}, alg="HS512"),
    "algorithm confusion: a public key": headed(alg="RS256"),
    "algorithm confusion: a curve": headed(alg="ES256"),
    "algorithm confusion: the key is what anybody knows": forge(HEADER | {"alg": "RS256"}, key=CERTIFICATE),
    "no alg": headed(alg=None),
    "alg is a list": headed(alg=["HS256"]),
    "unknown crit": headed(crit=["exp"]),
    "empty crit": headed(crit=[]),
    "crit b64": headed(crit=["b64"], b64=False),
    "b64 alone": headed(b64=False),
    "a key of its own": headed(jwk={"kty": "oct", "k": part(SECRET.encode())}),
    "the address of a key": headed(jku="https://evil.example/keys"),
    "a certificate": headed(x5c=["MIIB"]),
    "unknown kid": headed(kid="nobody"),
    "kid is a path": headed(kid="../../../../dev/null"),
    "kid is SQL": headed(kid="' OR 1=1 --"),
    "kid is a list": headed(kid=[key_id(SECRET)]),
    "no typ": headed(typ=None),
    "another typ": headed(typ="at+jwt"),
    "header is a list": forge([HEADER]),
    "header without end": forge(b"[" * 1000),
    "header twice": f"{part(HEADER)}.{GOOD}",
    "another key": forge(key=OTHER),
    "the empty key": forge(key=""),
    "claims are a list": forge(claims=[CLAIMS]),
    "claims are no JSON": forge(claims=b"{"),
    "future iat": claiming(iat=NOW + 3600),
    "expired": claiming(iat=NOW - 90, exp=NOW - 60),
    "not yet": claiming(nbf=NOW + 3600),
    "exp is text": claiming(exp=str(NOW + 60)),
    "exp is a fraction": claiming(exp=NOW + 60.5),
    "exp without end": claiming(exp=float("inf")),
    "exp is null": claiming(exp=None),
    "iat is text": claiming(iat=str(NOW)),
    "iat is true": claiming(iat=True),
    "jti is a number": claiming(jti=7),
    "user is text": claiming(user_id="1"),
    "user is true": claiming(user_id=True),
    "user is a list": claiming(user_id=[1]),
    "user is null": claiming(user_id=None),
    "another kind": claiming(token_type="session"),
    "kind is a list": claiming(token_type=["access"]),
    "for another audience": claiming(aud="somebody"),
    **{f"no {name}": lacking(name) for name in CLAIMS},
    "16 kB, well signed": claiming(more="x" * 16_000),
    "16 kB of dots": "." * 16_000,
    "nothing": "",
    "one part": "garbage",
    "two parts": "a.b",
    "not ASCII": "é.é.é",
    "half a character": "\ud800.a.b",
    "NUL": "\0",
}


@pytest.fixture
def ours() -> Tokens:
    return Tokens(SECRET, 60, 600)


def refusal(ours: Tokens, token: str) -> str:
    with pytest.raises(Refused) as caught:
        ours.read_access(token)
    assert caught.value.kind is INVALID_ACCESS_TOKEN and caught.value.__cause__ is None
    return str(caught.value)


OTHERWISE = "otherwise"
SPELLINGS = {"as ours": HEADER, OTHERWISE: dict(sorted(HEADER.items(), reverse=True))}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_is_refused_here_differs_from_a_good_token_in_one_thing(ours: Tokens, spelling: str) -> None:
    good = forge(SPELLINGS[spelling])
    assert (good.partition(".")[0] == ours.access(1).partition(".")[0]) is (spelling == "as ours")
    claims = ours.read_access(good)
    assert (claims.user_id, claims.issued_at, claims.expires_at, claims.jti) == (1, NOW, NOW + 86400, "a")


def spelt_otherwise(token: str) -> str:
    """A well signed token whose header says the same in other words; others as they are."""
    header, body, signature = (*token.split("."), "", "")[:3]
    if header != part(HEADER) or not signature or part(mac_of(f"{header}.{body}")) != signature:
        return token
    signed = f"{part(SPELLINGS[OTHERWISE])}.{body}"
    return f"{signed}.{part(mac_of(signed))}"


def mac_of(signed: str) -> bytes:
    return hmac.digest(SECRET.encode(), signed.encode(), "sha256")


@pytest.mark.parametrize("name", REFUSED)
def test_a_token_that_is_wrong_in_one_thing_is_refused(ours: Tokens, name: str) -> None:
    for token in {REFUSED[name], spelt_otherwise(REFUSED[name])}:
        assert refusal(ours, token) == str(Refused(INVALID_ACCESS_TOKEN))


def test_neither_kind_of_token_serves_as_the_other(ours: Tokens) -> None:
    assert refusal(ours, ours.refresh(1, "ann@example.com", True))
    assert refusal(ours, ours.client(1)) and ours.read_access(ours.client(1), clients=True).user_id == 1
    with pytest.raises(Refused) as caught:
        ours.read_refresh(ours.access(1))
    assert caught.value.kind is INVALID_REFRESH_TOKEN


def test_a_long_token_is_refused_by_its_length(ours: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "jwt", None)
    for token in ("x" * (MAX_TOKEN + 1), "." * 16_000, "a" * 10_000_000):
        assert refusal(ours, token)


def test_the_longest_token_of_ours_is_not_too_long(ours: Tokens) -> None:
    longest = ours.refresh(2**31 - 1, "a" * 64 + "@" + "😀" * 189, True)
    assert ours.read_refresh(longest).user_id == 2**31 - 1 and len(longest) < MAX_TOKEN


# ---- everywhere


@pytest.fixture
async def grid(tmp_path: Path) -> AsyncIterator[Grid]:
    async with running_server(database_url=f"sqlite:///{tmp_path}/test.sqlite3") as server:
        yield await make_grid(server)


def shape(answer: Answer) -> Any:
    """All that a client sees of an answer, but for the name and the time of the request."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in ("date", "x-request-id")}
    return answer.status, answer.body, headers


async def over_http(server: Server, token: str) -> dict[str, Any]:
    """What the token gets at every door of HTTP."""
    jar, body, cookie = {"Authorization": f"JWT {token}"}, {"refresh_token": token}, {"Cookie": f"access_token={token}"}
    doors: dict[str, tuple[str, str, Any, dict[str, str]]] = {
        "database": ("GET", "/api/workspaces/", None, jar),
        "changes": ("POST", "/api/workspaces/", {"name": "x"}, jar),
        "stream": ("GET", "/api/events/stream?room=workspace:1", None, jar),
        "items": ("GET", "/workspaces", None, {"Authorization": token}),
        "cookie": ("GET", "/workspaces", None, cookie),
        "refresh": ("POST", "/api/user/token-refresh/", body, {}),
        "verify": ("POST", "/api/user/token-verify/", body, {}),
        "sign out": ("POST", "/api/user/token-blacklist/", body, {}),
    }
    return {
        door: shape(await server.request(method, path, given, headers=headers))
        for door, (method, path, given, headers) in doors.items()
    }


async def over_sockets(server: Server, token: str) -> dict[str, Any]:
    """What it gets at every door of the sockets."""
    got: dict[str, Any] = {}
    for path in ("/ws/core/", "/ws/events/"):
        socket = await server.websocket(f"{path}?jwt_token={token}")
        (verdict,) = await socket.expect("authentication")
        await socket.until(lambda socket=socket: socket.closed)
        got[path] = verdict | {"web_socket_id": None}, socket.closed
    for namespace in ("/core", "/events"):
        with pytest.raises(ConnectError) as caught:
            async with session_client(server.url, namespace, token):
                pass
        got[namespace] = caught.value.args
    return got


async def test_every_refusal_has_the_same_shape_at_every_door(grid: Grid) -> None:
    wrong = ("alg none", "unknown crit", "another key", "future iat", "expired", "no exp", "no typ", "unknown kid")
    given = [grid.ann.token + "x", *[REFUSED[name] for name in wrong], "garbage", "x" * (MAX_TOKEN + 1)]
    told = [await over_http(grid.server, token) | await over_sockets(grid.server, token) for token in given]
    for answers in told[1:]:
        assert answers == told[0]
    assert {door: answer[0] for door, answer in told[0].items() if door[0] != "/"} == dict.fromkeys(
        ("database", "changes", "stream", "items", "cookie", "refresh", "verify", "sign out"), 401
    )
    verdict = {"type": "authentication", "success": False, "web_socket_id": None}
    assert told[0]["/ws/core/"] == (verdict, (1000, ""))
    assert told[0]["/ws/events/"] == (verdict, (4401, "token refused"))
    assert told[0]["/core"] == told[0]["/events"] == ({"message": "Unauthorized"},)


async def test_16_kb_of_token_cost_the_client_only(grid: Grid) -> None:
    server, token = grid.server, REFUSED["16 kB, well signed"]
    for namespace in ("/core", "/events"):
        with pytest.raises(ConnectError, match="Unauthorized"):
            async with session_client(server.url, namespace, token):
                pass
    answer = await server.request("POST", "/api/user/token-refresh/", {"refresh_token": token})
    assert (answer.status, answer.body["error"]) == (401, "ERROR_INVALID_REFRESH_TOKEN")
    assert (await grid.ann.request("GET", "/workspaces", headers={"Authorization": token})).status in (400, 431)
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await server.websocket(f"/ws/core/?jwt_token={token}")
    socket = await arrive(grid.bob)
    await socket.send({"type": "refresh", "jwt_token": token})
    (verdict,) = await socket.expect("authentication")
    assert not verdict["success"] and socket.closed is None


# ---- another user's web_socket_id


async def live(who: Person, web_socket_id: str | None = None) -> RawSocket:
    socket = await arrive(who, web_socket_id)
    await ask_replay(socket, -1)
    await socket.expect("replay_events_result")
    return socket


async def test_who_names_anothers_socket_silences_nobody(grid: Grid) -> None:
    ann, bob = await live(grid.ann), await live(grid.bob)
    await grid.bob.ok("PATCH", "/api/user/account/", {"first_name": "Robert"}, socket=ann)
    for socket in (ann, bob):
        assert kinds(await grid.heard(socket)) == ["user_updated"]


async def test_who_takes_anothers_id_for_his_socket_takes_nothing_else(grid: Grid) -> None:
    ann = await live(grid.ann)
    thief = await live(grid.bob, ann.id)
    await ann.subscribe("table", table_id=grid.table)
    await grid.add_row(socket=ann)
    assert "rows_created" not in kinds(await grid.heard(ann)), "she is left out as before"
    assert "rows_created" not in kinds(await grid.heard(thief)), "he is not on her page"
    change = {"old_password": PASSWORD, "new_password": PASSWORD + "X"}
    await grid.ann.ok("POST", "/api/user/change-password/", change, socket=thief)
    assert await grid.heard(ann) == [] and ann.closed is None
    assert await grid.heard(thief) == [] and thief.closed is None


async def test_who_names_anothers_socket_keeps_none_of_his_own(grid: Grid) -> None:
    ann, bob = await live(grid.ann), await live(grid.bob)
    change = {"old_password": PASSWORD, "new_password": PASSWORD + "X"}
    await grid.bob.ok("POST", "/api/user/change-password/", change, socket=ann)
    await bob.until(lambda: bob.closed)
    assert await grid.heard(ann) == [] and ann.closed is None


# ---- rotation


def test_tokens_and_links_of_a_key_count_as_long_as_it_is_in_the_ring() -> None:
    before, during, after = Tokens(SECRET, 60, 600), Tokens(OTHER, 60, 600, [SECRET]), Tokens(OTHER, 60, 600)
    old, link = before.refresh(1, "ann@example.com", True), before.sign("invitation", 7)
    assert during.read_refresh(old).user_id == 1 and during.unsign("invitation", link) == 7
    new, fresh = during.access(2), during.sign("invitation", 8)
    assert jwt.get_unverified_header(new)["kid"] == key_id(OTHER) != key_id(SECRET)
    assert after.read_access(new).user_id == 2 and after.unsign("invitation", fresh) == 8
    for ring, token, text in ((after, old, link), (before, new, fresh)):
        with pytest.raises(Refused):
            ring.read_refresh(token)
        assert refusal(ring, token)
        with pytest.raises(Refused) as caught:
            ring.unsign("invitation", text)
        assert caught.value.kind is BAD_SIGNATURE


def test_the_next_key_is_known_before_it_signs() -> None:
    rolled, waiting = Tokens(OTHER, 60, 600, [SECRET]), Tokens(SECRET, 60, 600, [OTHER])
    assert waiting.read_access(rolled.access(1)).user_id == rolled.read_access(waiting.access(1)).user_id == 1


def test_only_the_key_that_a_token_names_is_tried() -> None:
    ring = Tokens(OTHER, 60, 600, [SECRET])
    assert ring.read_access(forge()).user_id == 1
    assert refusal(ring, forge(HEADER | {"kid": key_id(OTHER)}))
    nameless = {name: value for name, value in HEADER.items() if name != "kid"}
    assert ring.read_access(forge(nameless, key=OTHER)).user_id == 1
    assert refusal(ring, forge(nameless)), "what names no key is of the key that signs"


@pytest.mark.parametrize("text", ["", ":", "a:b", "::::", "\ud800:\ud800", "é:é", "x" * 10_000])
def test_a_link_that_is_none_of_ours_is_refused(ours: Tokens, text: str) -> None:
    whole = ours.sign("invitation", 7)
    for wrong in (text, whole + text + "x", text + whole if text else whole[1:]):
        with pytest.raises(Refused) as caught:
            ours.unsign("invitation", wrong)
        assert caught.value.kind is BAD_SIGNATURE
    with pytest.raises(Refused):
        ours.unsign("session", whole)


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_FALLBACKS"])
@pytest.mark.parametrize("value", ["short", "x" * 31, f"{OTHER},short"])
def test_a_given_key_has_32_bytes_at_least(name: str, value: str) -> None:
    if name == "SECRET_KEY" and "," in value:
        assert Settings.from_environ({name: value}).secret_key == value, "one key, whatever is in it"
        return
    with pytest.raises(SettingsError, match=f"^{name}: .* 32 bytes") as caught:
        Settings.from_environ({"SECRET_KEY": SECRET} | {name: value})
    assert value not in str(caught.value)


def test_further_keys_are_separated_by_commas() -> None:
    given = {"SECRET_KEY": "é" * 16, "SECRET_KEY_FALLBACKS": f" {SECRET} ,{OTHER},"}
    assert Settings.from_environ(given).fallback_keys == [SECRET, OTHER]


async def test_a_server_serves_tokens_of_both_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url) as server:
        ann = await newcomer(server, "Ann")
        invitation = server.app[TOKENS].sign("workspace-invitation", 10**6)
    async with running_server(database_url=url, secret_key=OTHER, secret_key_fallbacks=SECRET) as server:
        assert (await replace(ann, server=server).request("GET", "/api/workspaces/")).status == 200
        refreshed = await server.request("POST", "/api/user/token-refresh/", {"refresh_token": ann.refresh_token})
        assert jwt.get_unverified_header(refreshed.body["access_token"])["kid"] == key_id(OTHER)
        answer = await server.request("GET", f"/api/workspaces/invitations/token/{invitation}/")
        assert answer.body["error"] == "ERROR_GROUP_INVITATION_DOES_NOT_EXIST", "the link is read"
