"""The Socket.IO namespace `/ce`: records of several endpoints on one connection."""

import asyncio
import json
import random
from functools import partial
from typing import Any

import pytest

from server.delivery import relay
from server.events import rooms
from server.events.records import RecordChanged
from server.namespaces import endpoint_door
from server.parts import REGISTRY, SOCKETIO, STORE
from server.store import log, retention
from server.store.transaction import Transaction
from tests.support.app import Server, database_away, running_server
from tests.support.core_2026 import between_chunks
from tests.support.records import RunningEndpoint, running_endpoint
from tests.support.records_client import Connect, Heard, RecordsClient, records_clients

PAGE, OTHER = "https://app.example.com", "https://evil.example"
GONE = [0, -1, "x", "", True, 1.5, [1], {}, 2**62, 2**64, "9" * 40]


async def another(endpoint: RunningEndpoint, name: str = "shop/returns") -> RunningEndpoint:
    """One more endpoint of the same project."""
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    shown = await endpoint.manage("POST", path, {"name": name})
    return RunningEndpoint(endpoint.server, endpoint.admin, endpoint.project, shown)


def subscribed(endpoint: RunningEndpoint, position: int) -> dict[str, Any]:
    return {"ok": True, "endpoint": endpoint.shown["name"], "position": position}


def record(endpoint: RunningEndpoint, change: str, envelope: Any) -> Heard:
    return "record", {"endpoint": endpoint.shown["name"], "type": change, "record": envelope}


def ended(endpoint: RunningEndpoint, reason: str) -> Heard:
    return "closed", {"endpoint": endpoint.shown["name"], "code": 1000, "reason": reason}


async def logged(endpoint: RunningEndpoint, after: int) -> list[Heard]:
    """What the log says that the endpoint was told above a position."""
    places = {rooms.endpoint(endpoint.shown["id"]): after}
    events = await endpoint.server.app[STORE].read(lambda tx: log.read_rooms(tx.db, places, 1_000_000))
    return [("record", {"endpoint": endpoint.shown["name"]} | json.loads(event.payload)) for event in events]


@pytest.mark.parametrize("auth", ["", "{}", '{"token":"x","recovery":true}', '{"pid":"x","offset":"1"}', "[1]", '"5"'])
async def test_everybody_is_let_in_and_nothing_can_be_recovered(server: Server, auth: str) -> None:
    socket = await server.http.ws_connect(f"{server.url}/socket.io/?EIO=4&transport=websocket")
    await socket.receive_str()
    await socket.send_str(f"40/ce,{auth}")
    answer = await socket.receive_str()
    assert answer.startswith("40/ce,") and json.loads(answer.removeprefix("40/ce,")).keys() == {"sid"}
    await socket.close()


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
async def test_a_client_hears_the_endpoints_it_subscribed_with_their_names(
    endpoint: RunningEndpoint, connect: Connect, transports: list[str]
) -> None:
    other, third = await another(endpoint), await another(endpoint, "shop/parcels")
    await endpoint.ok("POST", "before")
    client = await connect(transports=transports)
    start = await endpoint.server.log_position()
    for each in (endpoint, other, endpoint):
        assert await client.subscribe(each, accessToken="unused") == subscribed(each, start)
    made = await endpoint.ok("POST", {"a": 'ä"\\'}, dataOnly="true")
    assert made == {"a": 'ä"\\'}
    (stored,) = [each for each in await endpoint.ok("GET") if each["data"] == made]
    there = await other.ok("POST", "there")
    await third.ok("POST", "not heard")
    changed = await endpoint.ok("PUT", 1, uniqueId=stored["uniqueId"])
    gone = await endpoint.ok("DELETE", uniqueId=stored["uniqueId"])
    expected = [record(endpoint, "POST", stored), record(other, "POST", there)]
    expected += [record(endpoint, "PUT", changed), record(endpoint, "DELETE", gone)]
    assert await client.take(4) == expected
    assert list(client.heard[0][1]) == ["endpoint", "type", "record"]

    for _ in range(2):
        assert await client.call("unsubscribe", {"endpoint": other.shown["name"]}) == {"ok": True}
    await other.ok("POST", "not heard any more")
    made = await endpoint.ok("POST", "heard")
    assert await client.take(1) == [record(endpoint, "POST", made)] and await client.rest() == []


