"""The items API: who is let in, and what is refused without a trace."""

import re
import uuid
from typing import Any

import aiohttp

from server.rest.openapi import PATH
from tests.support.app import PASSWORD, Person, Server
from tests.support.boards import Board, make_board


async def test_refused_bodies_name_the_field_and_leave_nothing(server: Server, board: Board) -> None:
    ann, other = board.ann, await make_board(board.ann)
    item, stranger = await board.item(), await server.sign_up("Eve")
    before = await board.position()
    workflow = {"collection_id": board.collection["id"], "name": "x"}
    elsewhere = {"collection_id": other.collection["id"]}
    cases: list[tuple[str, str, Any, str]] = [
        ("POST", "/collections", {"name": "x"}, "workspace_id"),
        ("POST", "/collections", {"workspace_id": board.uuid, "name": "x", "settings": 5}, "settings"),
        ("PATCH", f"/collections/{board.collection['id']}", {"name": None}, "name"),
        ("PATCH", f"/collections/{board.collection['id']}", {"settings": {"x": "x" * 65_536}}, "settings"),
        ("PATCH", f"/columns/{board.columns[0]}", {"settings": {"x": "x" * 65_536}}, "settings"),
        ("PATCH", f"/items/{item['id']}", {"error": "x" * 10_001}, "error"),
        ("POST", "/workflows", workflow | {"classification": "LETTER"}, "classification"),
        ("POST", "/workflows", workflow | {"classification": "OTHER", "workspace_id": other.uuid}, "workspace_id"),
        ("POST", "/columns", {"workflow_id": board.workflow["id"]}, "name"),
        ("POST", "/columns", {"workflow_id": board.workflow["id"], "name": "x", "index": -1}, "index"),
        ("PATCH", f"/columns/{board.columns[0]}", {"type": "sink"}, "type"),
        ("POST", "/items", {"column_id": board.columns[0]}, "name"),
        ("POST", "/items", {"name": "x"}, "collection_id"),
        ("POST", "/items", {"name": "x" * 256, "column_id": board.columns[0]}, "name"),
        ("POST", "/items", {"name": "x", "column_id": board.columns[0], **elsewhere}, "column_id"),
        ("PATCH", f"/items/{item['id']}", {"name": ["x"]}, "name"),
        ("PATCH", f"/items/{item['id']}", {"column_id": other.columns[0]}, "column_id"),
        ("PATCH", f"/items/{item['id']}", {"user_id": stranger.id}, "user_id"),
        ("PATCH", f"/items/{item['id']}", {"locked_by_user_id": 2**40}, "locked_by_user_id"),
    ]  # fmt: skip
    for method, path, body, field in cases:
        answer = await ann.request(method, path, body)
        assert answer.status == 400, (method, path, body, answer.body)
        assert answer.body.keys() == {"message"} and answer.body["message"].startswith(f"{field}: "), answer.body
    assert await board.position() == before
    assert await ann.ok("GET", f"/items/{item['id']}") == item


async def test_strangers_are_refused_and_unknown_ids_are_404(server: Server, board: Board) -> None:
    eve, item = await server.sign_up("Eve"), await board.item()
    before = await board.position()
    own = [
        f"/workspaces/{board.uuid}",
        f"/collections/{board.collection['id']}",
        f"/workflows/{board.workflow['id']}",
        f"/columns?workflow_id={board.workflow['id']}",
        f"/items?column_id={board.columns[0]}",
        f"/items/{item['id']}",
    ]
    for path in own:
        answer = await eve.request("GET", path)
        assert (answer.status, list(answer.body)) == (403, ["message"]), path
    for path in (*own[1:3], own[5], f"/columns/{board.columns[0]}"):
        assert (await eve.request("PATCH", path, {"name": "x"})).status == 403, path
        assert (await eve.request("DELETE", path)).status == 403, path
    assert (await eve.request("POST", "/items", {"name": "x", "column_id": board.columns[0]})).status == 403
    for name in ("workspaces", "collections", "workflows", "items"):
        for unknown in (uuid.uuid4(), "0", "99999999999999999999", "x%00y", "%F0%9F%98%80", "null"):
            answer = await board.ann.request("GET", f"/{name}/{unknown}")
            assert (answer.status, list(answer.body)) == (404, ["message"]), (name, unknown)
    assert (await board.ann.request("POST", "/items", {"name": "x", "column_id": "nonsense"})).status == 404
    assert (await board.ann.request("GET", "/items/a/b")).body == {"message": "Not found."}
    assert (await board.ann.request("GET", "/itemsandmore")).body["error"] == "URL_NOT_FOUND"
    assert await board.position() == before


async def test_deleted_items_are_not_changed_any_more(board: Board) -> None:
    item = await board.item()
    await board.ann.ok("DELETE", f"/items/{item['id']}")
    before = await board.position()
    assert (await board.ann.request("PATCH", f"/items/{item['id']}", {"name": "x"})).status == 404
    assert (await board.ann.request("DELETE", f"/items/{item['id']}")).status == 404
    assert await board.position() == before


# ---- logging in


