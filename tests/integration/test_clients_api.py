"""Clients of the items API: made and ended by admins, let in as a member of one workspace, and nowhere else."""

import time
import uuid
from typing import Any

import aiohttp
import jwt
import pytest

from server.rest.openapi import PATH
from tests.support.app import SECRET, Server, running_server
from tests.support.boards import SPACE_TIME, Board, Connect, Listener, brief, make_board, refuses_bodies
from tests.support.clients import acting, authenticated, make_client
from tests.support.core_2026 import newcomer
from tests.support.socketio_client import Refused, session_client

# ---- POST, GET /clients; DELETE /clients/{client_id}


async def test_post_clients_shows_the_secret_once(board: Board) -> None:
    answer = await board.ann.request("POST", "/clients", {"workspace_id": board.workspace, "name": "Importer"})
    made = answer.body
    assert answer.status == 201 and answer.headers["Cache-Control"] == "no-store"
    assert made.keys() == {"client_id", "workspace_id", "name", "created_at", "client_secret"}
    assert (made["workspace_id"], made["name"]) == (board.uuid, "Importer") and uuid.UUID(made["client_id"])
    assert len(made["client_secret"]) == 43
    time.strptime(made["created_at"], SPACE_TIME)
    assert await board.ann.ok("GET", "/clients") == [{key: made[key] for key in made if key != "client_secret"}]


async def test_get_clients_lists_those_of_ones_own_workspaces(server: Server, board: Board) -> None:
    other = await make_board(board.ann)
    first, second, elsewhere = await make_client(board), await make_client(board), await make_client(other)
    ids = [each["client_id"] for each in (first, second, elsewhere)]

    async def listed(query: str = "") -> list[str]:
        return [each["client_id"] for each in await board.ann.ok("GET", f"/clients{query}")]

    assert await listed() == ids
    for spelling in (board.uuid, board.workspace):
        assert await listed(f"?workspace_id={spelling}") == ids[:2]
    assert await listed(f"?workspace_id={other.uuid}") == ids[2:]


async def test_delete_clients_client_id_ends_one_and_no_other(server: Server, board: Board, listen: Connect) -> None:
    client, other = await make_client(board), await make_client(board)
    one, two = await authenticated(server, client), await authenticated(server, other)
    assert one.id != two.id
    socket, kept = await listen(one, board.uuid), await listen(two, board.uuid)
    raw = await server.websocket(f"/ws/events/?jwt_token={one.token}")
    async with session_client(server.url, "/events", one.token) as session:
        answer = await board.ann.request("DELETE", f"/clients/{client['client_id'].upper()}")
        assert (answer.status, answer.body) == (204, None)
        await socket.ended.wait()
        await session.drop()
        with pytest.raises(Refused, match="Unauthorized"):
            await session.connect()
    await raw.until(lambda: raw.closed)
    assert raw.closed is not None and raw.closed[0] == 4403
    for method, path in (("GET", "/workspaces"), ("DELETE", f"/items/{uuid.uuid4()}"), ("GET", "/clients")):
        assert (await one.request(method, path)).status == 401
    assert (await refusal(server, client))["status"] == 401
    assert (await board.ann.request("DELETE", f"/clients/{client['client_id']}")).status == 404
    assert [each["client_id"] for each in await board.ann.ok("GET", "/clients")] == [other["client_id"]]
    item = await two.ok("POST", "/items", {"column_id": board.columns[0], "name": "x"})
    assert brief(await kept.take(2))[0] == ("item-updated", item["id"])


