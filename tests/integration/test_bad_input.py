"""What hostile or careless clients send: answered with an error of the client, alike on both databases, and nothing is
stored or told."""

import json
from typing import Any

import pytest

from tests.support.app import Person, Server

TABLE = "/api/database/rows/table/{table}/"


async def send(ann: Person, method: str, path: str, raw: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
    head = {"Authorization": f"JWT {ann.token}", "Content-Type": "application/json"} | headers
    async with ann.server.http.request(method, ann.server.url + path, data=raw, headers=head) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


@pytest.mark.parametrize(
    ("method", "path", "raw", "headers", "status"),
    [
        ("POST", TABLE, b'{"field_1": 1e9999999999999999999}', {}, 400),
        ("POST", TABLE, b'{"field_1": 0e-9999999999999999999}', {}, 400),
        ("POST", TABLE, b'{"field_1": NaN}', {}, 400),
        ("POST", TABLE, b'{"field_1": "\\ud800"}', {}, 400),
        ("POST", TABLE, b"[" * 100_000, {}, 400),
        ("POST", TABLE, b"[]", {}, 400),
        ("GET", f"/api/database/tables/{'9' * 5000}/", None, {}, 404),
        ("GET", f"{TABLE}?search={'a+' * 1500}", None, {}, 200),
        ("GET", "/api/jobs/?states=%00", None, {}, 200),
        ("GET", "/items?state=%00", None, {}, 200),
        ("POST", "/api/workspaces/", b"notgzip", {"Content-Encoding": "gzip"}, 400),
        ("POST", "/api/workspaces/", b"x", {"Content-Type": "\xff"}, 415),
        ("POST", "/api/workspaces/", b'{"name": 1', {}, 400),
        ("GET", "/api/notifications/2147483647/", None, {}, 404),
    ],
)
async def test_what_makes_no_sense_is_the_clients_error(
    server: Server, method: str, path: str, raw: bytes | None, headers: dict[str, str], status: int
) -> None:
    ann = await server.sign_up("Ann")
    table = await ann.table(await ann.database(await ann.workspace()))
    head = await server.log_position()
    found, body = await send(ann, method, path.format(table=table), raw, headers)
    assert found == status, body
    assert isinstance(body, dict | list)
    assert await server.log_position() == head


@pytest.mark.parametrize("name", ["z" * 7000, "ä", "nonsense", ""])
async def test_an_odd_web_socket_id_leaves_nobody_out(server: Server, name: str) -> None:
    ann = await server.sign_up("Ann")
    socket = await ann.core_socket()
    await ann.ok("POST", "/api/workspaces/", {"name": "x"}, headers={"WebSocketId": name})
    await socket.expect("group_created")


async def test_a_deleted_workspace_is_nobodys_first(server: Server) -> None:
    ann = await server.sign_up("Ann")
    socket = await ann.core_socket()
    first = await ann.workspace()
    await ann.ok("DELETE", f"/api/workspaces/{first}/")
    await ann.ok("PATCH", "/api/user/account/", {"language": "nl"})
    await socket.expect("group_created", "before_group_deleted", "group_deleted", "user_updated")
    made = await ann.ok("POST", "/api/workspaces/create-initial-workspace/", {})
    assert made["id"] != first
    assert [each["id"] for each in await ann.ok("GET", "/api/workspaces/")] == [made["id"]]
