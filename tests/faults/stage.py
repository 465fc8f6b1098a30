"""What every scenario plays on: a workspace with a table, a board and an endpoint, and two people who share it."""

from dataclasses import dataclass

import aiohttp
from aiohttp import web

from server.events import rooms
from server.settings import Settings
from tests.faults.clients.base import Login
from tests.faults.history import Interest
from tests.support.app import Person, Server
from tests.support.boards import make_board
from tests.support.records import RunningEndpoint


@dataclass(frozen=True)
class Stage:
    """Ids of everything, and the people: Ann made it, Bob is a member."""

    ann: Person
    bob: Person
    workspace: int
    table: int
    field: int
    column: str
    endpoint: int
    endpoint_path: str

    async def welcome(self, name: str) -> Person:
        """One more member."""
        person = await self.ann.server.sign_up(name)
        await self.ann.invite(person, self.workspace)
        return person

    async def expel(self, who: Person) -> None:
        """Ends a membership."""
        members = await self.ann.ok("GET", f"/api/workspaces/users/workspace/{self.workspace}/")
        (number,) = [member["id"] for member in members if member["user_id"] == who.id]
        await self.ann.ok("DELETE", f"/api/workspaces/users/{number}/")

    def login(self, who: Person) -> Login:
        return Login(who.id, who.token)

    def core(self, who: Person) -> tuple[Interest, ...]:
        """What a core socket on the table's page hears: the page, and by itself the workspace and the user."""
        return (
            Interest(rooms.table(self.table), self.workspace),
            Interest(rooms.workspace(self.workspace), self.workspace, follows=True),
            Interest(rooms.user(who.id), follows=True),
        )

    def stream(self) -> tuple[Interest, ...]:
        """Rooms of both styles in one stream."""
        return (
            Interest(rooms.table(self.table), self.workspace),
            Interest(rooms.workspace(self.workspace), self.workspace),
            Interest(rooms.items(self.workspace), self.workspace),
        )

    def items(self) -> tuple[Interest, ...]:
        return (Interest(rooms.items(self.workspace), self.workspace),)

    def records(self) -> tuple[Interest, ...]:
        return (Interest(rooms.endpoint(self.endpoint)),)


async def set_stage(http: aiohttp.ClientSession, url: str) -> Stage:
    """Builds it through the API of one server."""
    server = Server(web.Application(), url, http, Settings())
    ann, bob = await server.sign_up("Ann"), await server.sign_up("Bob")
    board = await make_board(ann)
    await ann.invite(bob, board.workspace)
    database = await ann.database(board.workspace)
    table = await ann.table(database, data=[["Name"], ["first"]], first_row_header=True)
    (field,) = await ann.ok("GET", f"/api/database/fields/table/{table}/")
    project = await ann.ok("POST", "/api/projects/", {"workspace_id": board.workspace, "name": "Web shop"})
    shown = await ann.ok("POST", f"/api/projects/{project['id']}/endpoints/", {"name": "shop/orders"})
    path = RunningEndpoint(server, ann, project, shown).path()
    return Stage(ann, bob, board.workspace, table, field["id"], board.columns[0], shown["id"], path)