async def test_clients_are_the_business_of_admins(server: Server, board: Board) -> None:
    bob, eve, client = await newcomer(server, "Bob"), await newcomer(server, "Eve"), await make_client(board)
    await board.ann.invite(bob, board.workspace)
    program, before = await authenticated(server, client), await board.position()
    for who in (bob, eve, program):
        for method, path, body in (
            ("GET", "/clients", None),
            ("GET", f"/clients?workspace_id={board.uuid}", None),
            ("POST", "/clients", {"workspace_id": board.uuid, "name": "x"}),
            ("DELETE", f"/clients/{client['client_id']}", None),
        ):
            answer = await who.request(method, path, body)
            assert (answer.status, list(answer.body)) == (403, ["message"]), (method, path, answer.body)
    assert await board.position() == before and len(await board.ann.ok("GET", "/clients")) == 1


async def test_clients_errors_name_the_field_and_leave_nothing(server: Server, board: Board) -> None:
    before = await board.position()
    for body, message in (
        ({"name": "x"}, "workspace_id: This field is required."),
        ({"workspace_id": board.uuid}, "name: This field is required."),
        ({"workspace_id": board.uuid, "name": " "}, "name: This field may not be blank."),
        ({"workspace_id": board.uuid, "name": "x\0"}, "name: Null characters are not allowed."),
        ({"workspace_id": board.uuid, "name": "x" * 151}, "name: Ensure this field has no more than 150 characters."),
        ({"workspace_id": [], "name": "x"}, "workspace_id: Not a valid string."),
    ):
        answer = await board.ann.request("POST", "/clients", body)
        assert (answer.status, answer.body) == (400, {"message": message})
    for unknown in (str(uuid.uuid4()), "x", "0", "99999999999"):
        assert (await board.ann.request("POST", "/clients", {"workspace_id": unknown, "name": "x"})).status == 404
        assert (await board.ann.request("GET", f"/clients?workspace_id={unknown}")).status == 404
        assert (await board.ann.request("DELETE", f"/clients/{unknown}")).status == 404
    await refuses_bodies(board.ann, "/clients")
    assert (await server.request("GET", "/clients")).status == 401
    assert await board.position() == before and await board.ann.ok("GET", "/clients") == []


# ---- POST /authenticate/client


async def refusal(server: Server, credentials: dict[str, Any]) -> dict[str, Any]:
    """All that a client sees of a refusal, but for the name and the time of the request."""
    body = {name: credentials[name] for name in ("client_id", "client_secret")}
    answer = await server.request("POST", "/authenticate/client", body)
    headers = {name: value for name, value in answer.headers.items() if name not in ("Date", "X-Request-ID")}
    return {"status": answer.status, "body": answer.body, "headers": headers}