@pytest.mark.parametrize(
    ("reason", "name", "given", "headers", "settings"),
    [
        ("The endpoint is invalid.", "shop--orders", {}, {}, {}),
        ("The endpoint is invalid.", "shop/parcels", {}, {}, {}),
        ("The API key is missing.", "shop/orders", {"key": None}, {}, {}),
        ("The API key is invalid.", "shop/orders", {"key": "0" * 32}, {}, {}),
        ("The origin is not allowed.", "shop/orders", {}, {"Origin": OTHER}, {"origins": [PAGE]}),
        ("The origin is not allowed.", "shop/orders", {}, {}, {"deny_no_origin": True}),
    ],
)
async def test_refusals_say_what_the_endpoints_own_socket_says(
    server: Server,
    connect: Connect,
    reason: str,
    name: str,
    given: dict[str, Any],
    headers: dict[str, str],
    settings: dict[str, Any],
) -> None:
    endpoint = await running_endpoint(server, **settings)
    given = given | {"masterKey": endpoint.project["master_key"]}
    client = await connect(headers=headers, transports=["websocket"])
    answer = await client.subscribe(endpoint, endpoint=name, **given)
    assert answer == {"ok": False, "endpoint": name, "code": 4000, "reason": reason}
    raw = await endpoint.socket(headers=headers, name=name, **given)
    await raw.until(lambda: raw.closed)
    assert raw.closed == (4000, reason) and endpoint.watchers() == 0 and await client.rest() == []


async def test_a_page_that_is_allowed_is_served(server: Server, connect: Connect) -> None:
    endpoint = await running_endpoint(server, origins=[PAGE], deny_no_origin=True)
    client = await connect(headers={"Origin": PAGE})
    assert (await client.subscribe(endpoint))["ok"]
    made = await endpoint.ok("POST", 1, headers={"Origin": PAGE})
    assert await client.take(1) == [record(endpoint, "POST", made)]


async def test_what_makes_no_sense_is_refused_and_costs_nothing(endpoint: RunningEndpoint, connect: Connect) -> None:
    client = await connect()
    assert (await client.subscribe(endpoint))["ok"]
    for wrong in [(), (None,), (5,), ("x",), ([],), ({},), ({"endpoint": 5},), ({"endpoint": ["a"]},)]:
        answer = await client.call("subscribe", *wrong)
        assert answer == {"ok": False, "endpoint": None, "code": 4000, "reason": "The endpoint is invalid."}, wrong
        assert await client.call("unsubscribe", *wrong) == {"ok": True}
    for name in ("a\0b", "", "x" * 300, "Shop/Orders", endpoint.shown["name"] + "/"):
        assert (await client.call("subscribe", {"endpoint": name, "key": "k"}))["code"] == 4000
        assert await client.call("unsubscribe", {"endpoint": name}) == {"ok": True}
    for key in (5, [], {}, "", "x" * 5000):
        assert (await client.subscribe(endpoint, key=key))["ok"] is False
    for event in ("enter", "left", "unknown"):
        await client.client.emit(event, {"endpoint": 5}, namespace="/ce")
    await client.client.emit("subscribe", namespace="/ce")
    made = await endpoint.ok("POST", 1)
    assert await client.take(1) == [record(endpoint, "POST", made)], "what was refused changed nothing"
    assert endpoint.watchers() == 1


async def test_a_client_hears_so_many_endpoints_and_no_more(database_url: str) -> None:
    async with running_server(database_url=database_url, max_pages=2) as server, records_clients(server.url) as connect:
        first = await running_endpoint(server)
        second, third = await another(first), await another(first, "shop/parcels")
        client = await connect()
        for each in (first, second, first):
            assert (await client.subscribe(each))["ok"]
        answer = await client.subscribe(third)
        assert answer == {
            "ok": False,
            "endpoint": third.shown["name"],
            "code": 4000,
            "reason": "The connection has too many endpoints.",
        }
        await client.call("unsubscribe", {"endpoint": first.shown["name"]})
        assert (await client.subscribe(third))["ok"]


async def test_what_was_missed_comes_before_the_answer(endpoint: RunningEndpoint, connect: Connect) -> None:
    other = await another(endpoint)
    since = await endpoint.server.log_position()
    await endpoint.ok("POST", "missed")
    await other.ok("POST", "elsewhere")
    await endpoint.ok("POST", "missed too")
    missed = await logged(endpoint, since)
    client = await connect()
    for given in (since, str(since)):
        assert await client.subscribe(endpoint, since=given) == subscribed(endpoint, since)
    assert client.heard == missed and len(missed) == 2, "told once"
    await client.rest()
    await endpoint.ok("POST", "live")
    assert await client.take(1) == (await logged(endpoint, since))[2:]
    answer = await (await connect()).subscribe(endpoint)
    assert answer["position"] == await endpoint.server.log_position() and "refresh" not in answer


