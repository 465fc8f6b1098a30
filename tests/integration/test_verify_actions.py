"""For every action: the state before and the messages a client was told make the state after.

Ann and Bob change a workspace in every way the API offers; Eve, a member who only listens, must come to know it as
it is. Once one change after the other, once with eight writers at a time; on both databases.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.app import Person, RawSocket, Server
from tests.support.replica import Replica, SelfReplica

SEQUENTIAL, WRITERS, CHANGES = 60, 8, 12
ACCEPTED = (200, 204, 400, 404)  # what a change may answer when others change the same things


class World:
    """The workspace, and what may be done to it."""

    def __init__(self, server: Server, people: list[Person], eve: Person, workspace: int, seed: int) -> None:
        self.server, self.people, self.eve, self.workspace = server, people, eve, workspace
        self.dice = random.Random(seed)
        self.database = 0
        self.tables: list[int] = []

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """A change by one of the writers; what is gone already may be refused."""
        answer = await self.dice.choice(self.people).request(method, path, body)
        assert answer.status in ACCEPTED, (method, path, body, answer.status, answer.body)
        return answer.body if answer.status == 200 else None

    async def rows(self, table: int) -> list[int]:
        page = await self.people[0].ok("GET", f"/api/database/rows/table/{table}/?size=50")
        return [row["id"] for row in page["results"]]

    async def fields(self, table: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.people[0].ok("GET", f"/api/database/fields/table/{table}/")
        return found

    def text(self) -> str:
        return f"text {self.dice.randrange(10**6)}"

    def cell(self, field: dict[str, Any]) -> Any:
        return {
            "number": str(self.dice.randrange(1000)),
            "boolean": self.dice.random() < 0.5,
            "date": f"2026-01-{self.dice.randrange(1, 29):02}",
        }.get(field["type"], self.text())

    async def cells(self, table: int) -> dict[str, Any]:
        """Values for some of a table's fields."""
        fields = await self.fields(table)
        chosen = self.dice.sample(fields, self.dice.randrange(len(fields) + 1))
        return {f"field_{field['id']}": self.cell(field) for field in chosen}

    # ---- the changes
    async def create_row(self) -> None:
        table = self.dice.choice(self.tables)
        rows = await self.rows(table)
        before = f"?before={self.dice.choice(rows)}" if rows and self.dice.random() < 0.5 else ""
        await self.call("POST", f"/api/database/rows/table/{table}/{before}", await self.cells(table))

    async def update_row(self) -> None:
        table = self.dice.choice(self.tables)
        if rows := await self.rows(table):
            path = f"/api/database/rows/table/{table}/{self.dice.choice(rows)}/"
            await self.call("PATCH", path, await self.cells(table))

    async def move_row(self) -> None:
        table = self.dice.choice(self.tables)
        if len(rows := await self.rows(table)) > 1:
            row, before = self.dice.sample(rows, 2)
            target = f"?before_id={before}" if self.dice.random() < 0.7 else ""
            await self.call("PATCH", f"/api/database/rows/table/{table}/{row}/move/{target}")

    async def delete_row(self) -> None:
        table = self.dice.choice(self.tables)
        if len(rows := await self.rows(table)) > 2:
            await self.call("DELETE", f"/api/database/rows/table/{table}/{self.dice.choice(rows)}/")

    async def create_rows(self) -> None:
        table = self.dice.choice(self.tables)
        items = [await self.cells(table) for _ in range(3)]
        await self.call("POST", f"/api/database/rows/table/{table}/batch/", {"items": items})

    async def update_rows(self) -> None:
        table = self.dice.choice(self.tables)
        rows = await self.rows(table)
        items = [{"id": row, **await self.cells(table)} for row in rows[:3]]
        if items:
            await self.call("PATCH", f"/api/database/rows/table/{table}/batch/", {"items": items})

    async def delete_rows(self) -> None:
        table = self.dice.choice(self.tables)
        if len(rows := await self.rows(table)) > 4:
            await self.call("POST", f"/api/database/rows/table/{table}/batch-delete/", {"items": rows[-2:]})

    async def create_field(self) -> None:
        kind = self.dice.choice(["text", "long_text", "number", "boolean", "date"])
        body = {"name": self.text(), "type": kind}
        if kind == "text" and self.dice.random() < 0.5:
            body["text_default"] = "default"
        await self.call("POST", f"/api/database/fields/table/{self.dice.choice(self.tables)}/", body)

    async def update_field(self) -> None:
        field = self.dice.choice(await self.fields(self.dice.choice(self.tables)))
        body = {"name": self.text()}
        if self.dice.random() < 0.5:
            body["type"] = self.dice.choice(["text", "number", "boolean"])
        await self.call("PATCH", f"/api/database/fields/{field['id']}/", body)

    async def delete_field(self) -> None:
        fields = [each for each in await self.fields(self.dice.choice(self.tables)) if not each["primary"]]
        if len(fields) > 3:
            await self.call("DELETE", f"/api/database/fields/{self.dice.choice(fields)['id']}/")

    async def change_table(self) -> None:
        await self.call("PATCH", f"/api/database/tables/{self.dice.choice(self.tables)}/", {"name": self.text()})

    async def create_and_delete_table(self) -> None:
        made = await self.call("POST", f"/api/database/tables/database/{self.database}/", {"name": self.text()})
        if made and self.dice.random() < 0.7:
            await self.call("DELETE", f"/api/database/tables/{made['id']}/")

    async def order_tables(self) -> None:
        order = self.dice.sample(self.tables, len(self.tables))
        await self.call("POST", f"/api/database/tables/database/{self.database}/order/", {"table_ids": order})

    async def change_application(self) -> None:
        await self.call("PATCH", f"/api/applications/{self.database}/", {"name": self.text()})

    async def create_and_delete_application(self) -> None:
        body = {"name": self.text(), "type": "database", "init_with_data": self.dice.random() < 0.5}
        made = await self.call("POST", f"/api/applications/workspace/{self.workspace}/", body)
        if made and self.dice.random() < 0.5:
            for table in made["tables"]:
                await self.call("DELETE", f"/api/database/tables/{table['id']}/")
            await self.call("DELETE", f"/api/applications/{made['id']}/")

    async def change_workspace(self) -> None:
        await self.call("PATCH", f"/api/workspaces/{self.workspace}/", {"name": self.text()})

    async def change_member(self) -> None:
        members = await self.people[0].ok("GET", f"/api/workspaces/users/workspace/{self.workspace}/")
        body = {"permissions": self.dice.choice(["ADMIN", "MEMBER"])}
        await self.call("PATCH", f"/api/workspaces/users/{members[2]['id']}/", body)

    async def order_applications(self) -> None:
        found = await self.people[0].ok("GET", f"/api/applications/workspace/{self.workspace}/")
        order = [each["id"] for each in found]
        self.dice.shuffle(order)
        await self.call("POST", f"/api/applications/workspace/{self.workspace}/order/", {"application_ids": order})

    async def change_primary_field(self) -> None:
        table = self.dice.choice(self.tables)
        others = [field["id"] for field in await self.fields(table) if not field["primary"]]
        body = {"new_primary_field_id": self.dice.choice(others)}
        await self.call("POST", f"/api/database/fields/table/{table}/change-primary-field/", body)

    async def change_name(self) -> None:
        await self.call("PATCH", "/api/user/account/", {"first_name": self.text()})

    async def come_and_go(self) -> None:
        """Somebody new joins, and leaves or is taken out."""
        guest = await self.server.sign_up("Guest")
        await self.people[0].invite(guest, self.workspace)
        if self.dice.random() < 0.5:
            await guest.ok("POST", f"/api/workspaces/{self.workspace}/leave/")
        else:
            members = await self.people[0].ok("GET", f"/api/workspaces/users/workspace/{self.workspace}/")
            number = next(member["id"] for member in members if member["user_id"] == guest.id)
            await self.people[0].ok("DELETE", f"/api/workspaces/users/{number}/")

    def changes(self) -> list[Callable[[], Awaitable[None]]]:
        """Every change; those of rows come more often."""
        rows = [self.create_row, self.update_row, self.move_row, self.delete_row]
        batches = [self.create_rows, self.update_rows, self.delete_rows]
        fields = [self.create_field, self.update_field, self.delete_field]
        rest = [
            self.change_table, self.create_and_delete_table, self.order_tables, self.change_application,
            self.create_and_delete_application, self.change_workspace, self.change_member, self.order_applications,
            self.change_primary_field, self.change_name, self.come_and_go,
        ]  # fmt: skip
        return [*rows, *rows, *batches, *fields, *rest]


