"""All models by theme."""

from server.store.models.accounts import (
    Membership,
    RefusedToken,
    User,
    UserNotification,
    Workspace,
    WorkspaceInvitation,
)
from server.store.models.clients import Client
from server.store.models.databases import Application, Job, RowHistory, TableField, TableView, UserTable
from server.store.models.files import StoredFile
from server.store.models.item_fields import Field, FieldType, Value
from server.store.models.items import Collection, Column, Comment, Item, Workflow
from server.store.models.records import Endpoint, Project, RecordLogin, RecordSession, RecordUser, StoredRecord
from server.store.models.sessions import SocketSession
from server.store.models.webhooks import Webhook

__all__ = [
    "Application",
    "Client",
    "Collection",
    "Column",
    "Comment",
    "Endpoint",
    "Field",
    "FieldType",
    "Item",
    "Job",
    "Membership",
    "Project",
    "RecordLogin",
    "RecordSession",
    "RecordUser",
    "RefusedToken",
    "RowHistory",
    "SocketSession",
    "StoredFile",
    "StoredRecord",
    "TableField",
    "TableView",
    "User",
    "UserNotification",
    "UserTable",
    "Value",
    "Webhook",
    "Workflow",
    "Workspace",
    "WorkspaceInvitation",
]