async def test_a_past_that_is_gone_is_told_in_the_answer_and_as_an_event(
    endpoint: RunningEndpoint, connect: Connect
) -> None:
    pruned = await endpoint.server.log_position()
    await endpoint.ok("POST", "pruned")
    await endpoint.ok("POST", "kept")
    await endpoint.server.app[STORE].write(partial(retention.prune, keep_events=1, keep_seconds=3600))
    client = await connect()
    for since in [*GONE, pruned]:
        head = await endpoint.server.log_position()
        answer = await client.subscribe(endpoint, since=since)
        assert answer == subscribed(endpoint, head) | {"refresh": True}, since
        told = {"endpoint": endpoint.shown["name"], "position": head}
        assert await client.rest() == [("refresh", told)]
        made = await endpoint.ok("POST", "live")
        assert await client.take(1) == [record(endpoint, "POST", made)]
        await client.call("unsubscribe", {"endpoint": endpoint.shown["name"]})


@pytest.mark.parametrize("remembered", [2048, 64])
async def test_no_gap_and_no_double_while_writers_write(
    endpoint: RunningEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch, remembered: int
) -> None:
    monkeypatch.setattr(relay, "REMEMBERED", remembered)
    monkeypatch.setattr(endpoint_door, "CHUNK", 50)
    start, store, room = await endpoint.server.log_position(), endpoint.server.app[STORE], endpoint.shown["id"]
    await store.write(partial(tell_many, endpoint=room, count=1000))

    async def write() -> None:
        for size in range(40):
            await store.write(partial(tell_many, endpoint=room, count=size))

    async def come(since: int) -> tuple[RecordsClient, int]:
        client = await connect(transports=["websocket"])
        assert await client.subscribe(endpoint, since=since) == subscribed(endpoint, since)
        return client, since

    writing = asyncio.create_task(write())
    clients = await asyncio.gather(*(come(random.randint(start, start + 1000)) for _ in range(6)))
    await writing
    last = record(endpoint, "POST", await endpoint.ok("POST", "the last"))
    for client, since in clients:
        expected = await logged(endpoint, since)
        assert await client.take(len(expected)) == expected and expected[-1] == last
        assert await client.rest() == []


def tell_many(tx: Transaction, *, endpoint: int, count: int) -> None:
    for number in range(count):
        tx.record(RecordChanged("POST", {"uniqueId": str(number)}), rooms.endpoint(endpoint))


async def test_both_styles_tell_the_same_in_the_same_order(endpoint: RunningEndpoint, connect: Connect) -> None:
    client, raw = await connect(), await endpoint.listening()
    start = (await client.subscribe(endpoint))["position"]

    async def work(number: int) -> None:
        made = await endpoint.ok("POST", {"number": number})
        await endpoint.ok("PUT", {"more": number}, uniqueId=made["uniqueId"], strategy="merge")
        await endpoint.ok("DELETE", uniqueId=made["uniqueId"])

    await asyncio.gather(*(work(number) for number in range(15)))
    told = await client.take(45)
    await raw.until(lambda: len(raw.messages) == 45)
    assert told == await logged(endpoint, start)
    assert told == [("record", {"endpoint": endpoint.shown["name"]} | message) for message in raw.messages]


async def test_the_end_of_access_ends_one_endpoint_and_not_the_connection(
    endpoint: RunningEndpoint, connect: Connect
) -> None:
    other, server = await another(endpoint), endpoint.server
    elsewhere = await running_endpoint(server, "depot/orders")
    client = await connect()
    for each in (endpoint, other, elsewhere):
        await client.subscribe(each)
    raw = await endpoint.listening()
    await endpoint.manage("PATCH", f"/api/endpoints/{endpoint.shown['id']}/", {"name": "shop/renamed"})
    assert await client.take(1) == [ended(endpoint, "The options of the endpoint changed.")]
    await raw.until(lambda: raw.closed)
    assert raw.closed == (1000, client.heard[0][1]["reason"])
    endpoint.shown["name"] = "shop/renamed"
    await endpoint.ok("POST", "not heard")
    assert (await client.subscribe(endpoint, since=0))["refresh"]
    assert (await client.rest())[0][0] == "refresh"

    other.project = await endpoint.manage("POST", f"/api/projects/{endpoint.project['id']}/rotate-key/")
    expected = [ended(endpoint, "The API key changed."), ended(other, "The API key changed.")]
    assert await client.take(2) == expected
    assert (await client.subscribe(endpoint))["reason"] == "The API key is invalid."
    position = await server.log_position()
    missed = await other.ok("POST", "missed")
    assert await client.subscribe(other, since=position) == subscribed(other, position)
    assert await client.take(1) == [record(other, "POST", missed)]
    await other.manage("DELETE", f"/api/endpoints/{other.shown['id']}/")
    assert await client.take(1) == [ended(other, "The endpoint was deleted.")]
    assert (await client.subscribe(other))["reason"] == "The endpoint is invalid."

    made = await elsewhere.ok("POST", "still heard")
    assert await client.take(1) == [record(elsewhere, "POST", made)] and await client.rest() == []
    assert (endpoint.watchers(), other.watchers(), elsewhere.watchers()) == (0, 0, 1)
    await elsewhere.manage("DELETE", f"/api/workspaces/{elsewhere.project['workspace_id']}/")
    assert await client.take(1) == [ended(elsewhere, "The endpoint was deleted.")]
    assert len(server.app[REGISTRY].subscribers) == 1, "the connection stays"


