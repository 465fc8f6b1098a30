"""Which pages may open sockets and read answers: one setting, every door alike; and what a cookie is not good for."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.auth.origins import OriginRules
from server.settings import Settings, SettingsError
from tests.support.app import SECRET, Person, Server, running_server
from tests.support.core_2026 import newcomer
from tests.support.records import running_endpoint

PAGE, OTHER = "https://app.example.com", "https://other.example.com"
FOREIGN = ("https://evil.example", "null", f"{PAGE}.evil.example", f"{PAGE}:8443", "http://app.example.com", "", "x")
OPEN, CLOSED = "open", "closed"
ENGINE = "/socket.io/?EIO=4&transport="


@asynccontextmanager
async def server_for(tmp_path: Path, allowed: str) -> AsyncIterator[Server]:
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url, allowed_origins=allowed, signup_creates_workspace=False) as server:
        yield server


def headers(origin: str | None) -> dict[str, str]:
    return {} if origin is None else {"Origin": origin}


async def doors(who: Person, stream: str, origin: str | None) -> dict[str, str]:
    """What a page of this origin finds at each door, with a good token of its own."""
    server, token = who.server, {"Authorization": f"JWT {who.token}"}
    found = {path: await raw(server, f"{path}?jwt_token={who.token}", origin) for path in ("/ws/core/", "/ws/events/")}
    found["anonymous"] = await raw(server, "/ws/core/?jwt_token=anonymous", origin)
    for transport in ("websocket", "polling"):
        found[transport] = await engine(server, transport, origin)
    for method in ("GET", "HEAD"):
        async with server.http.request(method, server.url + stream, headers=token | headers(origin)) as answer:
            assert answer.status in (200, 403)
            found[f"{method} stream"] = OPEN if answer.status == 200 else CLOSED
    return found


async def raw(server: Server, path: str, origin: str | None) -> str:
    """A raw socket is always accepted; its first message is the verdict, and after a bad one a close frame follows."""
    socket = await server.websocket(path, headers=headers(origin))
    (verdict,) = await socket.expect("authentication")
    if verdict["success"]:
        await socket.close()
        return OPEN
    await socket.until(lambda: socket.closed, 1.0)
    assert socket.closed is not None and socket.closed[0] == 1000
    return CLOSED


async def engine(server: Server, transport: str, origin: str | None) -> str:
    if transport == "websocket":
        try:
            async with server.http.ws_connect(server.url + ENGINE + transport, headers=headers(origin)):
                return OPEN
        except aiohttp.WSServerHandshakeError as error:
            assert error.status == 400
            return CLOSED
    answer = await server.request("GET", ENGINE + transport, headers=headers(origin))
    assert answer.status in (200, 400)
    assert ("Access-Control-Allow-Origin" in answer.headers) is (answer.status == 200 and origin is not None)
    return OPEN if answer.status == 200 else CLOSED


@pytest.mark.parametrize("allowed", ["*", f"{OTHER}, {PAGE}/", f"*,{PAGE}", PAGE.upper()])
async def test_every_door_admits_the_same_pages(tmp_path: Path, allowed: str) -> None:
    async with server_for(tmp_path, allowed) as server:
        ann = await newcomer(server, "Ann")
        stream = f"/api/events/stream?room=workspace:{await ann.workspace()}"
        for origin in (PAGE, server.url, None):
            found = await doors(ann, stream, origin)
            assert found == dict.fromkeys(found, OPEN), origin
        for origin in FOREIGN:
            found = await doors(ann, stream, origin)
            assert found == dict.fromkeys(found, OPEN if "*" in allowed else CLOSED), origin


async def test_endpoints_admit_the_pages_of_their_project_whatever_the_setting_says(tmp_path: Path) -> None:
    async with server_for(tmp_path, OTHER) as server:
        endpoint = await running_endpoint(server, origins=[PAGE])
        for origin in (PAGE, None):
            await (await endpoint.listening(headers=headers(origin))).close()
        for origin in (*FOREIGN, OTHER, server.url):
            socket = await endpoint.socket(headers=headers(origin))
            await socket.until(lambda socket=socket: socket.closed, 1.0)
            assert socket.closed == (4000, "The origin is not allowed."), origin


@pytest.mark.parametrize(
    ("public", "origin", "own"),
    [
        ("", "https://rooms.example", True),
        ("", "http://rooms.example", True),
        ("", "https://rooms.example:8443", False),
        ("https://public.example/app", "https://public.example", True),
        ("https://public.example/app", "http://public.example", False),
        ("https://public.example", "https://rooms.example", False),
    ],
)
def test_the_servers_own_pages_are_those_of_its_public_address(public: str, origin: str, own: bool) -> None:
    rules = OriginRules(public, frozenset([PAGE]))
    assert rules.admits(origin, "rooms.example") is rules.may_use_cookie(origin, "rooms.example") is own


@pytest.mark.parametrize("value", ["null", "example.com", "https://", "ftp://a.example", f"{PAGE}/path", "https://a b"])
def test_a_setting_that_allows_no_origin_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^ALLOWED_ORIGINS: "):
        Settings.from_environ({"SECRET_KEY": SECRET, "ALLOWED_ORIGINS": f"{PAGE},{value}"})


# ---- cookies


async def acts(server: Server, ann: Person, origin: str | None, workspace: int) -> set[str]:
    """What a page may do with Ann's cookie alone."""
    given = headers(origin) | {"Cookie": f"access_token={ann.token}"}
    body = {"workspace_id": workspace, "name": "x"}
    done = {"write"} if (await server.request("POST", "/collections", body, headers=given)).status == 201 else set()
    for namespace in ("/core", "/events"):
        with_cookie = server.http.ws_connect(server.url + ENGINE + "websocket", headers=given)
        try:
            async with with_cookie as socket:
                await socket.receive_str()
                await socket.send_str(f"40{namespace},")
                if (await socket.receive_str()).startswith("40"):
                    done.add(namespace)
        except aiohttp.WSServerHandshakeError:
            pass
    return done


