"""A client that knows a workspace only from what it read once and from the messages it was told since.

`Replica.read` asks REST for the whole state; `apply` changes a state by one message, as a client of the database API
does. The two must always agree: state before + messages = state after.
"""

from typing import Any

from tests.support.app import Person

Rows = dict[int, dict[str, Any]]


class Replica:
    """What one user sees of one workspace, down to the rows of the tables it watches."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self.name: str | None = None
        self.members: dict[int, tuple[str, str]] = {}
        self.applications: dict[int, str] = {}
        self.tables: dict[int, str] = {}
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
                made.members = {each["id"]: (each["name"], each["permissions"]) for each in workspace["users"]}
        for application in await person.ok("GET", "/api/applications/"):
            if application["workspace"]["id"] == workspace_id:
                made.applications[application["id"]] = application["name"]
                made.tables |= {table["id"]: table["name"] for table in application["tables"]}
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
        member = message["workspace_user"]
        self.members[message["id"]] = (member["name"], member["permissions"])

    on_group_user_updated = on_group_user_added

    def on_group_user_deleted(self, message: dict[str, Any]) -> None:
        del self.members[message["id"]]

    # ---- applications and tables
    def on_application_created(self, message: dict[str, Any]) -> None:
        application = message["application"]
        self.applications[application["id"]] = application["name"]
        self.tables |= {table["id"]: table["name"] for table in application["tables"]}

    on_application_updated = on_application_created

    def on_application_deleted(self, message: dict[str, Any]) -> None:
        del self.applications[message["application_id"]]

    def on_table_created(self, message: dict[str, Any]) -> None:
        self.tables[message["table"]["id"]] = message["table"]["name"]

    on_table_updated = on_table_created

    def on_table_deleted(self, message: dict[str, Any]) -> None:
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


def default_of(field: dict[str, Any]) -> Any:
    """The cell that rows get when a field is added."""
    return {
        "text": field.get("text_default") or None,
        "number": field.get("number_default"),
        "boolean": field.get("boolean_default"),
    }.get(field["type"])
