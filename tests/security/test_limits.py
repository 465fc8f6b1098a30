"""Each limit refuses in the dialect of whoever met it, counts that, and lets the client come back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.parts import REGISTRY, WEBSOCKETS
from tests.support.app import PASSWORD, Person, Server, running_server
from tests.support.core_2026 import arrive, newcomer
from tests.support.engineio import until
from tests.support.limits import watch_limits
from tests.support.socketio_client import Refused, SessionClient

FROM = {"X-Forwarded-For": "203.0.113.5"}
ELSEWHERE = {"X-Forwarded-For": "203.0.113.6"}
Close = Callable[[], Awaitable[Any]]


async def open_raw(path: str, who: Person) -> Close | tuple[int | None, str]:
    """Opens a raw socket: how to close it, or how the server did."""
    socket = await who.server.websocket(f"{path}?jwt_token={who.token}")
    await socket.until(lambda: socket.messages or socket.closed)
    return socket.close if socket.messages else socket.closed or (None, "")


async def open_core(who: Person) -> Any:
    return await open_raw("/ws/core/", who)


async def open_items(who: Person) -> Any:
    return await open_raw("/ws/events/", who)


async def open_namespace(namespace: str, who: Person, **auth: Any) -> Any:
    url = f"{who.server.url}/socket.io/?EIO=4&transport=websocket"
    socket = await who.server.http.ws_connect(url)
    await socket.receive_str()
    await socket.send_str(f"40{namespace}," + json.dumps({"token": who.token} | auth))
    answer = await socket.receive_str()
    if answer.startswith("40"):
        return socket.close
    await socket.close()
    return answer


async def open_core_namespace(who: Person) -> Any:
    return await open_namespace("/core", who)


async def open_events_namespace(who: Person) -> Any:
    return await open_namespace("/events", who)


async def open_stream(who: Person) -> Any:
    workspace = (await who.ok("GET", "/api/workspaces/"))[0]["id"]
    response = await who.server.http.get(
        f"{who.server.url}/api/events/stream?room=workspace:{workspace}",
        headers={"Authorization": f"JWT {who.token}"},
    )
    if response.status == 200:
        await response.content.readline()

        async def close() -> None:
            response.close()

        return close
    return response.status, json.loads(await response.read())["error"], response.headers["Retry-After"]


CROWDED = (4429, "too many connections")
REFUSALS: dict[Callable[[Person], Any], Any] = {
    open_core: CROWDED,
    open_items: CROWDED,
    open_core_namespace: '44/core,{"message":"Too many connections. Come back later."}',
    open_events_namespace: '44/events,{"message":"Too many connections. Come back later."}',
    open_stream: (429, "ERROR_TOO_MANY_CONNECTIONS", "1"),
}


async def test_a_user_has_so_many_connections_of_any_kind_and_no_more(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", max_connections_per_user=1) as server:
        for open_one, refusal in REFUSALS.items():
            ann, bob = await newcomer(server, "Ann"), await newcomer(server, "Bob")
            await ann.workspace()
            await bob.workspace()
            close = await open_one(ann)
            assert callable(close), open_one
            assert await open_one(ann) == refusal
            others = await open_one(bob)
            await close()
            await until(lambda ann=ann: ann.id not in server.app[REGISTRY].users)
            again = await open_one(ann)
            await again()
            await others()
    assert limits_met() == {"connections_per_user": len(REFUSALS)}


async def test_those_who_come_at_once_to_a_session_of_their_own_are_no_more_either(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", max_connections_per_user=2) as server:
        ann = await newcomer(server, "Ann")
        came = await asyncio.gather(*(open_namespace("/core", ann, recovery=True) for _ in range(5)))
        refused = [answer for answer in came if not callable(answer)]
        assert refused == [REFUSALS[open_core_namespace]] * 3
        assert len(server.app[REGISTRY].users[ann.id]) == 2


async def test_those_who_come_back_at_once_are_no_more(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", max_connections_per_user=2) as server:
        ann = await newcomer(server, "Ann")
        clients = [SessionClient(server.url, "/core", ann.token) for _ in range(4)]
        for client in clients:
            await client.connect()
            await client.drop()
            await until(lambda: ann.id not in server.app[REGISTRY].users)
        came = await asyncio.gather(*(client.connect() for client in clients), return_exceptions=True)
        assert sum(isinstance(one, Refused) for one in came) == 2
        await until(lambda: len(server.app[REGISTRY].users[ann.id]) == 2)
        for client in clients:
            await client.end()
        await until(lambda: ann.id not in server.app[REGISTRY].users)
        again = await SessionClient(server.url, "/core", ann.token).connect()
        await again.end()


async def connect(server: Server, path: str, headers: dict[str, str]) -> aiohttp.ClientWebSocketResponse:
    return await server.http.ws_connect(server.url + path, headers=headers)


PATHS = ["/ws/core/", "/ws/events/", "/api/1/ce/none", "/socket.io/?EIO=4&transport=websocket"]


async def test_an_address_has_so_many_connections_on_any_path(tmp_path: Path) -> None:
    limits_met = watch_limits()
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, trusted_proxies=1, max_connections_per_address=1) as server:
        ann = await newcomer(server, "Ann")
        held = await connect(server, f"/ws/core/?jwt_token={ann.token}", FROM)
        for path in PATHS:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await connect(server, path, FROM)
            assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "1")
            await (await connect(server, path, ELSEWHERE)).close()
            await until(lambda: len(server.app[WEBSOCKETS]) == 1)
        polls = await server.request("GET", "/socket.io/?EIO=4&transport=polling", headers=FROM)
        assert polls.status == 429
        await held.close()
        await until(lambda: not server.app[WEBSOCKETS].limits.addresses)
        await (await connect(server, "/ws/core/", FROM)).close()
        await until(lambda: not server.app[WEBSOCKETS].limits.addresses)
    assert limits_met() == {"connections_per_address": len(PATHS) + 1}


POLLING = "/socket.io/?EIO=4&transport=polling"


async def open_polling(server: Server, headers: dict[str, str]) -> str:
    """The path with the id of a connection that begins by polling."""
    answer = await server.http.get(server.url + POLLING, headers=headers)
    assert answer.status == 200
    return f"/socket.io/?EIO=4&sid={json.loads((await answer.text())[1:])['sid']}&transport="


async def test_a_connection_that_polls_counts_for_its_address_until_it_ends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, trusted_proxies=1, max_connections_per_address=1) as server:
        addresses = server.app[WEBSOCKETS].limits.addresses
        path = await open_polling(server, FROM)
        assert (await server.http.get(server.url + POLLING, headers=FROM)).status == 429
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await connect(server, PATHS[0], FROM)
        closing = await server.http.post(f"{server.url}{path}polling", data="1", headers=FROM)
        assert (closing.status, addresses) == (200, {})
        await open_polling(server, FROM)


async def test_an_upgrade_needs_no_second_place(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, trusted_proxies=1, max_connections_per_address=1) as server:
        addresses = server.app[WEBSOCKETS].limits.addresses
        path = await open_polling(server, FROM)
        given_up = await connect(server, f"{path}websocket", FROM)
        await given_up.close()
        await until(lambda: not len(server.app[WEBSOCKETS]))
        assert addresses == {FROM["X-Forwarded-For"]: 1}
        socket = await connect(server, f"{path}websocket", FROM)
        await socket.send_str("2probe")
        assert await socket.receive_str() == "3probe"
        await socket.send_str("5")
        await socket.send_str("40/core,{}")
        assert (await socket.receive_str()).startswith("44/core,")
        assert addresses == {FROM["X-Forwarded-For"]: 1}
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await connect(server, PATHS[-1], FROM)
        await socket.close()
        await until(lambda: not addresses)


async def test_a_stream_counts_for_its_address_as_long_as_it_lasts(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, trusted_proxies=1, max_connections_per_address=1) as server:
        ann = await newcomer(server, "Ann")
        path = f"{server.url}/api/events/stream?room=workspace:{await ann.workspace()}"
        headers = FROM | {"Authorization": f"JWT {ann.token}"}
        stream = await server.http.get(path, headers=headers)
        assert stream.status == 200
        assert (await server.request("GET", path.removeprefix(server.url), headers=headers)).status == 429
        stream.close()
        await until(lambda: not server.app[WEBSOCKETS].limits.addresses)


async def test_the_rooms_of_a_stream_and_the_pages_of_a_socket_are_limited(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", max_pages=2) as server:
        ann = await newcomer(server, "Ann")
        database = await ann.database(await ann.workspace())
        tables = [await ann.table(database, f"Table {number}") for number in range(3)]
        socket = await arrive(ann)
        for table in [*tables, tables[0]]:
            await socket.send({"page": "table", "table_id": table})
        await socket.until(lambda: len([m for m in socket.messages if m["type"].startswith("page_")]) == 4)
        told = [m["type"] for m in socket.messages if m["type"].startswith("page_")]
        assert told == ["page_add", "page_add", "page_refused", "page_add"]
        stream = await ann.request("GET", "/api/events/" + "?" + "&".join(["room=workspace:1"] * 3))
        assert (stream.status, stream.body["error"]) == (400, "ERROR_QUERY_PARAMETER_VALIDATION")
    assert limits_met() == {"pages": 2}


async def log_in(server: Server, path: str, email: str, password: str, headers: dict[str, str]) -> Any:
    answer = await server.request("POST", path, {"email": email, "password": password}, headers=headers)
    wait = int(answer.headers.get("Retry-After", 0))
    return answer.status, answer.body if answer.status == 429 else wait, wait


DATABASE, ITEMS = "/api/user/token-auth/", "/authenticate/user"
TEXT = "Too many attempts. Come back later."
REFUSED = {DATABASE: {"error": "ERROR_TOO_MANY_ATTEMPTS", "detail": TEXT}, ITEMS: {"message": TEXT}}


@pytest.mark.parametrize("path", [DATABASE, ITEMS])
async def test_guessing_a_password_ends_after_some_attempts(path: str, tmp_path: Path) -> None:
    limits_met = watch_limits()
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, logins_per_account=3) as server:
        ann, bob = await newcomer(server, "Ann"), await newcomer(server, "Bob")
        assert [(await log_in(server, path, bob.email, PASSWORD, {}))[0] for _ in range(4)] == [200] * 4
        tried = await asyncio.gather(*(log_in(server, path, ann.email.upper(), "wrong", {}) for _ in range(5)))
        assert sorted(status for status, _, _ in tried) == [401, 401, 401, 429, 429]
        status, body, wait = await log_in(server, path, ann.email, PASSWORD, {})
        assert (status, body) == (429, REFUSED[path])
        assert 0 < wait <= 200
        assert (await log_in(server, path, bob.email, PASSWORD, {}))[0] == 200
    assert limits_met() == {"logins_per_account": 3}


async def test_an_address_may_guess_only_so_often_whomever_it_guesses(tmp_path: Path) -> None:
    limits_met = watch_limits()
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, logins_per_address=2, trusted_proxies=1) as server:
        ann = await newcomer(server, "Ann")
        for number, status in enumerate([401, 401, 429]):
            assert (await log_in(server, DATABASE, f"nobody-{number}@example.com", "wrong", FROM))[0] == status
        body = {"name": "Eve", "email": "eve@example.com", "password": PASSWORD}
        assert (await server.request("POST", "/api/user/", body, headers=FROM)).status == 429
        assert (await log_in(server, DATABASE, ann.email, PASSWORD, ELSEWHERE))[0] == 200
    assert limits_met() == {"logins_per_address": 2}


async def test_the_old_password_cannot_be_guessed_when_it_is_changed(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", logins_per_account=1) as server:
        ann = await newcomer(server, "Ann")
        body = {"old_password": "wrong", "new_password": "another-password-1"}
        tried = [await ann.request("POST", "/api/user/change-password/", body) for _ in range(2)]
        assert [answer.status for answer in tried] == [400, 429]


async def test_a_body_has_to_arrive_in_time_and_to_be_small(tmp_path: Path) -> None:
    limits_met = watch_limits()
    url = f"sqlite:///{tmp_path}/a"
    async with running_server(database_url=url, body_timeout=0.05, max_body_size=1024) as server:
        ann = await newcomer(server, "Ann")
        large = await ann.request("POST", "/api/workspaces/", {"name": "x" * 1024})
        assert (large.status, large.body["error"]) == (413, "ERROR_BODY_TOO_LARGE")
        port = server.url.rpartition(":")[2]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        head = f"POST /api/workspaces/ HTTP/1.1\r\nHost: x\r\nAuthorization: JWT {ann.token}\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 20\r\n\r\n{{".encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"Connection: close" in answer
        writer.close()
        await writer.wait_closed()
    assert limits_met() == {"body_size": 1, "body_time": 1}