@pytest.fixture
async def world(server: Server, request: pytest.FixtureRequest) -> World:
    ann, bob, eve = [await server.sign_up(name) for name in ("Ann", "Bob", "Eve")]
    workspace = await ann.workspace()
    await ann.invite(bob, workspace, "ADMIN")
    await ann.invite(eve, workspace)
    made = World(server, [ann, bob], eve, workspace, seed=20261121)
    made.database = await ann.database(workspace)
    made.tables = [await ann.table(made.database, name) for name in ("one", "two")]
    return made


async def listen(world: World) -> tuple[RawSocket, Replica]:
    """Eve's socket on all tables, and the state she starts from."""
    socket = await world.eve.core_socket()
    for table in world.tables:
        await socket.subscribe("table", table_id=table)
    return socket, await Replica.read(world.eve, world.workspace, world.tables)


async def compare(world: World, socket: RawSocket, replica: Replica) -> None:
    """Applies everything told until now and compares with what REST says."""
    marker = f"marker {world.dice.random()}"
    await world.people[0].ok("PATCH", f"/api/workspaces/{world.workspace}/", {"name": marker})
    await socket.until(
        lambda: any(m.get("workspace", {}).get("name") == marker for m in socket.messages[socket._taken :])
    )
    for message in socket.rest():
        replica.apply(message)
    await replica.settle(world.eve)
    truth = await Replica.read(world.eve, world.workspace, world.tables)
    assert replica.state() == truth.state()


