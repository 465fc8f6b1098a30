"""Clients of the items API: programs with credentials of their own."""

from typing import Any

import jwt

from tests.support.app import Person, Server
from tests.support.boards import Board


async def make_client(board: Board, name: str = "Importer") -> dict[str, Any]:
    """The credentials of a new client, as an admin gets them."""
    made: dict[str, Any] = await board.ann.ok("POST", "/clients", {"workspace_id": board.uuid, "name": name})
    return made


async def authenticated(server: Server, client: dict[str, Any]) -> Person:
    """A client with a token, which asks as people do; `id` is its account."""
    credentials = {name: client[name] for name in ("client_id", "client_secret")}
    answer = await server.request("POST", "/authenticate/client", credentials)
    assert answer.status == 200, answer.body
    return acting(server, answer.body["access_token"])


def acting(server: Server, token: str) -> Person:
    """Whoever has this token."""
    return Person(server, jwt.decode(token, options={"verify_signature": False})["user_id"], "", token, "")
