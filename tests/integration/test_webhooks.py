"""What receivers of webhooks are told: everything, in order, signed, again until it arrives, and to whom it may be
told (docs/protocols/webhooks.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from server.actions.accounts import end_account
from server.parts import STORE, WEBHOOKS
from server.store import leases
from server.store.sql import run
from tests.support.app import Server, running_server
from tests.support.boards import Board, listening, make_board
from tests.support.core_2026 import newcomer
from tests.support.receivers import (
    QUICK,
    Received,
    Receiver,
    documented_verify,
    hook,
    idle,
    names,
    receiving,
    shown,
    state,
    until,
)


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=database_url, **QUICK) as running:
        yield running


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
    assert "Cannot connect" in failing["reason"]
    port = int(url.split(":")[2].partition("/")[0])
    async with receiving(port=port) as back:
        assert names(await back.take(60)) == [str(number) for number in range(60)]
        await idle(server)
        assert len(back.received) == 60
    assert (await shown(board, webhook))["state"] == "active"


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
