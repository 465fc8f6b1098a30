"""What receivers of webhooks get: everything, in order, signed, again until it arrives (docs/protocols/webhooks.md)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from server.actions.accounts import end_account
from server.app import STORE, WEBHOOKS
from server.rest.webhooks import DESTINATIONS
from server.store import leases, retention
from server.store.sql import run
from server.store.transaction import Transaction
from tests.support.app import PATIENCE, Server, running_server
from tests.support.boards import Board, listening, make_board
from tests.support.core_2026 import newcomer
from tests.support.receivers import Received, Receiver, documented_verify, receiving

WEEK = 7 * 86400
QUICK = {
    "webhook_private_addresses": True,
    "webhook_timeout": 2.0,
    "webhook_retry": 0.02,
    "webhook_interval": 0.1,
}


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=database_url, **QUICK) as running:
        yield running


@pytest.fixture
async def board(server: Server) -> Board:
    return await make_board(await newcomer(server, "Ann"))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as started:
        yield started


async def hook(board: Board, url: str, *events: str) -> dict[str, Any]:
    """A webhook of the board; its secret is in it."""
    body = {"workspace_id": board.uuid, "url": url} | ({"events": events} if events else {})
    made: dict[str, Any] = await board.ann.ok("POST", "/webhooks", body)
    return made


async def shown(board: Board, webhook: dict[str, Any]) -> dict[str, Any]:
    """The webhook as it is shown now."""
    (found,) = [each for each in await board.ann.ok("GET", "/webhooks") if each["id"] == webhook["id"]]
    return dict(found)


async def until(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Waits until the condition holds, and returns what it gave."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while not (found := await condition()):
                await asyncio.sleep(0.005)
            return found
    raise AssertionError("waited in vain")


async def state(board: Board, webhook: dict[str, Any], wanted: str) -> dict[str, Any]:
    """Waits until the webhook is in a state."""

    async def condition() -> dict[str, Any] | None:
        found = await shown(board, webhook)
        return found if found["state"] == wanted else None

    found: dict[str, Any] = await until(condition)
    return found


async def idle(server: Server) -> None:
    """Waits until nothing is being told."""

    async def condition() -> bool:
        return not len(server.app[WEBHOOKS])

    await until(condition)


def names(received: list[Received]) -> list[str]:
    """The names of items, and the types of other events."""
    return [each.event[1]["name"] if each.event[0] == "item-updated" else each.event[0] for each in received]


# ---- what arrives


async def test_receivers_get_the_bodies_of_the_socket_events_in_order_once_and_signed(
    server: Server, board: Board, receiver: Receiver
) -> None:
    await board.item("before")
    webhook, verify = await hook(board, receiver.url), documented_verify()
    async with listening(server) as listen:
        socket = await listen(board.ann, board.workspace)
        items = await asyncio.gather(*[board.item(f"Ünïcode {number}") for number in range(8)])
        await board.ann.ok("PATCH", f"/items/{items[0]['id']}", {"column_id": board.columns[1]})
        await board.ann.ok("DELETE", f"/items/{items[1]['id']}")
        heard = await socket.take(8 * 2 + 3 + 2)
    received = await receiver.take(len(heard))
    await idle(server)
    assert [each.event for each in received] == heard
    assert receiver.keys == sorted(set(receiver.keys), key=int)
    for each in receiver.received:
        assert verify(webhook["secret"], each.headers, each.body)
        assert each.headers["Content-Type"] == "application/json"
        assert each.headers["Roomcast-Webhook"] == webhook["id"]
        assert each.headers["Host"] == receiver.url.split("/")[2]
    assert (await shown(board, webhook))["position"] == int(receiver.keys[-1])
    assert_forgeries_are_found(verify, webhook["secret"], received[0])


def assert_forgeries_are_found(verify: Callable[..., bool], secret: str, received: Received) -> None:
    headers, body = dict(received.headers), received.body
    signature = headers["Roomcast-Signature"]
    time, _, digest = signature.partition(",")
    older = f"t={int(time.removeprefix('t=')) - 1},{digest}"
    assert verify(secret, headers, body)
    assert not verify(secret + "x", headers, body)
    assert not verify(secret, headers, body + b" ")
    forgeries = {"Idempotency-Key": "1", "Roomcast-Event": "item-removed", "Roomcast-Signature": older}
    for name, value in forgeries.items():
        assert not verify(secret, headers | {name: value}, body), name
    assert not verify(secret, headers, body, tolerance=-1), "one that was sent long ago"


async def test_only_chosen_events_arrive(server: Server, board: Board, receiver: Receiver) -> None:
    webhook = await hook(board, receiver.url, "item-removed")
    item = await board.item()
    await board.ann.ok("DELETE", f"/items/{item['id']}")
    await receiver.take(1)
    other = await board.item()
    await board.ann.ok("DELETE", f"/items/{other['id']}")
    await receiver.take(2)
    await idle(server)
    assert [each.event for each in receiver.received] == [("item-removed", item["id"]), ("item-removed", other["id"])]
    position = await board.position()
    assert (await shown(board, webhook))["position"] <= position


async def test_other_workspaces_are_not_told(server: Server, board: Board, receiver: Receiver) -> None:
    await hook(board, receiver.url)
    other = await make_board(await newcomer(server, "Bob"))
    await other.item("theirs")
    await board.item("ours")
    assert names(await receiver.take(1)) == ["ours"]
    await idle(server)
    assert names(receiver.received) == ["ours", "column-patched"]


async def test_a_deleted_webhook_is_told_nothing_more(server: Server, board: Board, receiver: Receiver) -> None:
    webhook = await hook(board, receiver.url)
    await board.item()
    await receiver.take(2)
    await board.ann.ok("DELETE", f"/webhooks/{webhook['id']}")
    await board.item()
    await idle(server)
    assert len(receiver.received) == 2
    assert await server.app[STORE].read(lambda tx: run(tx, "SELECT name FROM lease").fetchall()) == []


# ---- what fails, and comes again


async def test_what_was_not_taken_comes_again_with_the_same_key_and_in_order(
    server: Server, board: Board, receiver: Receiver
) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def redirect(request: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": receiver.url + "/elsewhere"})

    receiver.answers.extend([500, 404, drop, redirect, 200, 503])
    webhook = await hook(board, receiver.url, "item-updated")
    one, two = await board.item("one"), await board.item("two")
    received = await receiver.take(7)
    assert [each.event for each in received] == [("item-updated", one)] * 5 + [("item-updated", two)] * 2
    assert len(set(receiver.keys[:5])) == len(set(receiver.keys[5:])) == 1
    assert documented_verify()(webhook["secret"], received[4].headers, received[4].body)
    await idle(server)
    assert len(receiver.received) == 7, "what was taken does not come again"
    now = await shown(board, webhook)
    assert (now["state"], now["reason"], now["failures"], now["failing_since"]) == ("active", None, 0, None)


async def test_a_failing_webhook_says_why_and_when_it_is_tried_again(
    server: Server, board: Board, receiver: Receiver
) -> None:
    receiver.answers.append(418)
    server.app[WEBHOOKS].patience = server.app[WEBHOOKS].patience._replace(retry=30.0)
    webhook = await hook(board, receiver.url)
    await board.item()
    failing = await state(board, webhook, "failing")
    assert failing["reason"] == "The answer had the status 418."
    assert failing["failures"] == 1
    assert failing["failing_since"] < failing["next_attempt_at"]
    await board.item()
    assert len(receiver.received) == 1, "nothing comes before its time"
    page = (await server.request("GET", "/metrics")).body
    assert 'roomcast_webhook_deliveries_total{result="failed"}' in page
    assert "roomcast_webhooks 1.0" in page


async def test_a_receiver_that_was_down_is_told_everything(server: Server, board: Board) -> None:
    async with receiving() as gone:
        url = gone.url
    webhook = await hook(board, url, "item-updated")
    for number in range(60):
        await board.item(str(number))
    failing = await state(board, webhook, "failing")
    assert "Connect" in failing["reason"]
    port = int(url.split(":")[2].partition("/")[0])
    async with receiving(port=port) as back:
        assert names(await back.take(60)) == [str(number) for number in range(60)]
        await idle(server)
        assert len(back.received) == 60
    assert (await shown(board, webhook))["state"] == "active"


async def test_a_slow_answer_is_cut_and_delays_nobody_else(server: Server, board: Board, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with receiving() as quick:
        receiver.answers.append(wait)
        server.app[WEBHOOKS].sender.timeout = 0.8
        slow = await hook(board, receiver.url, "item-updated")
        await hook(board, quick.url, "item-updated")
        item = await board.item()
        await receiver.take(1)
        await quick.take(1)
        assert (await shown(board, slow))["state"] == "active", "it has not been given up meanwhile"
        assert (await state(board, slow, "failing"))["reason"] == "There was no answer within 0.8 s."
        assert [each.event for each in await receiver.take(2)] == [("item-updated", item)] * 2
        assert len(set(receiver.keys)) == 1
        assert len(quick.received) == 1
        released.set()


async def test_of_a_long_answer_only_the_beginning_is_read(server: Server, board: Board, receiver: Receiver) -> None:
    cut = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            cut.set()
        return response

    receiver.answers.append(endless)
    await hook(board, receiver.url, "item-updated")
    await board.item()
    await asyncio.wait_for(cut.wait(), PATIENCE)
    await idle(server)
    assert len(receiver.received) == 1, "its status said that it was taken"


async def test_after_nothing_but_failures_a_webhook_is_disabled(
    server: Server, board: Board, receiver: Receiver
) -> None:
    receiver.answers.extend([500] * 1000)
    server.app[WEBHOOKS].patience = server.app[WEBHOOKS].patience._replace(give_up=0.1)
    webhook = await hook(board, receiver.url)
    await board.item()
    disabled = await state(board, webhook, "disabled")
    assert disabled["reason"] == "The answer had the status 500."
    assert disabled["next_attempt_at"] is None
    count = len(receiver.received)
    assert count > 1
    await board.item()
    await idle(server)
    assert len(receiver.received) == count


# ---- who may hear it


async def test_a_webhook_ends_with_the_membership_of_its_maker(
    server: Server, board: Board, receiver: Receiver
) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace, "ADMIN")
    webhook = await bob.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": receiver.url})
    await board.item("shared")
    await receiver.take(2)
    members = await ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    await ann.ok("DELETE", f"/api/workspaces/users/{members[1]['id']}/")
    await board.item("secret")
    disabled = await state(board, webhook, "disabled")
    assert disabled["reason"] == "Whoever made the webhook is no longer a member of the workspace."
    await idle(server)
    assert names(receiver.received) == ["shared", "column-patched"]


async def test_who_left_and_came_back_is_not_told_what_was_in_between(
    server: Server, board: Board, receiver: Receiver
) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace, "ADMIN")
    webhook = await bob.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": receiver.url})
    await server.app[STORE].write(leases.claim, f"webhook:{webhook['id']}", holder="somebody slow", seconds=60)
    members = await ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    await ann.ok("DELETE", f"/api/workspaces/users/{members[1]['id']}/")
    await board.item("secret")
    await ann.invite(bob, board.workspace, "ADMIN")
    await board.item("shared")
    await server.app[STORE].write(leases.release_all, holder="somebody slow")
    await receiver.take(2)
    await idle(server)
    assert names(receiver.received) == ["shared", "column-patched"]


async def test_a_webhook_ends_with_the_account_of_its_maker_and_with_the_workspace(
    server: Server, board: Board, receiver: Receiver
) -> None:
    bob = await newcomer(server, "Bob")
    await board.ann.invite(bob, board.workspace, "ADMIN")
    webhook = await bob.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": receiver.url})
    await server.app[STORE].write(end_account, email=bob.email)
    await board.item("secret")
    await state(board, webhook, "disabled")
    own = await hook(board, receiver.url)
    await board.ann.ok("DELETE", f"/api/workspaces/{board.workspace}/")

    async def ended() -> bool:
        sql = "SELECT state FROM webhook WHERE id = ?"
        return bool((await server.app[STORE].read(lambda tx: run(tx, sql, (own["id"],)).fetchone()))[0] == "disabled")

    await until(ended)
    assert receiver.received == []


# ---- where it leads


async def test_a_name_that_resolves_to_a_private_address_at_delivery_is_not_called(
    server: Server, board: Board, receiver: Receiver
) -> None:
    """DNS rebinding: public when the webhook is made, then the machine itself."""
    destinations, (host, port) = server.app[DESTINATIONS], receiver.url.split("/")[2].split(":")
    destinations.allow_private = False
    addresses = iter(["8.8.8.8"])

    def lookup(name: str, port: int, **how: Any) -> list[Any]:
        assert name == "rebind.example"
        return [(2, 1, 6, "", (next(addresses, host), port))]

    destinations.lookup = lookup
    webhook = await hook(board, f"http://rebind.example:{port}/hook")
    await board.item()
    failing = await state(board, webhook, "failing")
    assert failing["reason"] == "The host does not have public addresses only."
    destinations.allow_private = True
    (received, *_) = await receiver.take(1)
    assert received.headers["Host"] == f"rebind.example:{port}"


async def test_an_address_in_the_url_is_checked_at_delivery_too(
    server: Server, board: Board, receiver: Receiver
) -> None:
    webhook = await hook(board, receiver.url)
    server.app[DESTINATIONS].allow_private = False
    await board.item()
    assert "public addresses" in (await state(board, webhook, "failing"))["reason"]
    assert receiver.received == []


async def test_proxies_of_the_environment_are_not_used(
    board: Board, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await hook(board, receiver.url)
    await board.item()
    await receiver.take(2)


# ---- what happens to the log and to processes meanwhile


async def test_a_past_that_was_pruned_is_told_with_a_refresh(server: Server, board: Board, receiver: Receiver) -> None:
    receiver.answers.append(500)
    store = server.app[STORE]
    server.app[WEBHOOKS].patience = server.app[WEBHOOKS].patience._replace(retry=0.3)
    webhook = await hook(board, receiver.url, "item-updated")
    await board.item("lost")
    await receiver.take(1)
    await board.item("lost too")
    while await store.write(retention.prune, keep_events=1, keep_seconds=WEEK):
        pass
    position = await board.position()
    received = (await receiver.take(2))[1]
    assert received.event == ("refresh", {"workspace_id": board.uuid, "position": position})
    assert received.key == f"refresh-{position}"
    assert documented_verify()(webhook["secret"], received.headers, received.body)
    await idle(server)
    item = await board.item("next")
    assert (await receiver.take(3))[2].event == ("item-updated", item)


async def test_a_webhook_that_missed_nothing_is_not_refreshed_by_pruning(
    server: Server, board: Board, receiver: Receiver
) -> None:
    store = server.app[STORE]
    webhook = await hook(board, receiver.url, "item-updated")
    for number in range(5):
        await board.ann.workspace(f"Another {number}")
    while await store.write(retention.prune, keep_events=1, keep_seconds=WEEK):
        pass
    assert (await shown(board, webhook))["position"] == await board.position()
    await board.item("first")
    await receiver.take(1)
    await idle(server)
    assert names(receiver.received) == ["first"]


async def test_who_lost_the_lease_notes_nothing_and_another_goes_on(
    server: Server, board: Board, receiver: Receiver
) -> None:
    """A process that stands still while it makes a request: the event comes again from its successor, in order."""
    store, arrived, released = server.app[STORE], asyncio.Event(), asyncio.Event()

    async def stall(request: web.Request) -> web.StreamResponse:
        arrived.set()
        await released.wait()
        return web.Response()

    receiver.answers.append(stall)
    webhook = await hook(board, receiver.url, "item-updated")
    name = f"webhook:{webhook['id']}"
    await board.item("one")
    await board.item("two")
    await arrived.wait()

    def rob(tx: Transaction) -> None:
        run(tx, "UPDATE lease SET holder = 'successor' WHERE name = ?", (name,))

    await store.write(rob)
    before = (await shown(board, webhook))["position"]
    released.set()
    await idle_or_waiting(server)
    assert (await shown(board, webhook))["position"] == before, "it was not the successor's to move"
    await store.write(leases.release_all, holder="successor")
    assert names(await receiver.take(3)) == ["one", "one", "two"]
    assert receiver.keys[0] == receiver.keys[1]


async def idle_or_waiting(server: Server) -> None:
    """Waits until no request is being made: nothing holds one of the slots."""

    async def condition() -> bool:
        slots = server.app[WEBHOOKS]._slots
        return slots._value == server.settings.webhook_concurrency

    await until(condition)


async def test_a_stop_gives_the_running_request_its_time_and_the_lease_back(
    database_url: str, receiver: Receiver
) -> None:
    async def answer_late(request: web.Request) -> web.StreamResponse:
        await stopping.wait()
        return web.Response()

    stopping = asyncio.Event()
    receiver.answers.append(answer_late)
    async with running_server(database_url=database_url, **QUICK) as server:
        board = await make_board(await newcomer(server, "Ann"))
        await hook(board, receiver.url, "item-updated")
        await board.item("one")
        await board.item("two")
        await receiver.take(1)
        server.app[WEBHOOKS].wind_up()
        stopping.set()
    assert names(receiver.received) == ["one"], "the next one is for the next process"
    async with running_server(database_url=database_url, **QUICK) as server:
        assert names(await receiver.take(2)) == ["one", "two"]
        await idle(server)
    assert len(set(receiver.keys)) == 2


async def test_a_stop_does_not_wait_for_ever(database_url: str, receiver: Receiver) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answers.append(hang)
    async with running_server(database_url=database_url, **QUICK | {"webhook_timeout": 0.3}) as server:
        board = await make_board(await newcomer(server, "Ann"))
        await hook(board, receiver.url, "item-updated")
        await board.item()
        await receiver.take(1)
        server.app[WEBHOOKS].sender.timeout = 60.0
        server.app[WEBHOOKS].wind_up()
        server.app[WEBHOOKS]._deadline = 0.0
    async with running_server(database_url=database_url, **QUICK):
        await receiver.take(2)
    assert len(set(receiver.keys)) == 1
    assert json.loads(receiver.received[0].body) == json.loads(receiver.received[1].body)
