"""Workspaces, members, invitations and notifications: what is answered, and what each socket gets."""

import asyncio
from typing import Any

import pytest

from tests.support.app import Person, RawSocket, Server


async def told(*sockets: RawSocket, by: Person) -> list[list[str]]:
    """What each socket was told since last asked: a marker that reaches all of them ends the wait."""
    marker = f"marker {by.id}"
    await by.ok("PATCH", "/api/user/account/", {"first_name": marker})
    for socket in sockets:
        await socket.until(
            lambda socket=socket: any(
                message["type"] == "user_updated" and message["user"]["first_name"] == marker
                for message in socket.messages[socket._taken :]
            )
        )
    return [[message["type"] for message in socket.rest() if message["type"] != "user_updated"] for socket in sockets]


class Team:
    """Ann (admin) and Bob (member) share a workspace; Eve does not."""

    def __init__(self, ann: Person, bob: Person, eve: Person, workspace: int) -> None:
        self.ann, self.bob, self.eve, self.workspace = ann, bob, eve, workspace


@pytest.fixture
async def team(server: Server) -> Team:
    ann, bob, eve = await asyncio.gather(*[server.sign_up(name) for name in ("Ann", "Bob", "Eve")])
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    return Team(ann, bob, eve, workspace)


async def test_creating_tells_the_users_other_sockets(server: Server, team: Team) -> None:
    here, there = await team.ann.core_socket(), await team.ann.core_socket()
    made = await team.ann.ok("POST", "/api/workspaces/", {"name": " Second "}, socket=here)
    assert (made["name"], made["permissions"], made["order"]) == ("Second", "ADMIN", 2)
    (message,) = await there.expect("group_created")
    assert message["workspace"] == {"id": made["id"], "name": "Second", "generative_ai_models_enabled": {}}
    assert await told(here, there, by=team.ann) == [[], []]


@pytest.mark.parametrize(
    ("who", "method", "path", "body", "status", "code"),
    [
        ("ann", "POST", "/api/workspaces/", {}, 400, "ERROR_REQUEST_BODY_VALIDATION"),
        ("ann", "POST", "/api/workspaces/", {"name": "x" * 200}, 400, "ERROR_REQUEST_BODY_VALIDATION"),
        ("bob", "PATCH", "/api/workspaces/{w}/", {"name": "x"}, 400, "ERROR_USER_INVALID_GROUP_PERMISSIONS"),
        ("eve", "PATCH", "/api/workspaces/{w}/", {"name": "x"}, 400, "ERROR_USER_NOT_IN_GROUP"),
        ("ann", "PATCH", "/api/workspaces/999999/", {"name": "x"}, 404, "ERROR_GROUP_DOES_NOT_EXIST"),
        ("bob", "DELETE", "/api/workspaces/{w}/", None, 400, "ERROR_USER_INVALID_GROUP_PERMISSIONS"),
        ("ann", "POST", "/api/workspaces/{w}/leave/", None, 400, "ERROR_GROUP_USER_IS_LAST_ADMIN"),
        ("eve", "POST", "/api/workspaces/{w}/leave/", None, 400, "ERROR_USER_NOT_IN_GROUP"),
        ("bob", "GET", "/api/workspaces/users/workspace/{w}/", None, 400, "ERROR_USER_INVALID_GROUP_PERMISSIONS"),
        ("ann", "PATCH", "/api/workspaces/users/999999/", {"permissions": "ADMIN"}, 404,
         "ERROR_GROUP_USER_DOES_NOT_EXIST"),
        ("ann", "PATCH", "/api/workspaces/users/{ann}/", {"permissions": "NOPE"}, 400,
         "ERROR_REQUEST_BODY_VALIDATION"),
        ("ann", "PATCH", "/api/workspaces/users/{ann}/", {"permissions": "MEMBER"}, 400,
         "ERROR_GROUP_USER_IS_LAST_ADMIN"),
        ("ann", "DELETE", "/api/workspaces/users/{ann}/", None, 400, "ERROR_CANNOT_DELETE_YOURSELF_FROM_GROUP"),
        ("bob", "DELETE", "/api/workspaces/users/{ann}/", None, 400, "ERROR_USER_INVALID_GROUP_PERMISSIONS"),
        ("eve", "POST", "/api/workspaces/invitations/{i}/accept/", None, 400,
         "ERROR_GROUP_INVITATION_EMAIL_MISMATCH"),
        ("ann", "POST", "/api/workspaces/invitations/999999/accept/", None, 404,
         "ERROR_GROUP_INVITATION_DOES_NOT_EXIST"),
        ("ann", "POST", "/api/workspaces/invitations/workspace/{w}/", {"email": "nope", "permissions": "MEMBER",
         "base_url": "http://x"}, 400, "ERROR_REQUEST_BODY_VALIDATION"),
        ("ann", "POST", "/api/workspaces/invitations/workspace/{w}/", {"email": "{bob}", "permissions": "MEMBER",
         "base_url": "http://x"}, 400, "ERROR_GROUP_USER_ALREADY_EXISTS"),
    ],
)  # fmt: skip
async def test_what_is_refused_changes_nothing_and_tells_nobody(
    server: Server, team: Team, who: str, method: str, path: str, body: Any, status: int, code: str
) -> None:
    members = await team.ann.ok("GET", f"/api/workspaces/users/workspace/{team.workspace}/")
    invited = {"email": "somebody@example.com", "permissions": "MEMBER", "base_url": server.url}
    invitation = await team.ann.ok("POST", f"/api/workspaces/invitations/workspace/{team.workspace}/", invited)
    sockets = [await person.core_socket() for person in (team.ann, team.bob)]
    head = await server.log_position()
    path = path.format(w=team.workspace, ann=members[0]["id"], i=invitation["id"])
    if body and body.get("email") == "{bob}":
        body = body | {"email": team.bob.email}
    answer = await getattr(team, who).request(method, path, body)
    assert (answer.status, answer.body.get("error")) == (status, code)
    assert await server.log_position() == head
    assert await told(*sockets, by=team.ann) == [[], []]
    assert (await team.ann.ok("GET", "/api/workspaces/"))[0]["name"] == "Team"


