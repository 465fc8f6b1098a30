"""The JSON objects that appear inside messages and REST answers alike, as the contract writes them."""

from typing import Any, TypedDict


class Workspace(TypedDict):
    id: int
    name: str
    generative_ai_models_enabled: dict[str, Any]


class Member(TypedDict):
    """A membership; `workspace_user` in messages, `users` of a workspace in REST."""

    id: int | None
    name: str
    email: str
    workspace: int
    permissions: str
    created_on: str
    user_id: int
    to_be_deleted: bool


class Person(TypedDict):
    id: int
    username: str
    first_name: str


class Invitation(TypedDict):
    """An invitation as the invited person sees it: names, not ids."""

    id: int
    invited_by: str
    workspace: str
    email: str
    message: str
    created_on: str
    email_exists: bool | None


class Notification(TypedDict):
    id: int
    type: str
    sender: Person | None
    workspace: dict[str, int] | None
    created_on: str
    read: bool
    data: dict[str, Any]


class Table(TypedDict):
    id: int
    name: str
    order: int
    database_id: int
    data_sync: None


class Application(TypedDict):
    id: int
    name: str
    order: int
    type: str
    workspace: Workspace
    created_on: str
    tables: list[Table]


Field = dict[str, Any]  # common keys of every field, then those of its type
Row = dict[str, Any]  # id, order, then field_<id> per field
View = dict[str, Any]


class HistoryEntry(TypedDict):
    id: int
    action_type: str
    action_command_type: str
    user: dict[str, Any]
    timestamp: str
    before: dict[str, Any]
    after: dict[str, Any]
    fields_metadata: dict[str, Any]