async def test_post_authenticate_client_gives_a_token_for_an_hour(server: Server, board: Board) -> None:
    client = await make_client(board)
    credentials = {name: client[name] for name in ("client_id", "client_secret")}
    answer = await server.request("POST", "/authenticate/client", credentials)
    token = answer.body.pop("access_token")
    assert (answer.status, answer.body) == (200, {"expires_in": 3600, "token_type": "Bearer"})
    assert "Set-Cookie" not in answer.headers
    claims = jwt.decode(token, SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 3600
    form = aiohttp.FormData(credentials | {"client_id": client["client_id"].upper()})
    assert (await server.request("POST", "/authenticate/client", data=form)).status == 200
    for header in (token, f"Bearer {token}", f"JWT {token}"):
        found = await server.request("GET", "/workspaces", headers={"Authorization": header})
        assert [each["id"] for each in found.body] == [board.uuid]


async def test_post_authenticate_client_refuses_in_the_same_words(server: Server, board: Board) -> None:
    client, other, gone = await make_client(board), await make_client(board), await make_client(board)
    await board.ann.ok("DELETE", f"/clients/{gone['client_id']}")
    before = await board.position()
    wrong = [
        client | {"client_secret": other["client_secret"]},
        client | {"client_secret": client["client_secret"][:-1]},
        client | {"client_secret": client["client_secret"] + "x"},
        client | {"client_id": str(uuid.uuid4())},
        client | {"client_id": "nonsense"},
        client | {"client_id": "é" * 5000},
        gone,
    ]
    refusals = [await refusal(server, each) for each in wrong]
    assert refusals == [refusals[0]] * len(wrong)
    assert refusals[0]["status"] == 401 and list(refusals[0]["body"]) == ["message"]
    for body, message in (
        ({"client_id": client["client_id"]}, "client_secret: This field is required."),
        ({"client_secret": "x"}, "client_id: This field is required."),
        ({"client_id": "x\0", "client_secret": "x"}, "client_id: Null characters are not allowed."),
        ({"client_id": {}, "client_secret": "x"}, "client_id: Not a valid string."),
    ):
        answer = await server.request("POST", "/authenticate/client", body)
        assert (answer.status, answer.body) == (400, {"message": message})
    await refuses_bodies(board.ann, "/authenticate/client")
    assert await board.position() == before


async def test_post_authenticate_client_is_throttled_as_logins_are(sqlite_url: str) -> None:
    async with running_server(database_url=sqlite_url, logins_per_account=2, login_window=900.0) as server:
        board = await make_board(await newcomer(server, "Ann"))
        client, other = await make_client(board), await make_client(board)
        for _ in range(4):
            await authenticated(server, client)
        wrong = client | {"client_secret": "wrong"}
        assert [(await refusal(server, wrong))["status"] for _ in range(3)] == [401, 401, 429]
        found = await refusal(server, client)
        assert found["status"] == 429 and int(found["headers"]["Retry-After"]) > 0
        await authenticated(server, other)


# ---- what a client may do


async def test_a_client_acts_as_a_member_on_every_resource(server: Server, board: Board) -> None:
    program = await authenticated(server, await make_client(board))
    collection = await program.ok("POST", "/collections", {"workspace_id": board.uuid, "name": "Bills"})
    body = {"collection_id": collection["id"], "name": "Incoming", "classification": "RECEIPT"}
    workflow = await program.ok("POST", "/workflows", body)
    column = await program.ok("POST", "/columns", {"workflow_id": workflow["id"], "name": "More"})
    item = await program.ok("POST", "/items", {"column_id": column["id"], "name": "x"})
    comment = await program.ok("POST", f"/items/{item['id']}/comments", {"text": "Scanned."})
    assert comment["user_id"] == program.id
    things = {
        f"/collections/{collection['id']}": {"name": "y"},
        f"/workflows/{workflow['id']}": {"name": "y"},
        f"/columns/{column['id']}": {"name": "y"},
        f"/items/{item['id']}": {"name": "y", "user_id": program.id, "locked_by_user_id": program.id},
    }
    for path, changes in things.items():
        assert (await program.ok("PATCH", path, changes)).items() >= changes.items()
    for path in ("/workspaces?include=collections,workflows", f"/workspaces/{board.uuid}", "/collections", *things):
        if not path.startswith("/columns/"):
            assert await program.ok("GET", path) == await board.ann.ok("GET", path), path
    assert (await board.ann.request("PATCH", f"/items/{item['id']}", {"name": "z"})).status == 409
    assert (await program.request("DELETE", f"/comments/{comment['id']}")).status == 204
    for path in reversed(things):
        assert (await program.request("DELETE", path)).status == 204, path


async def test_a_client_does_nothing_in_other_workspaces(server: Server, board: Board, listen: Connect) -> None:
    other, program = await make_board(board.ann), await authenticated(server, await make_client(board))
    item, before = await other.item(), await other.position()
    for method, path, body in (
        ("GET", f"/workspaces/{other.uuid}", None),
        ("GET", f"/collections?workspace_id={other.uuid}", None),
        ("POST", "/collections", {"workspace_id": other.uuid, "name": "x"}),
        ("GET", f"/workflows/{other.workflow['id']}", None),
        ("PATCH", f"/columns/{other.columns[0]}", {"name": "x"}),
        ("POST", "/items", {"column_id": other.columns[0], "name": "x"}),
        ("GET", f"/items/{item['id']}", None),
        ("DELETE", f"/items/{item['id']}", None),
        ("GET", f"/items/{item['id']}/comments", None),
        ("POST", f"/items/{item['id']}/comments", {"text": "x"}),
    ):
        answer = await program.request(method, path, body)
        assert (answer.status, list(answer.body)) == (403, ["message"]), (method, path)
    assert [each["id"] for each in await program.ok("GET", "/workspaces")] == [board.uuid]
    assert await program.ok("GET", "/items") == []
    socket = await listen(program)
    assert (await socket.call("select-workspace", other.uuid))["ok"] is False
    assert await other.position() == before


async def test_a_client_is_refused_wherever_else_a_token_is_taken(server: Server, board: Board) -> None:
    program = await authenticated(server, await make_client(board))
    before, asked = await board.position(), 0
    for path, methods in (await server.request("GET", PATH)).body["paths"].items():
        for method, operation in methods.items():
            if operation["security"] == [{"accessToken": []}]:
                url = path.format_map(Ones())
                answer = await program.request(method.upper(), url, {} if "requestBody" in operation else None)
                assert answer.status == 401, (method, path, answer.body)
                asked += 1
    assert asked > 40, "database API, streams, management of endpoints"
    core = await server.websocket(f"/ws/core/?jwt_token={program.token}")
    assert not (await core.expect("authentication"))[0]["success"]
    with pytest.raises(Refused, match="Unauthorized"):
        async with session_client(server.url, "/core", program.token):
            pass
    for field in ("refresh_token", "token"):
        assert (await server.request("POST", "/api/user/token-refresh/", {field: program.token})).status == 401
    assert await board.position() == before


class Ones(dict[str, str]):
    """Any parameter of a path: 1."""

    def __missing__(self, name: str) -> str:
        return "1"


async def test_nobody_sees_a_client_among_the_members(server: Server, board: Board) -> None:
    ann, members = board.ann, f"/api/workspaces/users/workspace/{board.workspace}/"
    core = await ann.core_socket()
    program = await authenticated(server, await make_client(board))
    (member,) = await ann.ok("GET", members)
    (workspace,) = await ann.ok("GET", "/api/workspaces/")
    assert member["user_id"] == ann.id and len(workspace["users"]) == 1
    hidden = member["id"] + 1
    for method, body in (("PATCH", {"permissions": "ADMIN"}), ("DELETE", None)):
        answer = await ann.request(method, f"/api/workspaces/users/{hidden}/", body)
        assert (answer.status, answer.body["error"]) == (404, "ERROR_GROUP_USER_DOES_NOT_EXIST")
    answer = await ann.request("POST", f"/api/workspaces/{board.workspace}/leave/")
    assert (answer.status, answer.body["error"]) == (400, "ERROR_GROUP_USER_IS_LAST_ADMIN")
    assert len(await program.ok("GET", "/workspaces")) == 1
    await ann.ok("PATCH", f"/api/workspaces/{board.workspace}/", {"name": "marker"})
    await core.expect("group_updated")


async def test_a_client_outlives_the_rights_of_who_made_it(server: Server, board: Board) -> None:
    ann, bob = board.ann, await newcomer(server, "Bob")
    await ann.invite(bob, board.workspace, "ADMIN")
    client = await make_client(board)
    program = await authenticated(server, client)
    members = await bob.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    anns = f"/api/workspaces/users/{next(each['id'] for each in members if each['user_id'] == ann.id)}/"
    await bob.ok("PATCH", anns, {"permissions": "MEMBER"})
    assert (await ann.request("DELETE", f"/clients/{client['client_id']}")).status == 403
    await bob.ok("DELETE", anns)
    await program.ok("POST", "/items", {"column_id": board.columns[0], "name": "x"})
    await authenticated(server, client)
    assert [each["client_id"] for each in await bob.ok("GET", "/clients")] == [client["client_id"]]


async def test_a_client_ends_with_its_workspace(server: Server, board: Board, listen: Connect) -> None:
    client = await make_client(board)
    program, path = await authenticated(server, client), f"/items/{(await board.item())['id']}"
    socket = await listen(program, board.uuid)
    await board.ann.ok("DELETE", f"/api/workspaces/{board.workspace}/")
    assert await socket.take(1) == [("workspace-deselected", board.uuid)]
    assert (await socket.call("select-workspace", board.uuid))["ok"] is False
    assert await program.ok("GET", "/workspaces") == []
    assert (await program.request("GET", path)).status == 404
    assert (await refusal(server, client))["status"] == 401
    assert (await board.ann.request("DELETE", f"/clients/{client['client_id']}")).status == 404


# ---- what a client hears


async def test_a_client_hears_what_people_hear_but_not_itself(server: Server, board: Board, listen: Connect) -> None:
    program = await authenticated(server, await make_client(board))
    anns, own = await listen(board.ann, board.uuid), await listen(program, board.uuid)
    second = await listen(headers={"Authorization": f"Bearer {program.token}"})
    await second.select(board.workspace)
    raw = await server.websocket(f"/ws/events/?jwt_token={program.token}")
    (welcome,) = await raw.expect("authentication")
    await raw.send({"select-workspace": board.uuid})
    await raw.expect("workspace-selected")

    async def make(name: str, leaving_out: str) -> Any:
        headers = {"WebSocketId": leaving_out}
        return await program.ok("POST", "/items", {"column_id": board.columns[0], "name": name}, headers=headers)

    first, other = await make("one", own.id), await make("two", welcome["web_socket_id"])
    await board.ann.ok("PATCH", f"/items/{first['id']}", {"name": "of Ann"}, headers={"WebSocketId": own.id})

    def expected(*items: dict[str, Any]) -> list[Any]:
        counts = {first["id"]: 1, other["id"]: 2}
        return [
            pair
            for item in items
            for pair in (("item-updated", item["id"]), ("column-patched", board.columns[0], counts[item["id"]]))
        ]

    changed = ("item-updated", first["id"])
    for socket in (anns, second):
        assert await heard(socket, 5) == [*expected(first, other), changed]
    assert await heard(own, 3) == [*expected(other), changed], "another's WebSocketId is not its own"
    await raw.until(lambda: len(raw.messages) >= 5)
    assert [each["data"]["id"] for each in raw.rest()] == [first["id"], board.columns[0], first["id"]]


async def heard(socket: Listener, count: int) -> list[Any]:
    """So many events, and nothing else."""
    found = brief(await socket.take(count))
    assert await socket.rest() == []
    return found


async def test_a_client_takes_its_session_up_again(server: Server, board: Board) -> None:
    program = await authenticated(server, await make_client(board))
    async with session_client(server.url, "/events", program.token) as session:
        await session.call("select-workspace", board.uuid)
        first = await board.item()
        await session.until(2)
        await session.drop()
        missed = await board.item()
        await session.connect()
        events = await session.until(4)
        assert session.recovered
    assert [event[1][0]["id"] for event in events] == [first["id"], board.columns[0], missed["id"], board.columns[0]]


async def test_the_token_of_a_client_that_expires_ends_its_sockets(
    server: Server, board: Board, listen: Connect
) -> None:
    program = await authenticated(server, await make_client(board))
    claims = jwt.decode(program.token, SECRET, algorithms=["HS256"])
    soon = acting(server, jwt.encode(claims | {"exp": int(time.time()) + 1}, SECRET, algorithm="HS256"))
    socket, raw = await listen(soon, board.uuid), await server.websocket(f"/ws/events/?jwt_token={soon.token}")
    await socket.ended.wait()
    await raw.until(lambda: raw.closed)
    assert raw.closed == (4401, "token expired")