async def test_an_invitation_from_end_to_end(server: Server, team: Team) -> None:
    ann, eve = await team.ann.core_socket(), await team.eve.core_socket()
    body = {"email": team.eve.email.upper(), "permissions": "MEMBER", "message": "hi", "base_url": server.url}
    made = await team.ann.ok("POST", f"/api/workspaces/invitations/workspace/{team.workspace}/", body, socket=ann)
    invited, note = await eve.expect("workspace_invitation_updated_or_created", "notifications_created")
    assert invited["invitation"]["workspace"] == "Team"
    assert note["notifications"][0]["data"]["invitation_id"] == made["id"]
    assert (await team.eve.ok("GET", "/api/user/dashboard/"))["workspace_invitations"] == [invited["invitation"]]
    joined = await team.eve.ok("POST", f"/api/workspaces/invitations/{made['id']}/accept/", socket=eve)
    assert [member["email"] for member in joined["users"]] == [team.ann.email, team.bob.email, team.eve.email]
    added, _ = await ann.expect("group_user_added", "notifications_created")
    assert added["workspace_user"]["user_id"] == team.eve.id
    await eve.expect("workspace_invitation_accepted", "notification_marked_as_read")
    await team.ann.ok("PATCH", f"/api/workspaces/{team.workspace}/", {"name": "Now three"})
    await eve.expect("group_updated")
    again = await team.eve.request("POST", f"/api/workspaces/invitations/{made['id']}/accept/")
    assert again.status == 404


async def test_a_rejected_invitation_tells_the_inviter(server: Server, team: Team) -> None:
    ann = await team.ann.core_socket()
    body = {"email": team.eve.email, "permissions": "ADMIN", "base_url": server.url}
    made = await team.ann.ok("POST", f"/api/workspaces/invitations/workspace/{team.workspace}/", body)
    await team.eve.ok("POST", f"/api/workspaces/invitations/{made['id']}/reject/")
    (note,) = await ann.expect("notifications_created")
    assert note["notifications"][0]["type"] == "workspace_invitation_rejected"
    assert (await team.ann.request("GET", f"/api/workspaces/{team.workspace}/permissions/")).status == 200
    assert (await team.eve.request("GET", f"/api/workspaces/{team.workspace}/permissions/")).status == 400


