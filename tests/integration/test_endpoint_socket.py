"""An endpoint's URL as a WebSocket, and the origins that HTTP and sockets admit alike."""

import asyncio
from typing import Any

import pytest

from tests.support.app import Server
from tests.support.records import RunningEndpoint, running_endpoint

PAGE, OTHER = "https://app.example.com", "https://evil.example"


async def test_every_socket_hears_every_change_once_and_in_order(endpoint: RunningEndpoint) -> None:
    sockets = [await endpoint.listening() for _ in range(3)]
    numbers = await asyncio.gather(*(endpoint.ok("POST", number) for number in range(20)))
    for record in numbers[:5]:
        await endpoint.ok("PUT", {"was": record["data"]}, uniqueId=record["uniqueId"])
        await endpoint.ok("DELETE", uniqueId=record["uniqueId"])
    stored = await endpoint.ok("GET")
    for socket in sockets:
        await socket.until(lambda socket=socket: len(socket.messages) >= 30)
        told: dict[str, Any] = {}
        for message in socket.messages:
            told[message["record"]["uniqueId"]] = message["record"]
            if message["type"] == "DELETE":
                del told[message["record"]["uniqueId"]]
        assert list(told.values()) == stored
        assert socket.messages == sockets[0].messages and len(socket.messages) == 30


async def test_a_socket_hears_only_its_endpoint(endpoint: RunningEndpoint) -> None:
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    other = await endpoint.manage("POST", path, {"name": "shop/orders-2"})
    socket = await endpoint.listening()
    await endpoint.ok("POST", "there", name=other["name"])
    made = await endpoint.ok("POST", "here")
    assert await socket.next() == {"type": "POST", "record": made}


@pytest.mark.parametrize(
    ("reason", "request_", "settings"),
    [
        ("The endpoint is invalid.", {"name": "shop--orders"}, {}),
        ("The endpoint is invalid.", {"name": "shop/parcels"}, {}),
        ("The API key is missing.", {"key": None}, {}),
        ("The API key is invalid.", {"key": "0" * 32}, {}),
        ("The origin is not allowed.", {"headers": {"Origin": OTHER}}, {"origins": [PAGE]}),
        ("The origin is not allowed.", {}, {"deny_no_origin": True}),
        ("The origin is not allowed.", {"masterKey": "master"}, {"deny_no_origin": True}),
    ],
)
async def test_refused_sockets_are_told_why(server: Server, reason: str, request_: Any, settings: Any) -> None:
    endpoint = await running_endpoint(server, **settings)
    if "masterKey" in request_:
        request_ = {"masterKey": endpoint.project["master_key"]}
    socket = await endpoint.socket(**request_)
    await socket.until(lambda: socket.closed)
    assert (socket.closed, socket.messages) == ((4000, reason), [])
    assert endpoint.watchers() == 0
    if "masterKey" not in request_:
        answer = await endpoint.call("GET", **request_)
        assert answer.body["error"]["message"] == reason


async def test_what_a_client_says_is_ignored_and_its_leaving_noticed(endpoint: RunningEndpoint) -> None:
    socket, other = await endpoint.listening(), await endpoint.listening()
    await socket.send("hello")
    await socket.connection.send_bytes(b"\x00")
    await socket.send({"page": "table"})
    await other.close()
    while endpoint.watchers() > 1:
        await endpoint.ok("POST", "are you there?")
    made = await endpoint.ok("POST", 1)
    await socket.until(lambda: socket.messages and socket.messages[-1] == {"type": "POST", "record": made})
    assert socket.closed is None


async def test_a_frame_above_the_limit_ends_the_socket(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    await socket.send("x" * (endpoint.server.settings.max_frame_size + 1))
    await socket.until(lambda: socket.closed)
    assert socket.closed is not None and socket.closed[0] == 1009
    assert endpoint.watchers() == 0


async def test_a_socket_returns_after_a_change_with_the_new_key(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    project = await endpoint.manage("POST", f"/api/projects/{endpoint.project['id']}/rotate-key/")
    await socket.until(lambda: socket.closed)
    stale = await endpoint.socket()
    await stale.until(lambda: stale.closed)
    assert stale.closed == (4000, "The API key is invalid.")
    endpoint.project = project
    back = await endpoint.listening()
    made = await endpoint.ok("POST", 1)
    assert await back.next() == {"type": "POST", "record": made}


PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}


@pytest.mark.parametrize(
    ("settings", "origin", "allowed", "credentials", "vary"),
    [
        ({}, OTHER, "*", None, None),
        ({"deny_no_origin": True}, OTHER, "*", None, None),
        ({"origins": [PAGE]}, PAGE, PAGE, "true", "Origin"),
        ({"origins": [PAGE], "deny_no_origin": True}, PAGE, PAGE, "true", "Origin"),
    ],
)
async def test_pages_that_are_served(
    server: Server, settings: Any, origin: str, allowed: str, credentials: str | None, vary: str | None
) -> None:
    endpoint = await running_endpoint(server, **settings)
    ask = await endpoint.call("OPTIONS", headers={"Origin": origin} | PREFLIGHT, key=None)
    assert ask.status == 204 and "PUT" in ask.headers["Access-Control-Allow-Methods"]
    assert "content-type" in ask.headers["Access-Control-Allow-Headers"]
    answer = await endpoint.call("GET", headers={"Origin": origin})
    assert answer.status == 200
    for each in (ask, answer):
        assert each.headers["Access-Control-Allow-Origin"] == allowed
        assert each.headers.get("Access-Control-Allow-Credentials") == credentials
        assert each.headers.get("Vary") == vary


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
async def test_a_page_that_is_refused_gets_no_credentials(server: Server, method: str) -> None:
    endpoint = await running_endpoint(server, origins=[PAGE])
    answer = await endpoint.call(method, 1, headers={"Origin": OTHER} | PREFLIGHT)
    assert (answer.status, answer.body["error"]["message"]) == (403, "The origin is not allowed.")
    assert answer.headers.get("Access-Control-Allow-Origin") not in (OTHER, PAGE)
    assert "Access-Control-Allow-Credentials" not in answer.headers and answer.headers["Vary"] == "Origin"
    assert await endpoint.ok("GET") == []


async def test_clients_without_an_origin_are_served_unless_denied(server: Server) -> None:
    endpoint = await running_endpoint(server, origins=[PAGE])
    answer = await endpoint.call("GET")
    assert answer.status == 200 and "Access-Control-Allow-Origin" not in answer.headers
    await endpoint.manage("PATCH", f"/api/projects/{endpoint.project['id']}/", {"deny_no_origin": True})
    assert (await endpoint.call("GET")).status == 403


async def test_refusals_can_be_read_by_the_page(server: Server) -> None:
    endpoint = await running_endpoint(server, origins=[PAGE])
    answer = await endpoint.call("POST", raw=b"", headers={"Origin": PAGE})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (400, PAGE)


@pytest.mark.parametrize("header", [True, False])
async def test_the_master_key_stands_for_the_origin(server: Server, header: bool) -> None:
    endpoint = await running_endpoint(server, origins=[PAGE], deny_no_origin=True)
    key = endpoint.project["master_key"]
    given: Any = {"headers": {"X-Master-Key": key}} if header else {"masterKey": key}
    made = await endpoint.ok("POST", 1, **given)
    assert await endpoint.ok("GET", **given) == [made]
    assert (await endpoint.call("GET", key=None, **given)).status == 403


async def test_a_restart_tells_endpoint_sockets_to_come_back(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    await endpoint.server.app.shutdown()
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1012, "restart")
