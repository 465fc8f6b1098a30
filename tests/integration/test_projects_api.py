"""Management of projects and endpoints: who may, what is refused, and which sockets it ends."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.app import Server
from tests.support.records import RunningEndpoint

HEX = set("0123456789abcdef")


async def test_get_and_post_projects(server: Server) -> None:
    ann = await server.sign_up("Ann")
    workspace = await ann.workspace()
    origins = ["HTTPS://App.Example.com/", "https://app.example.com:443", "http://localhost:3000"]
    body = {"workspace_id": workspace, "name": "Web shop", "origins": origins, "deny_no_origin": True}
    made = await ann.ok("POST", "/api/projects/", body)
    assert list(made) == ["id", "workspace_id", "name", "key", "master_key", "origins", "deny_no_origin"]
    assert made["origins"] == ["https://app.example.com", "http://localhost:3000"]
    assert len(made["key"]) == 32 and set(made["key"]) <= HEX and made["master_key"] != made["key"]
    assert await ann.ok("GET", f"/api/projects/{made['id']}/") == made
    assert await ann.ok("GET", "/api/projects/") == [made]
    assert await ann.ok("GET", f"/api/projects/?workspace_id={workspace}") == [made]


async def test_get_patch_and_delete_projects_id_and_rotate_key(endpoint: RunningEndpoint) -> None:
    project, path = endpoint.project, f"/api/projects/{endpoint.project['id']}/"
    changes = {"name": "Another name", "origins": ["https://a.example"], "deny_no_origin": True}
    assert await endpoint.manage("PATCH", path, changes) == project | changes
    rotated = await endpoint.manage("POST", path + "rotate-key/")
    assert rotated == project | changes | {"key": rotated["key"]} and len(rotated["key"]) == 32
    assert rotated["key"] != project["key"]
    assert await endpoint.manage("GET", path) == rotated
    assert (await endpoint.admin.request("DELETE", path)).status == 204
    for gone in (path, f"/api/endpoints/{endpoint.shown['id']}/"):
        assert (await endpoint.admin.request("GET", gone)).status == 404


async def test_get_and_post_endpoints_and_get_patch_and_delete_endpoints_id(endpoint: RunningEndpoint) -> None:
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    access = {"read": True, "update": False, "delete": False}
    body = {"name": "shop/parcels", "description": "Sent", "secure": True, "access": {"read": True}}
    made = await endpoint.manage("POST", path, body)
    shown = {"id": made["id"], "project_id": endpoint.project["id"], "authentication": False}
    assert made == shown | body | {"access": access}
    assert endpoint.shown["access"] == dict.fromkeys(access, False)
    assert await endpoint.manage("GET", path) == [endpoint.shown, made]
    one = f"/api/endpoints/{made['id']}/"
    changed = await endpoint.manage("PATCH", one, {"name": "shop/letters", "access": {"delete": True}})
    assert changed == made | {"name": "shop/letters", "access": access | {"read": False, "delete": True}}
    assert await endpoint.manage("GET", one) == changed
    await endpoint.ok("POST", 1, name="shop/letters", masterKey=endpoint.project["master_key"])
    assert (await endpoint.admin.request("DELETE", one)).status == 204
    assert await endpoint.manage("GET", path) == [endpoint.shown]
    again = await endpoint.manage("POST", path, {"name": "shop/letters"})
    assert again["id"] != made["id"] and await endpoint.ok("GET", name="shop/letters") == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "shop"}, "name: Ensure this field has at least 5 characters."),
        ({"name": "x" * 255}, "name: Ensure this field has no more than 254 characters."),
        ({"name": "shop <b>"}, "name: Only letters, digits, spaces, hyphens and underscores are allowed."),
        ({"origins": "https://a.example"}, 'origins: Expected a list of items but got type "str".'),
        ({"origins": ["a.example"]}, "origins: 0: Enter an http or https origin: scheme, host and port only."),
        ({"deny_no_origin": "perhaps"}, "deny_no_origin: Must be a valid boolean."),
    ],
)
async def test_refused_projects(endpoint: RunningEndpoint, change: dict[str, Any], message: str) -> None:
    good = {"workspace_id": endpoint.project["workspace_id"], "name": "Another shop"}
    for method, path, body in (
        ("POST", "/api/projects/", good | change),
        ("PATCH", f"/api/projects/{endpoint.project['id']}/", change),
    ):
        answer = await endpoint.admin.request(method, path, body)
        assert (answer.status, answer.body) == (400, {"error": {"code": 400, "message": message}})
    assert await endpoint.manage("GET", "/api/projects/") == [endpoint.project]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "shop"}, "at least 5 characters"),
        ({"name": "x" * 255}, "no more than 254 characters"),
        ({"name": "shop--orders"}, "no --"),
        ({"name": "-orders"}, "no - or /"),
        ({"name": "orders/"}, "no - or /"),
        ({"name": "Orders"}, "lower-case"),
        ({"name": "orders?x"}, "lower-case"),
        ({"name": "shop/orders"}, "is taken"),
        ({"name": "vaults", "access": {"read": True}}, "need a secure endpoint"),
        ({"name": "people", "authentication": True, "access": {"delete": True}}, "need a secure endpoint"),
        ({}, "name: This field is required."),
    ],
)
async def test_refused_endpoints(endpoint: RunningEndpoint, body: dict[str, Any], words: str) -> None:
    path = f"/api/projects/{endpoint.project['id']}/endpoints/"
    answer = await endpoint.admin.request("POST", path, body)
    assert answer.status == 400 and words in answer.body["error"]["message"]
    assert await endpoint.manage("GET", path) == [endpoint.shown]


async def test_names_are_unique_across_projects_and_may_be_freed(endpoint: RunningEndpoint, server: Server) -> None:
    bob = await server.sign_up("Bob")
    project = await bob.ok("POST", "/api/projects/", {"workspace_id": await bob.workspace(), "name": "Rival"})
    path, body = f"/api/projects/{project['id']}/endpoints/", {"name": endpoint.shown["name"]}
    answer = await bob.request("POST", path, body)
    assert (answer.status, answer.body["error"]["message"]) == (400, "The name of the endpoint is taken.")
    await endpoint.ok("POST", {"left": "behind"})
    await endpoint.manage("DELETE", f"/api/endpoints/{endpoint.shown['id']}/")
    await bob.ok("POST", path, body)
    endpoint.project = project
    assert await endpoint.ok("GET") == []


async def test_members_see_and_admins_change(endpoint: RunningEndpoint, server: Server) -> None:
    bob, eve = await server.sign_up("Bob"), await server.sign_up("Eve")
    await endpoint.admin.invite(bob, endpoint.project["workspace_id"])
    project, shown = f"/api/projects/{endpoint.project['id']}/", f"/api/endpoints/{endpoint.shown['id']}/"
    reads = [project, f"{project}endpoints/", shown]
    for path in reads:
        assert await bob.ok("GET", path) == await endpoint.manage("GET", path)
        assert (await eve.request("GET", path)).status == 403
        assert (await server.request("GET", path)).status == 401
    assert await eve.ok("GET", "/api/projects/") == []
    new = {"workspace_id": endpoint.project["workspace_id"], "name": "Bob's"}
    for method, path, body in (
        ("POST", "/api/projects/", new | {"name": "Bob shop"}),
        ("PATCH", project, {"name": "Bob shop"}),
        ("POST", f"{project}rotate-key/", None),
        ("POST", f"{project}endpoints/", {"name": "bobs-own"}),
        ("PATCH", shown, {"name": "bobs-own"}),
        ("DELETE", shown, None),
        ("DELETE", project, None),
    ):
        for person in (bob, eve):
            assert (await person.request(method, path, body)).status == 403, (method, path)
    assert await endpoint.manage("GET", "/api/projects/") == [endpoint.project]
    assert await endpoint.manage("GET", f"{project}endpoints/") == [endpoint.shown]


@pytest.mark.parametrize("path", ["/api/projects/99/", "/api/endpoints/99/", "/api/projects/99/endpoints/"])
async def test_what_is_not_there(server: Server, path: str) -> None:
    ann = await server.sign_up("Ann")
    answer = await ann.request("GET", path)
    assert (answer.status, answer.body["error"]["code"]) == (404, 404)


Change = tuple[str, Callable[[RunningEndpoint], str], Any]
PROJECT, ENDPOINT = (lambda at: f"/api/projects/{at.project['id']}/"), (lambda at: f"/api/endpoints/{at.shown['id']}/")
ENDING: dict[str, Change] = {
    "The endpoint was deleted.": ("DELETE", ENDPOINT, None),
    "The options of the endpoint changed.": ("PATCH", ENDPOINT, {"name": "shop/parcels"}),
    "The API key changed.": ("POST", lambda at: PROJECT(at) + "rotate-key/", None),
    "The allowed origins changed.": ("PATCH", PROJECT, {"origins": ["https://a.example"]}),
}


@pytest.mark.parametrize("reason", ENDING)
async def test_changes_that_end_sockets(endpoint: RunningEndpoint, reason: str) -> None:
    method, path, body = ENDING[reason]
    socket = await endpoint.listening()
    await endpoint.ok("POST", {"last": "words"})
    await endpoint.manage(method, path(endpoint), body)
    await socket.until(lambda: socket.closed)
    assert socket.closed == (1000, reason)
    assert [message["type"] for message in socket.messages] == ["POST"]
    assert endpoint.watchers() == 0


async def test_deny_no_origin_and_deleting_the_project_end_sockets(endpoint: RunningEndpoint) -> None:
    first = await endpoint.listening()
    await endpoint.manage("PATCH", PROJECT(endpoint), {"deny_no_origin": True})
    second = await endpoint.listening(headers={"Origin": "https://a.example"})
    await endpoint.manage("DELETE", PROJECT(endpoint))
    for socket, reason in ((first, "The allowed origins changed."), (second, "The endpoint was deleted.")):
        await socket.until(lambda socket=socket: socket.closed)
        assert socket.closed == (1000, reason)
    answer = await endpoint.call("GET")
    assert (answer.status, answer.body["error"]["message"]) == (400, "The endpoint is invalid.")


async def test_changes_that_end_nothing(endpoint: RunningEndpoint) -> None:
    socket = await endpoint.listening()
    await endpoint.manage("PATCH", ENDPOINT(endpoint), {"description": "Orders of the shop"})
    await endpoint.manage("PATCH", ENDPOINT(endpoint), {"name": endpoint.shown["name"]})
    await endpoint.manage("PATCH", PROJECT(endpoint), {"name": "Shop on the web", "origins": []})
    answer = await endpoint.admin.request("PATCH", ENDPOINT(endpoint), {"access": {"read": True}})
    assert answer.status == 400
    made = await endpoint.ok("POST", 1)
    assert await socket.next() == {"type": "POST", "record": made}
    assert socket.closed is None