async def test_access_that_ends_while_the_past_is_told(
    endpoint: RunningEndpoint, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = await endpoint.server.log_position()
    await endpoint.server.app[STORE].write(partial(tell_many, endpoint=endpoint.shown["id"], count=500))
    project = f"/api/projects/{endpoint.project['id']}/"

    async def rotate() -> None:
        endpoint.project = await endpoint.manage("POST", project + "rotate-key/")

    async def admit_everybody() -> None:
        await endpoint.manage("PATCH", project, {"origins": [], "deny_no_origin": False})

    async def admit_pages() -> None:
        await endpoint.manage("PATCH", project, {"origins": [PAGE]})

    monkeypatch.setattr(endpoint_door, "CHUNK", 50)
    client = await connect()
    with monkeypatch.context() as fault:
        between_chunks(fault, rotate)
        answer = await client.subscribe(endpoint, since=position)
        assert (answer["code"], answer["reason"]) == (4000, "The API key is invalid.")
        assert len(await client.rest()) == 50 and endpoint.watchers() == 0
    with monkeypatch.context() as fault:
        between_chunks(fault, admit_pages, admit_everybody)
        assert await client.subscribe(endpoint, since=position) == subscribed(endpoint, position)
        assert await client.rest() == await logged(endpoint, position), "entitled whenever something was told"
    await client.call("unsubscribe", {"endpoint": endpoint.shown["name"]})
    assert (await client.subscribe(endpoint))["ok"]
    with monkeypatch.context() as fault:
        between_chunks(fault, admit_pages, admit_everybody)
        answer = await client.subscribe(endpoint, since=position)
        assert (answer["ok"], answer["code"]) == (False, 1012), "what it had ended meanwhile"
    told = await client.rest()
    assert told[50] == ended(endpoint, "The allowed origins changed.") and len(told) == 51
    assert (await client.subscribe(endpoint, since=position))["ok"]


async def test_a_client_that_leaves_leaves_nothing_behind(endpoint: RunningEndpoint, connect: Connect) -> None:
    other, server = await another(endpoint), endpoint.server
    namespace = server.app[SOCKETIO].namespace_handlers["/ce"]
    left, cut, restarted = [await connect(transports=["websocket"]) for _ in range(3)]
    for client in (left, cut, restarted):
        await client.subscribe(endpoint)
        await client.subscribe(other)
    assert endpoint.watchers() == 3 and len(namespace.watchers) == 3 and len(namespace.wires) == 2
    await left.client.disconnect()
    cut.client.eio.ws._response.connection.transport.abort()
    async with asyncio.timeout(10):
        while len(namespace.watchers) > 1:
            await endpoint.ok("POST", "are you there?")
    assert (endpoint.watchers(), other.watchers(), len(server.app[REGISTRY].subscribers)) == (1, 1, 3)
    await server.app.shutdown()
    await asyncio.wait_for(restarted.ended.wait(), 10)
    async with asyncio.timeout(10):
        while namespace.watchers:
            await asyncio.sleep(0.01)
    assert not server.app[REGISTRY].subscribers and not server.app[REGISTRY].members


async def test_a_connection_outlives_a_database_that_is_away(endpoint: RunningEndpoint, connect: Connect) -> None:
    client = await connect()

    with database_away(endpoint.server):
        answer = await client.subscribe(endpoint)
        assert (answer["ok"], answer["code"]) == (False, 1012), "try again"
    assert (await client.subscribe(endpoint))["ok"]
    made = await endpoint.ok("POST", 1)
    assert await client.take(1) == [record(endpoint, "POST", made)]
