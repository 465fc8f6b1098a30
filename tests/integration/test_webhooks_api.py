"""Webhooks over REST: what is answered, and what is refused without a trace (contract items.md)."""

import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.parts import STORE
from server.rest.webhooks import DESTINATIONS
from server.store.models import Webhook
from tests.support.app import Server, running_server
from tests.support.boards import SPACE_TIME, Board, make_board
from tests.support.core_2026 import newcomer

EVENTS = ["item-updated", "item-removed", "column-patched"]
URL = "http://127.0.0.1:9999/hook"


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=database_url, webhook_private_addresses=True) as running:
        yield running


async def test_post_webhooks_answers_the_webhook_and_its_secret_once(board: Board) -> None:
    answer = await board.ann.request("POST", "/webhooks", {"workspace_id": board.workspace, "url": URL})
    assert answer.status == 201
    assert answer.headers["Cache-Control"] == "no-store"
    made = dict(answer.body)
    assert made.pop("secret").startswith("whsec_")
    assert await board.ann.ok("GET", f"/webhooks?workspace_id={board.uuid}") == [made]
    assert str(uuid.UUID(made.pop("id")))
    time.strptime(made.pop("created_at"), SPACE_TIME)
    assert made == {
        "workspace_id": board.uuid,
        "url": URL,
        "events": EVENTS,
        "state": "active",
        "reason": None,
        "failures": 0,
        "failing_since": None,
        "next_attempt_at": None,
        "position": made["position"],
    }
    body = {"workspace_id": board.uuid, "url": URL, "events": ["item-removed", "item-updated", "item-removed"]}
    other = await board.ann.ok("POST", "/webhooks", body)
    assert other["events"] == EVENTS[:2]
    assert other["secret"] != answer.body["secret"]


async def test_get_webhooks_lists_those_of_the_workspaces_that_one_administers(server: Server, board: Board) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace)
    theirs = await make_board(bob)
    for each in (board, theirs):
        await each.ann.ok("POST", "/webhooks", {"workspace_id": each.uuid, "url": URL})
    assert [each["workspace_id"] for each in await ann.ok("GET", "/webhooks")] == [board.uuid]
    assert [each["workspace_id"] for each in await bob.ok("GET", "/webhooks")] == [theirs.uuid]
    assert await (await newcomer(server, "Eve")).ok("GET", "/webhooks") == []


async def test_delete_webhooks_by_id_and_by_url(board: Board) -> None:
    ann = board.ann
    one, *_ = [await ann.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": URL}) for _ in range(3)]
    other = await ann.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": URL + "/other"})
    assert (await ann.request("DELETE", f"/webhooks/{one['id']}")).status == 204
    assert (await ann.request("DELETE", f"/webhooks/{one['id']}")).status == 404
    path = f"/webhooks?workspace_id={board.uuid}&url={URL}"
    assert (await ann.request("DELETE", path)).status == 204
    assert [each["id"] for each in await ann.ok("GET", "/webhooks")] == [other["id"]]
    assert (await ann.request("DELETE", path)).status == 404


async def test_refused_webhooks_name_the_field_and_leave_nothing(board: Board) -> None:
    good = {"workspace_id": board.uuid, "url": URL}
    cases: list[tuple[Any, str]] = [
        ({"url": URL}, "workspace_id"),
        ({"workspace_id": board.uuid}, "url"),
        (good | {"url": "ftp://example.com/"}, "url"),
        (good | {"url": "http://127.0.0.1:25/"}, "url"),
        (good | {"url": "https://ann:secret@example.com/"}, "url"),
        (good | {"url": "http://no-such-host.invalid/"}, "url"),
        (good | {"url": "http://127.0.0.1:9999/" + "x" * 2048}, "url"),
        (good | {"events": []}, "events"),
        (good | {"events": "item-updated"}, "events"),
        (good | {"events": ["item-updated", "refresh"]}, "events"),
        (good | {"events": None}, "events"),
    ]
    before = await board.position()
    for body, field in cases:
        answer = await board.ann.request("POST", "/webhooks", body)
        assert answer.status == 400, (body, answer.body)
        assert list(answer.body) == ["message"]
        assert answer.body["message"].startswith(f"{field}: "), (body, answer.body)
    for query in ("", f"?workspace_id={board.uuid}", f"?url={URL}"):
        answer = await board.ann.request("DELETE", "/webhooks" + query)
        assert (answer.status, list(answer.body)) == (400, ["message"]), query
    answer = await board.ann.request("POST", "/webhooks", headers={"Content-Type": "text/xml"}, data=b"<a/>")
    assert (answer.status, list(answer.body)) == (415, ["message"])
    assert await board.ann.ok("GET", "/webhooks") == []
    assert await board.position() == before


async def test_only_admins_of_the_workspace_keep_webhooks(server: Server, board: Board) -> None:
    bob, eve = await newcomer(server, "Bob"), await newcomer(server, "Eve")
    await board.ann.invite(bob, board.workspace)
    made = await board.ann.ok("POST", "/webhooks", {"workspace_id": board.uuid, "url": URL})
    before = await board.position()
    server.app[DESTINATIONS].lookup = refuse_lookup
    body = {"workspace_id": board.uuid, "url": "http://somewhere.example/"}
    for person in (bob, eve):
        for method, path, given in (
            ("POST", "/webhooks", body),
            ("GET", f"/webhooks?workspace_id={board.uuid}", None),
            ("DELETE", f"/webhooks/{made['id']}", None),
            ("DELETE", f"/webhooks?workspace_id={board.uuid}&url={URL}", None),
        ):
            answer = await person.request(method, path, given)
            assert (answer.status, list(answer.body)) == (403, ["message"]), (person.email, method, path, answer.body)
    unknown = str(uuid.uuid4())
    for method, path, given in (
        ("POST", "/webhooks", body | {"workspace_id": unknown}),
        ("GET", f"/webhooks?workspace_id={unknown}", None),
        ("DELETE", f"/webhooks/{unknown}", None),
        ("DELETE", "/webhooks/nonsense", None),
        ("DELETE", f"/webhooks?workspace_id={unknown}&url={URL}", None),
    ):
        answer = await board.ann.request(method, path, given)
        assert (answer.status, list(answer.body)) == (404, ["message"]), (method, path, answer.body)
        assert (await server.request(method, path, given)).status == 401, (method, path)
    assert len(await board.ann.ok("GET", "/webhooks")) == 1
    assert await board.position() == before


def refuse_lookup(host: str, *arguments: Any, **how: Any) -> list[Any]:
    raise AssertionError(f"{host} was looked up for somebody who may not make a webhook")


async def test_a_workspace_has_only_so_many_webhooks(board: Board) -> None:
    body = {"workspace_id": board.uuid, "url": URL}
    for _ in range(20):
        await board.ann.ok("POST", "/webhooks", body)
    answer = await board.ann.request("POST", "/webhooks", body)
    assert (answer.status, list(answer.body)) == (409, ["message"])
    assert len(await board.ann.ok("GET", "/webhooks")) == 20


async def test_private_addresses_are_refused_unless_a_setting_allows_them(server: Server, board: Board) -> None:
    server.app[DESTINATIONS].allow_private = False
    for url in (
        URL,
        "http://localhost:8000/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://2130706433/",
    ):
        answer = await board.ann.request("POST", "/webhooks", {"workspace_id": board.uuid, "url": url})
        assert (answer.status, answer.body["message"][:5]) == (400, "url: "), (url, answer.body)
    assert await server.app[STORE].read(lambda tx: Webhook.select().count()) == 0