async def test_a_removed_member_is_told_and_hears_nothing_more(server: Server, team: Team) -> None:
    ann, bob = await team.ann.core_socket(), await team.bob.core_socket()
    members = await team.ann.ok("GET", f"/api/workspaces/users/workspace/{team.workspace}/")
    await team.ann.ok("DELETE", f"/api/workspaces/users/{members[1]['id']}/", socket=ann)
    (message,) = await bob.expect("group_user_deleted")
    assert (message["id"], message["workspace_user"]["id"]) == (members[1]["id"], None)
    await team.ann.ok("PATCH", f"/api/workspaces/{team.workspace}/", {"name": "Without Bob"})
    await ann.expect("group_updated")
    assert await told(bob, by=team.bob) == [[]]
    await team.ann.invite(team.bob, team.workspace)
    await team.ann.ok("PATCH", f"/api/workspaces/{team.workspace}/", {"name": "With Bob"})
    kinds = (await told(bob, by=team.bob))[0]
    assert kinds[-1] == "group_updated"


async def test_leaving_and_roles(server: Server, team: Team) -> None:
    bob = await team.bob.core_socket()
    members = await team.ann.ok("GET", f"/api/workspaces/users/workspace/{team.workspace}/")
    await team.ann.ok("PATCH", f"/api/workspaces/users/{members[1]['id']}/", {"permissions": "ADMIN"})
    (message,) = await bob.expect("group_user_updated")
    assert message["workspace_user"]["permissions"] == "ADMIN"
    ann = await team.ann.core_socket()
    await team.ann.ok("POST", f"/api/workspaces/{team.workspace}/leave/")
    await ann.expect("group_user_deleted")
    await bob.expect("group_user_deleted")
    assert await team.ann.ok("GET", "/api/workspaces/") == []


async def test_deleting_a_workspace(server: Server, team: Team) -> None:
    bob = await team.bob.core_socket()
    await team.ann.ok("DELETE", f"/api/workspaces/{team.workspace}/")
    before, after = await bob.expect("before_group_deleted", "group_deleted")
    assert before["workspace_id"] == after["workspace_id"] == team.workspace
    gone = await team.bob.request("PATCH", f"/api/workspaces/{team.workspace}/", {"name": "x"})
    assert (gone.status, gone.body["error"]) == (404, "ERROR_GROUP_DOES_NOT_EXIST")
    assert await team.bob.ok("GET", "/api/workspaces/") == []


async def test_the_order_of_workspaces_is_the_users_own(server: Server, team: Team) -> None:
    second = await team.ann.workspace("Second")
    here, there = await team.ann.core_socket(), await team.ann.core_socket()
    await team.ann.ok("POST", "/api/workspaces/order/", {"workspaces": [second, team.workspace]}, socket=here)
    await there.expect("groups_reordered")
    assert [each["id"] for each in await team.ann.ok("GET", "/api/workspaces/")] == [second, team.workspace]
    assert await told(here, by=team.ann) == [[]]


async def test_notifications_are_listed_and_read(server: Server, team: Team) -> None:
    ann = await team.ann.core_socket()
    page = await team.ann.ok("GET", f"/api/notifications/{team.workspace}/")
    assert (page["count"], page["results"][0]["type"]) == (1, "workspace_invitation_accepted")
    assert (await team.ann.ok("GET", "/api/workspaces/"))[0]["unread_notifications_count"] == 1
    number = page["results"][0]["id"]
    await team.ann.ok("PATCH", f"/api/notifications/{team.workspace}/{number}/", {"read": True})
    await ann.expect("notification_marked_as_read")
    assert (await team.ann.ok("GET", "/api/workspaces/"))[0]["unread_notifications_count"] == 0
    foreign = await team.bob.request("PATCH", f"/api/notifications/{team.workspace}/{number}/", {"read": True})
    assert foreign.status == 404
