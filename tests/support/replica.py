"""A client that knows a workspace only from what it read once and from the messages it was told since.

`Replica.read` asks REST for the whole state; `apply` changes a state by one message, as a client of the database API
does. The two must always agree: state before + messages = state after.
"""

import hashlib
from typing import Any

from tests.support.app import Person

Rows = dict[int, dict[str, Any]]


class Replica:
    """What one user sees of one workspace, down to the rows of the tables it watches."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self.name: str | None = None
        self.members: dict[int, dict[str, Any]] = {}
        self.applications: dict[int, str] = {}
        self.tables: dict[int, str] = {}
        self.orders: dict[int, list[int]] = {}  # the tables of each database; the databases under 0
        self.fields: dict[int, dict[int, dict[str, Any]]] = {}
        self.rows: dict[int, Rows] = {}
        self.stale: set[int] = set()  # tables whose rows a client reads again, as the original's client does

    @classmethod
    async def read(cls, person: Person, workspace_id: int, watched: list[int]) -> "Replica":
        """The state as REST tells it."""
        made = cls(workspace_id)
        for workspace in await person.ok("GET", "/api/workspaces/"):
            if workspace["id"] == workspace_id:
                made.name = workspace["name"]
                made.members = {each["id"]: each for each in workspace["users"]}
        for application in await person.ok("GET", "/api/applications/"):
            if application["workspace"]["id"] == workspace_id:
                made.applications[application["id"]] = application["name"]
                made.tables |= {table["id"]: table["name"] for table in application["tables"]}
                made.orders[application["id"]] = [table["id"] for table in application["tables"]]
                made.orders.setdefault(0, []).append(application["id"])
        for table in watched:
            if table in made.tables:
                await made.read_table(person, table)
        return made

    async def read_table(self, person: Person, table: int) -> None:
        """Fields and rows of one table."""
        fields = await person.ok("GET", f"/api/database/fields/table/{table}/")
        self.fields[table] = {field["id"]: field for field in fields}
        self.rows[table] = {}
        page: str | None = f"/api/database/rows/table/{table}/?size=200"
        while page is not None:
            answer = await person.ok("GET", page.removeprefix(person.server.url))
            self.rows[table] |= {row["id"]: row for row in answer["results"]}
            page = answer["next"]
        self.stale.discard(table)

    async def settle(self, person: Person) -> None:
        """Reads again what a client reads again: the rows of tables one of whose fields changed its type."""
        for table in sorted(self.stale):
            await self.read_table(person, table)

    def state(self) -> dict[str, Any]:
        """Everything that is compared."""
        return {key: value for key, value in vars(self).items() if key != "stale"}

    def apply(self, message: dict[str, Any]) -> None:
        """Changes the state by one message; a message without a method changes nothing that is compared."""
        method = getattr(self, "on_" + message["type"], None)
        if method is not None:
            method(message)

    # ---- workspace
    def on_group_updated(self, message: dict[str, Any]) -> None:
        if message["workspace_id"] == self.workspace_id:
            self.name = message["workspace"]["name"]

    def on_group_user_added(self, message: dict[str, Any]) -> None:
        if message["workspace_id"] == self.workspace_id:
            self.members[message["id"]] = message["workspace_user"]

    on_group_user_updated = on_group_user_added

    def on_group_user_deleted(self, message: dict[str, Any]) -> None:
        if message["workspace_id"] == self.workspace_id:
            del self.members[message["id"]]

    def on_user_updated(self, message: dict[str, Any]) -> None:
        for member in self.members.values():
            if member["user_id"] == message["user"]["id"]:
                member["name"] = message["user"]["first_name"]

    # ---- applications and tables
    def on_application_created(self, message: dict[str, Any]) -> None:
        application = message["application"]
        if application["workspace"]["id"] == self.workspace_id:
            self.applications[application["id"]] = application["name"]
            self.tables |= {table["id"]: table["name"] for table in application["tables"]}
            self.orders[application["id"]] = [table["id"] for table in application["tables"]]
            add_once(self.orders.setdefault(0, []), application["id"])

    on_application_updated = on_application_created

    def on_application_deleted(self, message: dict[str, Any]) -> None:
        if self.applications.pop(message["application_id"], None) is not None:
            self.orders[0].remove(message["application_id"])
            for table in self.orders.pop(message["application_id"]):
                self.tables.pop(table, None)

    def on_applications_reordered(self, message: dict[str, Any]) -> None:
        self.orders[0] = unhashed(message["order"], self.orders[0])

    def on_table_created(self, message: dict[str, Any]) -> None:
        table = message["table"]
        self.tables[table["id"]] = table["name"]
        add_once(self.orders.setdefault(table["database_id"], []), table["id"])

    on_table_updated = on_table_created

    def on_tables_reordered(self, message: dict[str, Any]) -> None:
        (database,) = unhashed([message["database_id"]], list(self.applications))
        self.orders[database] = unhashed(message["order"], self.orders[database])

    def on_table_deleted(self, message: dict[str, Any]) -> None:
        self.orders[message["database_id"]].remove(message["table_id"])
        for known in (self.tables, self.fields, self.rows):
            known.pop(message["table_id"], None)  # type: ignore[attr-defined]

    # ---- fields
    def on_field_created(self, message: dict[str, Any]) -> None:
        field = message["field"]
        self.fields[field["table_id"]][field["id"]] = field
        for row in self.rows[field["table_id"]].values():
            row.setdefault(f"field_{field['id']}", default_of(field))

    def on_field_updated(self, message: dict[str, Any]) -> None:
        field = message["field"]
        before = self.fields[field["table_id"]].get(field["id"], {})
        self.fields[field["table_id"]][field["id"]] = field
        if {**before, "name": ""} != {**field, "name": ""}:
            self.stale.add(field["table_id"])

    def on_field_deleted(self, message: dict[str, Any]) -> None:
        del self.fields[message["table_id"]][message["field_id"]]
        for row in self.rows[message["table_id"]].values():
            row.pop(f"field_{message['field_id']}", None)

    # ---- rows
    def on_rows_created(self, message: dict[str, Any]) -> None:
        self.rows[message["table_id"]] |= {row["id"]: row for row in message["rows"]}

    def on_rows_updated(self, message: dict[str, Any]) -> None:
        before = [self.rows[message["table_id"]][row["id"]] for row in message["rows_before_update"]]
        if message["table_id"] not in self.stale:
            assert before == message["rows_before_update"], "the rows before the update are those we knew"
        self.on_rows_created(message)

    def on_rows_deleted(self, message: dict[str, Any]) -> None:
        for number in message["row_ids"]:
            del self.rows[message["table_id"]][number]

    def on_row_orders_recalculated(self, message: dict[str, Any]) -> None:
        self.stale.add(message["table_id"])


def add_once(numbers: list[int], number: int) -> None:
    if number not in numbers:
        numbers.append(number)


def unhashed(hashes: list[str], known: list[int]) -> list[int]:
    """Ids behind the hashes in which order messages name them."""
    names = {hashlib.sha256(str(number).encode()).hexdigest(): number for number in known}
    return [names[each] for each in hashes]


def default_of(field: dict[str, Any]) -> Any:
    """The cell that rows get when a field is added."""
    return {
        "text": field.get("text_default") or None,
        "number": field.get("number_default"),
        "boolean": field.get("boolean_default"),
    }.get(field["type"])


class SelfReplica:
    """What a user's own sockets know of the user: workspaces in order, open invitations, notifications."""

    def __init__(self) -> None:
        self.workspaces: dict[int, str] = {}
        self.order: list[int] = []
        self.invitations: dict[int, str] = {}
        self.notifications: dict[int, bool] = {}
        self.stale = False  # a workspace was joined: its name is read again, as the original's client does

    @classmethod
    async def read(cls, person: Person, workspace_id: int) -> "SelfReplica":
        """The state as REST tells it; notifications are listed through one of the user's workspaces."""
        made = cls()
        for workspace in await person.ok("GET", "/api/workspaces/"):
            made.workspaces[workspace["id"]] = workspace["name"]
            made.order.append(workspace["id"])
        for invitation in (await person.ok("GET", "/api/user/dashboard/"))["workspace_invitations"]:
            made.invitations[invitation["id"]] = invitation["workspace"]
        page = await person.ok("GET", f"/api/notifications/{workspace_id}/?limit=100")
        made.notifications = {each["id"]: each["read"] for each in page["results"]}
        return made

    def apply(self, message: dict[str, Any]) -> None:
        method = getattr(self, "on_" + message["type"], None)
        if method is not None:
            method(message)

    def on_group_created(self, message: dict[str, Any]) -> None:
        self.workspaces[message["workspace"]["id"]] = message["workspace"]["name"]
        add_once(self.order, message["workspace"]["id"])

    def on_group_updated(self, message: dict[str, Any]) -> None:
        self.workspaces[message["workspace_id"]] = message["workspace"]["name"]

    def on_group_deleted(self, message: dict[str, Any]) -> None:
        del self.workspaces[message["workspace_id"]]
        self.order.remove(message["workspace_id"])

    def on_group_user_added(self, message: dict[str, Any]) -> None:
        if message["workspace_id"] not in self.workspaces:
            self.stale = True
            self.workspaces[message["workspace_id"]] = ""
            add_once(self.order, message["workspace_id"])

    def on_group_user_deleted(self, message: dict[str, Any]) -> None:
        self.on_group_deleted(message)

    def on_groups_reordered(self, message: dict[str, Any]) -> None:
        named = [number for number in message["workspace_ids"] if number in self.order]
        self.order = named + [number for number in self.order if number not in named]

    def on_workspace_invitation_updated_or_created(self, message: dict[str, Any]) -> None:
        self.invitations[message["invitation"]["id"]] = message["invitation"]["workspace"]

    def on_workspace_invitation_accepted(self, message: dict[str, Any]) -> None:
        del self.invitations[message["invitation"]["id"]]

    on_workspace_invitation_rejected = on_workspace_invitation_accepted

    def on_notifications_created(self, message: dict[str, Any]) -> None:
        self.notifications |= {each["id"]: each["read"] for each in message["notifications"]}

    def on_notification_marked_as_read(self, message: dict[str, Any]) -> None:
        self.notifications[message["notification"]["id"]] = message["notification"]["read"]
