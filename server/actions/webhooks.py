"""Webhooks of a workspace, which its admins keep (contract items.md)."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from server.actions.boards import enter, find_workspace, look_at_workspace, own_workspaces
from server.actions.item_shapes import Shown, stamp
from server.auth.actors import Actor
from server.auth.permissions import ADMIN, enter_workspace, require_admin
from server.errors import CONFLICT, NO_SUCH_THING, Refused
from server.events import rooms
from server.events.control import WebhooksChanged
from server.events.items import ColumnPatched, ItemRemoved, ItemUpdated
from server.store.models import Membership, Webhook, Workspace
from server.store.transaction import Transaction

EVENTS = tuple(event.type for event in (ItemUpdated, ItemRemoved, ColumnPatched))
MOST = 20  # of one workspace
SECRET_BYTES = 32


def show_webhook(webhook: Webhook, workspace_uuid: str) -> Shown:
    """A webhook without its secret. `state` is `active`, `failing` while the last attempt failed, or `disabled`."""
    active, failing = webhook.state == "active", webhook.failures > 0
    return {
        "id": webhook.id,
        "created_at": stamp(webhook.created_at),
        "workspace_id": workspace_uuid,
        "url": webhook.url,
        "events": webhook.events,
        "state": "failing" if active and failing else webhook.state,
        "reason": webhook.reason,
        "failures": webhook.failures,
        "failing_since": stamp_of(webhook.failing_since_ms),
        "next_attempt_at": stamp_of(webhook.next_attempt_ms if active else None),
        "position": webhook.position,
    }


def stamp_of(milliseconds: int | None) -> str | None:
    """A moment as the items API writes it; None for none."""
    return stamp(datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)) if milliseconds else None


def check_admin(tx: Transaction, actor: Actor, *, workspace_id: str) -> None:
    """Raises Refused unless the actor may keep webhooks in a workspace."""
    require_admin(actor, look_at_workspace(actor, workspace_id).id, "workspace.webhooks")


def list_webhooks(tx: Transaction, actor: Actor, *, workspace_id: str | None) -> list[Shown]:
    """The webhooks of one workspace, or of all that the actor administers, oldest first."""
    found = administered(actor, workspace_id)
    query = Webhook.select().where(Webhook.workspace_id.in_(list(found)))
    return [
        show_webhook(each, found[each.workspace_id].uuid) for each in query.order_by(Webhook.created_at, Webhook.id)
    ]


def administered(actor: Actor, workspace_id: str | None) -> dict[int, Workspace]:
    """The named workspace, else all that the actor administers; raises Refused."""
    if workspace_id is None:
        where = (Membership.user_id == actor.id, Membership.permissions == ADMIN)
        as_admin = {each.workspace_id for each in Membership.select(Membership.workspace_id).where(*where)}
        return {number: each for number, each in own_workspaces(actor).items() if number in as_admin}
    workspace = look_at_workspace(actor, workspace_id)
    require_admin(actor, workspace.id, "workspace.webhooks")
    return {workspace.id: workspace}


def create_webhook(tx: Transaction, actor: Actor, *, workspace_id: str, url: str, events: Sequence[str]) -> Shown:
    """Makes a webhook, which is told what happens from now on; only this answer has its `secret`."""
    workspace = enter_for_webhooks(tx, actor, find_workspace(workspace_id).id)
    if Webhook.select().where(Webhook.workspace_id == workspace.id).count() >= MOST:
        raise Refused(CONFLICT, f"A workspace has at most {MOST} webhooks.")
    webhook = Webhook.create(
        workspace_id=workspace.id,
        user_id=actor.id,
        room=rooms.items(workspace.id),
        url=url,
        events=[name for name in EVENTS if name in events],
        secret=f"whsec_{secrets.token_urlsafe(SECRET_BYTES)}",
        position=tx.position(),
    )
    tx.record(WebhooksChanged(workspace.id))
    return show_webhook(webhook, workspace.uuid) | {"secret": webhook.secret}


def enter_for_webhooks(tx: Transaction, actor: Actor, workspace_id: int) -> Workspace:
    """Locks a workspace for a change by one of its admins; raises Refused."""
    workspace = enter_workspace(tx, actor, workspace_id)
    require_admin(actor, workspace_id, "workspace.webhooks")
    return workspace


def delete_webhook(tx: Transaction, actor: Actor, *, webhook_id: str) -> None:
    """Ends a webhook. A request that is being made meanwhile still arrives."""
    webhook, workspace = enter(tx, actor, Webhook, webhook_id)
    require_admin(actor, workspace.id, "workspace.webhooks")
    webhook.delete_instance()
    tx.record(WebhooksChanged(workspace.id))


def delete_webhooks(tx: Transaction, actor: Actor, *, workspace_id: str, url: str) -> None:
    """Ends all webhooks of a workspace that have this URL; raises Refused where there are none."""
    workspace = enter_for_webhooks(tx, actor, find_workspace(workspace_id).id)
    where = (Webhook.workspace_id == workspace.id, Webhook.url == url)
    if not Webhook.delete().where(*where).execute():
        raise Refused(NO_SUCH_THING, "The webhook does not exist.")
    tx.record(WebhooksChanged(workspace.id))
