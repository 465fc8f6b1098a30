"""Applications of a workspace; the only type is `database` (contract database.md)."""

from collections.abc import Iterable

from peewee import fn

from server.actions import tables, workspaces
from server.actions.ordering import hashed, put_first
from server.actions.table_access import open_database
from server.actions.table_content import DEFAULT, SAMPLE, TableContent
from server.auth.actors import Actor
from server.auth.permissions import enter_workspace, membership
from server.encoding import iso
from server.errors import APPLICATION_NOT_IN_WORKSPACE, NO_APPLICATION_TYPE, Refused
from server.events import rooms, shapes
from server.events.control import TablesClosed
from server.events.databases import (
    ApplicationCreated,
    ApplicationDeleted,
    ApplicationsReordered,
    ApplicationUpdated,
)
from server.store.models import Application, Membership, UserTable, Workspace
from server.store.transaction import Transaction

TYPE = "database"


def show_application(application: Application, workspace: Workspace, own: Iterable[shapes.Table]) -> shapes.Application:
    return {
        "id": application.id,
        "name": application.name,
        "order": application.order,
        "type": application.type,
        "workspace": workspaces.show(workspace),
        "created_on": iso(application.created_at),
        "tables": list(own),
    }


def show(application: Application) -> shapes.Application:
    """An application with its workspace and tables."""
    workspace = Workspace.get_by_id(application.workspace_id)
    return show_application(application, workspace, tables.tables_of([application.id])[application.id])


def live_applications(workspace_ids: Iterable[int]) -> list[Application]:
    """The applications of several workspaces, in order."""
    query = Application.select().where(Application.workspace_id.in_(list(workspace_ids)), ~Application.trashed)
    return list(query.order_by(Application.workspace_id, Application.order, Application.id))


def list_all_applications(tx: Transaction, actor: Actor) -> list[shapes.Application]:
    """The applications of all workspaces of the actor."""
    query = Workspace.select().join(Membership, on=(Membership.workspace_id == Workspace.id))
    return show_all(query.where(Membership.user_id == actor.id, ~Workspace.trashed))


def list_applications(tx: Transaction, actor: Actor, *, workspace_id: int) -> list[shapes.Application]:
    """The applications of one workspace; raises Refused."""
    workspace = workspaces.require_workspace(workspace_id)
    membership(actor, workspace_id)
    return show_all([workspace])


def show_all(found: Iterable[Workspace]) -> list[shapes.Application]:
    by_id = {workspace.id: workspace for workspace in found}
    applications = live_applications(by_id)
    own = tables.tables_of(application.id for application in applications)
    return [show_application(each, by_id[each.workspace_id], own[each.id]) for each in applications]


def get_application(tx: Transaction, actor: Actor, *, application_id: int) -> shapes.Application:
    """One application; raises Refused."""
    open_database(tx, actor, application_id, for_change=False)
    return show(Application.get_by_id(application_id))


def require_type(kind: str) -> None:
    """Raises Refused for a type of application that does not exist here."""
    if kind != TYPE:
        raise Refused(NO_APPLICATION_TYPE, f"The application type {kind} does not exist.")


def create_application(
    tx: Transaction, actor: Actor, *, workspace_id: int, name: str, init_with_data: bool = False
) -> shapes.Application:
    """Makes a database, with a first table of default content when `init_with_data` is set."""
    enter_workspace(tx, actor, workspace_id)
    first = {"Table": DEFAULT} if init_with_data else {}
    return create_with_tables(tx, actor, workspace_id, name, first)


def create_sample(tx: Transaction, actor: Actor, workspace_id: int, *, name: str) -> shapes.Application:
    """The database of a new workspace: one table with rows to play with. The workspace was made in `tx`."""
    return create_with_tables(tx, actor, workspace_id, name, {"Customers": SAMPLE})


def create_with_tables(
    tx: Transaction, actor: Actor, workspace_id: int, name: str, content: dict[str, TableContent]
) -> shapes.Application:
    """Makes a database and its first tables; the message about the database comes first (database.md, g)."""
    live = (Application.workspace_id == workspace_id) & ~Application.trashed
    highest = Application.select(fn.MAX(Application.order)).where(live).scalar() or 0
    application = Application.create(workspace_id=workspace_id, name=name, order=highest + 1)
    made = [
        tables.build_table(tx, actor, workspace_id, application.id, title, order, what)
        for order, (title, what) in enumerate(content.items(), 1)
    ]
    shown = show(application)
    room = rooms.workspace(workspace_id)
    tx.record(ApplicationCreated(shown), room, origin=actor.origin)
    for table in made:
        tables.tell_created(tx, actor, workspace_id, table)
    return shown


def update_application(tx: Transaction, actor: Actor, *, application_id: int, name: str | None) -> shapes.Application:
    """Renames a database; told even when nothing is given, as recorded."""
    workspace_id = open_database(tx, actor, application_id, for_change=True)
    application = Application.get_by_id(application_id)
    if name is not None:
        application.name = name
        application.save(only=[Application.name])
    shown = show(application)
    event = ApplicationUpdated(application_id, shown)
    tx.record(event, rooms.workspace(workspace_id), origin=actor.origin)
    return shown


def delete_application(tx: Transaction, actor: Actor, *, application_id: int) -> None:
    """Trashes a database; the pages of its tables are discarded."""
    workspace_id = open_database(tx, actor, application_id, for_change=True)
    Application.update(trashed=True).where(Application.id == application_id).execute()
    tx.record(ApplicationDeleted(application_id), rooms.workspace(workspace_id), origin=actor.origin)
    own = UserTable.select(UserTable.id).where(UserTable.database_id == application_id, ~UserTable.trashed)
    tx.record(TablesClosed(workspace_id, [number for (number,) in own.tuples()]))


def order_applications(tx: Transaction, actor: Actor, *, workspace_id: int, application_ids: list[int]) -> None:
    """Puts the named databases first, in this order; the others follow as they were."""
    enter_workspace(tx, actor, workspace_id)
    known = [application.id for application in live_applications([workspace_id])]
    for number in application_ids:
        if number not in known:
            text = f"The application id {number} does not belong to the group."
            raise Refused(APPLICATION_NOT_IN_WORKSPACE, text)
    ordered = put_first(application_ids, known)
    for place, number in enumerate(ordered, 1):
        Application.update(order=place).where(Application.id == number).execute()
    event = ApplicationsReordered(workspace_id, [hashed(number) for number in ordered])
    tx.record(event, rooms.workspace(workspace_id), origin=actor.origin)