@pytest.mark.parametrize("allowed", ["*", PAGE])
async def test_a_cookie_never_authorises_a_foreign_page(tmp_path: Path, allowed: str) -> None:
    async with server_for(tmp_path, allowed) as server:
        ann = await newcomer(server, "Ann")
        workspace = await ann.workspace()
        everything = {"write", "/core", "/events"}
        assert await acts(server, ann, server.url, workspace) == everything
        assert await acts(server, ann, PAGE, workspace) == (everything if allowed == PAGE else set())
        for origin in (*FOREIGN, None):
            assert await acts(server, ann, origin, workspace) == set(), origin


# ---- what pages may read


def cors(answer: Any) -> dict[str, str]:
    """What an answer says to browsers and caches about origins."""
    names = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Vary")
    return {name.rpartition("-")[2]: answer.headers[name] for name in names if name in answer.headers}


ANY, VARIES = {"Origin": "*"}, {"Vary": "Origin"}
NAMED = {"Origin": PAGE, "Credentials": "true"} | VARIES
READ = [
    ("*", PAGE, ANY),
    ("*", "null", ANY),
    ("*", None, {}),
    (PAGE, PAGE, NAMED),
    (PAGE, None, VARIES),
    (f"*,{PAGE}", PAGE, NAMED),
    (f"*,{PAGE}", OTHER, ANY | VARIES),
    *[(PAGE, origin, VARIES) for origin in (OTHER, *FOREIGN)],
]
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,websocketid"}


def by_setting(rows: Iterable[tuple[str, str | None, dict[str, str]]]) -> dict[str, dict[str | None, dict[str, str]]]:
    found: dict[str, dict[str | None, dict[str, str]]] = {}
    for allowed, origin, expected in rows:
        found.setdefault(allowed, {})[origin] = expected
    return found


@pytest.mark.parametrize("allowed", by_setting(READ))
async def test_answers_say_which_pages_may_read_them(tmp_path: Path, allowed: str) -> None:
    async with server_for(tmp_path, allowed) as server:
        ann = await newcomer(server, "Ann")
        stream = f"/api/events/stream?room=workspace:{await ann.workspace()}"
        for origin, expected in by_setting(READ)[allowed].items():
            given = headers(origin)
            for path, status in (("/api/workspaces/", 200), ("/api/x/", 404), ("/workspaces", 200), ("/healthz", 200)):
                answer = await ann.request("GET", path, headers=given)
                assert (answer.status, cors(answer)) == (status, expected), (path, origin)
            refused = await server.request("POST", "/api/workspaces/", {"name": "x"}, headers=given)
            assert (refused.status, cors(refused)) == (401, expected), origin
            head = await ann.request("HEAD", stream, headers=given)
            assert cors(head) == expected, origin
            preflight = await server.request("OPTIONS", "/api/workspaces/", headers=given | ASKED)
            assert (preflight.status, cors(preflight)) == (200, expected), origin
            assert "websocketid" in preflight.headers["Access-Control-Allow-Headers"]
            assert preflight.headers["Access-Control-Max-Age"] == "86400"


async def test_polls_say_which_pages_may_read_them(tmp_path: Path) -> None:
    async with server_for(tmp_path, PAGE) as server:
        for origin, status in ((PAGE, 200), (OTHER, 400)):
            for method in ("GET", "OPTIONS"):
                answer = await server.request(method, ENGINE + "polling", headers=headers(origin) | ASKED)
                assert answer.status == status
                assert cors(answer).get("Origin") == (PAGE if status == 200 else None)
                assert cors(answer)["Vary"] == "Origin"