async def test_after_each_change_the_listener_knows_the_state(world: World) -> None:
    socket, replica = await listen(world)
    changes = world.changes()
    for number in range(SEQUENTIAL):
        await (changes[number] if number < len(changes) else world.dice.choice(changes))()
        await compare(world, socket, replica)


async def test_after_eight_concurrent_writers_the_listener_knows_the_state(world: World) -> None:
    socket, replica = await listen(world)

    async def write() -> None:
        for _ in range(CHANGES):
            await world.dice.choice(world.changes())()

    await asyncio.gather(*[write() for _ in range(WRITERS)])
    await compare(world, socket, replica)


async def test_a_users_own_sockets_know_the_users_state(server: Server) -> None:
    """Workspaces, invitations and notifications: what changes them is told to the user's other sockets."""
    eve, ann = await server.sign_up("Eve"), await server.sign_up("Ann")
    home, dice = await eve.workspace("Home"), random.Random(20261121)
    socket, replica = await eve.core_socket(), await SelfReplica.read(eve, home)

    async def invitation() -> int:
        """Eve is invited into a workspace of Ann's."""
        body = {"email": eve.email, "permissions": "MEMBER", "base_url": server.url}
        path = f"/api/workspaces/invitations/workspace/{await ann.workspace('Of Ann')}/"
        return int((await ann.ok("POST", path, body))["id"])

    async def accept() -> None:
        await eve.ok("POST", f"/api/workspaces/invitations/{await invitation()}/accept/")

    async def reject() -> None:
        await eve.ok("POST", f"/api/workspaces/invitations/{await invitation()}/reject/")

    async def own(change: str) -> None:
        others = [each for each in await eve.ok("GET", "/api/workspaces/") if each["id"] != home]
        mine = [each["id"] for each in others if each["permissions"] == "ADMIN"]
        joined = [each["id"] for each in others if each["permissions"] == "MEMBER"]
        if change == "order":
            numbers = [home, *mine, *joined]
            dice.shuffle(numbers)
            await eve.ok("POST", "/api/workspaces/order/", {"workspaces": numbers[: dice.randrange(1, 9)]})
        elif change == "delete" and mine:
            await eve.ok("DELETE", f"/api/workspaces/{dice.choice(mine)}/")
        elif change == "leave" and joined:
            await eve.ok("POST", f"/api/workspaces/{dice.choice(joined)}/leave/")
        elif change == "create":
            await eve.workspace(f"Number {dice.randrange(1000)}")

    async def read_notification() -> None:
        page = await eve.ok("GET", f"/api/notifications/{home}/")
        if page["results"]:
            path = f"/api/notifications/{home}/{dice.choice(page['results'])['id']}/"
            await eve.ok("PATCH", path, {"read": True})

    for number in range(30):
        await (accept, reject, invitation, read_notification)[number % 4]()
        await own(("create", "create", "order", "delete", "leave")[number % 5])
        marker = f"Home {number}"
        await eve.ok("PATCH", f"/api/workspaces/{home}/", {"name": marker})
        await socket.until(
            lambda marker=marker: any(m.get("workspace", {}).get("name") == marker for m in socket.messages[-3:])
        )
        for message in socket.rest():
            replica.apply(message)
        truth = await SelfReplica.read(eve, home)
        if replica.stale:
            replica.workspaces, replica.stale = dict(truth.workspaces), False
        assert vars(replica) == vars(truth)