async def test_tokens_are_taken_with_and_without_a_scheme(server: Server, board: Board) -> None:
    for header in (
        board.ann.token,
        f"Bearer {board.ann.token}",
        f"bearer  {board.ann.token}",
        f"JWT {board.ann.token}",
    ):
        answer = await server.request("GET", "/workspaces", headers={"Authorization": header})
        assert answer.status == 200, header
    for headers in ({}, {"Authorization": "nonsense"}, {"Authorization": f"Bearer {board.ann.refresh_token}"}):
        for method, path in (("GET", "/workspaces"), ("POST", "/items"), ("DELETE", f"/items/{uuid.uuid4()}")):
            answer = await server.request(method, path, {} if method == "POST" else None, headers=headers)
            assert (answer.status, list(answer.body)) == (401, ["message"]), (headers, method, path)


async def test_every_resource_takes_the_token_in_each_way_and_nothing_without(server: Server, board: Board) -> None:
    """Of ids that are unknown and bodies that are empty, so that nobody gets further than through the door."""
    token, before, asked = board.ann.token, await board.position(), 0
    cookie, foreign = {"Cookie": f"access_token={token}"}, {"Origin": "https://evil.example"}
    good = [{"Authorization": f"{scheme}{token}"} for scheme in ("", "Bearer ", "JWT ")]
    good += [cookie | {"Origin": server.url}, {"Authorization": token} | foreign]
    bad = [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": board.ann.refresh_token}]
    bad += [{"Cookie": "access_token=nonsense", "Origin": server.url}, {"Authorization": "nonsense"} | cookie]
    for path, methods in (await server.request("GET", PATH)).body["paths"].items():
        for name, operation in methods.items():
            if {"accessCookie": []} not in operation["security"] or path == "/authenticate/logout":
                continue
            url, body = re.sub(r"{\w+}", str(uuid.uuid4()), path), {} if "requestBody" in operation else None

            async def ask(
                headers: dict[str, str], method: str = name.upper(), to: tuple[str, Any] = (url, body)
            ) -> int:
                return (await server.request(method, *to, headers=headers)).status

            assert {await ask(each) for each in good} <= {200, 400, 404}, (name, path)
            assert {await ask(each) for each in bad} == {401}, (name, path)
            assert await ask(cookie | foreign) in ({200, 400, 404} if name == "get" else {403}), (name, path)
            asked += 1
    assert asked >= 25
    assert await board.position() == before


async def log_in(server: Server, person: Person, **headers: str) -> tuple[Any, str]:
    """The answer to a login and its cookie."""
    body = {"email": person.email.upper(), "password": PASSWORD}
    answer = await server.request("POST", "/authenticate/user", body, headers=headers)
    server.http.cookie_jar.clear()
    return answer, answer.headers.get("Set-Cookie", "")


async def test_post_authenticate_user_gives_a_cookie_for_own_pages_only(server: Server, board: Board) -> None:
    answer, cookie = await log_in(server, board.ann)
    assert (answer.status, answer.body) == (200, {"id": board.ann.id, "tos_accepted": True})
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    token = cookie.partition(";")[0]
    assert (await server.request("GET", "/workspaces", headers={"Cookie": token})).status == 200
    body = {"workspace_id": board.uuid, "name": "x"}
    for origin, status in (
        (server.url, 201),
        ("https://evil.example", 403),
        (server.url + ".evil.example", 403),
        ("null", 403),
        (None, 403),
    ):
        headers = {"Cookie": token} | ({"Origin": origin} if origin else {})
        assert (await server.request("POST", "/collections", body, headers=headers)).status == status, origin
    headers = {"Cookie": token, "Origin": "https://evil.example", "Authorization": board.ann.token}
    assert (await server.request("POST", "/collections", body, headers=headers)).status == 201


async def test_a_foreign_page_logs_nobody_in_or_out(server: Server, board: Board) -> None:
    """A form of the page is enough to send both, and its answer sets cookies."""
    form = aiohttp.FormData({"email": board.ann.email, "password": PASSWORD})
    for origin in ("https://evil.example", "null", server.url + ".evil.example"):
        headers = {"Origin": origin}
        answer = await server.request("POST", "/authenticate/user", data=form(), headers=headers)
        assert (answer.status, answer.headers.get("Set-Cookie")) == (403, None), origin
        answer = await server.request("POST", "/authenticate/logout", headers=headers)
        assert (answer.status, answer.headers.get("Set-Cookie")) == (204, None), origin
    answer, cookie = await log_in(server, board.ann, Origin=server.url)
    assert answer.status == 200 and cookie.startswith("access_token=e")


async def test_post_authenticate_user_and_logout(server: Server, board: Board) -> None:
    _, cookie = await log_in(server, board.ann, **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie.split("; ")
    body = {"email": board.ann.email, "password": "wrong-password"}
    answer = await server.request("POST", "/authenticate/user", body)
    assert (answer.status, list(answer.body)) == (401, ["message"])
    answer = await server.request("POST", "/authenticate/user", {"email": board.ann.email})
    assert (answer.status, answer.body) == (400, {"message": "password: This field is required."})
    answer = await server.request("POST", "/authenticate/logout")
    assert answer.status == 204
    assert answer.headers["Set-Cookie"].startswith('access_token=""; ') and "Max-Age=0" in answer.headers["Set-Cookie"]
