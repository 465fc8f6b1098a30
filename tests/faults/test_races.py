"""Moments so short that only a hook in the server's own process hits them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.store import sessions
from server.store.transaction import Transaction
from tests.support.app import Server, running_server
from tests.support.boards import make_board
from tests.support.socketio_client import session_client


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[Server]:
    """On PostgreSQL, where one statement of a transaction sees what was committed since the last one."""
    async with running_server(database_url=postgres_url, signup_creates_workspace=False) as running:
        yield running


async def test_a_membership_that_begins_while_a_session_is_taken_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session goes on with the memberships of a position, which must not be later than these were read."""
    board = await make_board(await server.sign_up("Ann"))
    carol = await server.sign_up("Carol")
    body = {"email": carol.email, "permissions": "MEMBER", "base_url": server.url, "message": ""}
    invitation = await board.ann.ok("POST", f"/api/workspaces/invitations/workspace/{board.workspace}/", body)
    loop, read = asyncio.get_running_loop(), sessions.memberships

    def read_then_accept(tx: Transaction, user_id: int) -> Any:
        found = read(tx, user_id)
        monkeypatch.setattr(sessions, "memberships", read)
        accepting = carol.ok("POST", f"/api/workspaces/invitations/{invitation['id']}/accept/")
        asyncio.run_coroutine_threadsafe(accepting, loop).result()
        return found

    async with session_client(server.url, "/core", carol.token) as client:
        await client.drop()
        monkeypatch.setattr(sessions, "memberships", read_then_accept)
        await client.connect()
        assert client.recovered
        while "workspace_invitation_accepted" not in [name for name, _ in client.events]:  # told after it
            await client.until(len(client.events) + 1)
        assert "group_user_added" in [name for name, _ in client.events]
