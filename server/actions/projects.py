"""Projects of the records API: who may call their endpoints, and from which pages (contract records.md).

Members of the workspace see a project, only admins change it. Whatever changes who may call an endpoint closes the
sockets on it; they come back and are checked anew."""

import secrets
from typing import Any

from server.actions.files import release_files
from server.auth.actors import Actor
from server.auth.permissions import enter_workspace, membership, require_admin
from server.errors import NO_PROJECT, NO_WORKSPACE, Refused
from server.events.control import EndpointClosed
from server.store.models import (
    Endpoint,
    Membership,
    Project,
    RecordLogin,
    RecordSession,
    RecordUser,
    StoredRecord,
    Workspace,
)
from server.store.transaction import Transaction

KEY_BYTES, MASTER_KEY_BYTES = 16, 32  # 32 and 64 hexadecimal digits
DELETED = "The endpoint was deleted."
KEY_CHANGED = "The API key changed."
ORIGINS_CHANGED = "The allowed origins changed."


def show(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "workspace_id": project.workspace_id,
        "name": project.name,
        "key": project.key,
        "master_key": project.master_key,
        "origins": project.origins,
        "deny_no_origin": project.deny_no_origin,
    }


def list_projects(tx: Transaction, actor: Actor, *, workspace_id: int | None = None) -> list[dict[str, Any]]:
    """The projects of the actor's workspaces, or of one of them, oldest first."""
    own = Membership.select(Membership.workspace_id).where(Membership.user_id == actor.id)
    there = Workspace.select(Workspace.id).where(Workspace.id.in_(own), ~Workspace.trashed)
    query = Project.select().where(Project.workspace_id.in_(there))
    if workspace_id is not None:
        visible_workspace(actor, workspace_id)
        query = query.where(Project.workspace_id == workspace_id)
    return [show(project) for project in query.order_by(Project.id)]


def visible_workspace(actor: Actor, workspace_id: int) -> None:
    """Raises Refused unless the actor is a member of the workspace."""
    if Workspace.find(id=workspace_id, trashed=False) is None:
        raise Refused(NO_WORKSPACE)
    membership(actor, workspace_id)


def visible_project(actor: Actor, project_id: int) -> Project:
    """A project for one of its members to read; raises Refused."""
    project = known_project(project_id)
    visible_workspace(actor, project.workspace_id)
    return project


def known_project(project_id: int) -> Project:
    """A project; raises Refused."""
    project = Project.find(id=project_id)
    if project is None:
        raise Refused(NO_PROJECT)
    return project


def enter_project(tx: Transaction, actor: Actor, project_id: int) -> Project:
    """Locks the workspace of a project for one of its admins and returns the project as it is then."""
    workspace_id = known_project(project_id).workspace_id
    enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "project.update")
    return known_project(project_id)


def get_project(tx: Transaction, actor: Actor, *, project_id: int) -> dict[str, Any]:
    """One project; members of its workspace only."""
    return show(visible_project(actor, project_id))


def create_project(
    tx: Transaction, actor: Actor, *, workspace_id: int, name: str, origins: list[str], deny_no_origin: bool
) -> dict[str, Any]:
    """Makes a project with fresh keys; admins only. `origins` are normalised."""
    enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "project.update")
    project = Project.create(
        workspace_id=workspace_id,
        name=name,
        key=secrets.token_hex(KEY_BYTES),
        master_key=secrets.token_hex(MASTER_KEY_BYTES),
        origins=origins,
        deny_no_origin=deny_no_origin,
    )
    return show(project)


def update_project(tx: Transaction, actor: Actor, *, project_id: int, changes: dict[str, Any]) -> dict[str, Any]:
    """Changes name, origins or deny_no_origin; admins only."""
    project = enter_project(tx, actor, project_id)
    before = (project.origins, project.deny_no_origin)
    for name, value in changes.items():
        setattr(project, name, value)
    project.save()
    if (project.origins, project.deny_no_origin) != before:
        close_endpoints(tx, project_id, ORIGINS_CHANGED)
    return show(project)


def rotate_key(tx: Transaction, actor: Actor, *, project_id: int) -> dict[str, Any]:
    """Replaces the api key, and with it ends everything that used the old one; admins only."""
    project = enter_project(tx, actor, project_id)
    project.key = secrets.token_hex(KEY_BYTES)
    project.save(only=[Project.key])
    close_endpoints(tx, project_id, KEY_CHANGED)
    return show(project)


def delete_project(tx: Transaction, actor: Actor, *, project_id: int) -> None:
    """Deletes a project, its endpoints and their records; admins only."""
    project = enter_project(tx, actor, project_id)
    close_endpoints(tx, project_id, DELETED)
    remove_records(tx, [each.id for each in Endpoint.select(Endpoint.id).where(Endpoint.project_id == project_id)])
    Endpoint.delete().where(Endpoint.project_id == project_id).execute()
    project.delete_instance()


def remove_records(tx: Transaction, endpoint_ids: list[int]) -> None:
    """Removes the records of endpoints that end, with them their files and users; who is one is logged out by it."""
    users = RecordUser.select(RecordUser.record_id).where(RecordUser.endpoint_id.in_(endpoint_ids))
    RecordSession.delete().where(RecordSession.user_id.in_(users)).execute()
    with_file = StoredRecord.endpoint_id.in_(endpoint_ids), StoredRecord.file_id.is_null(False)
    release_files(tx, StoredRecord.select(StoredRecord.file_id).where(*with_file))
    for model in (RecordLogin, RecordUser, StoredRecord):
        model.delete().where(model.endpoint_id.in_(endpoint_ids)).execute()


def close_endpoints(tx: Transaction, project_id: int, reason: str) -> None:
    """Closes the sockets on every endpoint of a project."""
    for endpoint in Endpoint.select(Endpoint.id).where(Endpoint.project_id == project_id).order_by(Endpoint.id):
        tx.record(EndpointClosed(endpoint.id, reason))


def close_workspace(tx: Transaction, workspace_id: int) -> None:
    """Closes the sockets on every endpoint of a workspace that ended; its lock is held by the caller."""
    for project in Project.select(Project.id).where(Project.workspace_id == workspace_id).order_by(Project.id):
        close_endpoints(tx, project.id, DELETED)
