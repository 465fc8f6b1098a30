"""Applies to the registry what the log says about who is entitled to what.

Each function runs within the relay's turn, at the event's place in the log: nothing later has been delivered, and
nothing later can reach a socket that lost its entitlement here.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

import orjson

from server.delivery.rooms import Registry
from server.delivery.subscribers import Subscriber
from server.errors import CloseCode
from server.events import control, rooms
from server.events.subscription import Subscription
from server.store.log import LoggedEvent

logger = logging.getLogger(__name__)


def apply(registry: Registry, event: LoggedEvent) -> None:
    """Applies one control event."""
    if event.type == control.AccessGranted.type:
        grant_access(registry, event.id, **orjson.loads(event.payload))
    else:
        APPLY[event.type](registry, **orjson.loads(event.payload))


def grant_access(registry: Registry, position: int, user_id: int, workspace_id: int) -> None:
    """The user's core sockets join the workspace's room."""
    for subscriber in registry.users.get(user_id, ()):
        if subscriber.wire is not None and subscriber.wire.follows_workspaces:
            registry.join(subscriber, rooms.workspace(workspace_id), position)


def end_access(registry: Registry, workspace_id: int, user_id: int | None) -> None:
    """The user's (None: everybody's) sockets leave the workspace, its pages and its selection."""
    for subscriber in sockets_of(registry, workspace_id, user_id):
        registry.leave(subscriber, rooms.workspace(workspace_id))
        drop(registry, subscriber, lambda subscription: subscription.workspace_id == workspace_id)


def sockets_of(registry: Registry, workspace_id: int, user_id: int | None) -> list[Subscriber]:
    """The sockets of one user, or all that may hear something of a workspace."""
    if user_id is not None:
        return list(registry.users.get(user_id, ()))
    found = (registry.members.get(rooms.workspace(workspace_id), ()), registry.watchers.get(workspace_id, ()))
    return list(dict.fromkeys(subscriber for subscribers in found for subscriber in subscribers))


def close_tables(registry: Registry, workspace_id: int, table_ids: Iterable[int]) -> None:
    """The pages of trashed tables are discarded."""
    closed = set(table_ids)
    for subscriber in list(registry.watchers.get(workspace_id, ())):
        drop(registry, subscriber, lambda subscription: subscription.table_id in closed)


def drop(registry: Registry, subscriber: Subscriber, ended: Callable[[Subscription], bool]) -> None:
    """Ends subscriptions and says so to the socket."""
    for key in subscriber.wants(ended):
        subscription = registry.unsubscribe(subscriber, key)
        if subscription is not None:
            subscriber.discard(subscription)


def end_sessions(registry: Registry, user_id: int, except_socket: str | None, account_ended: bool = False) -> None:
    """The user's sockets are closed, all but the one that ended the others."""
    code = CloseCode.ACCESS_ENDED if account_ended else CloseCode.GOODBYE
    for subscriber in list(registry.users.get(user_id, ())):
        if subscriber.sid != except_socket:
            if subscriber.wire is not None and subscriber.wire.follows_workspaces:
                subscriber.tell("force_disconnect", {})
            close(registry, subscriber, code, "")


def end_token(registry: Registry, user_id: int, jti: str) -> None:
    """The sockets that were opened with a token are closed."""
    for subscriber in list(registry.users.get(user_id, ())):
        if subscriber.jti == jti:
            close(registry, subscriber, CloseCode.GOODBYE, "signed out")


def fence(registry: Registry, user_id: int, sid: str, generation: int) -> None:
    """A session goes on elsewhere: its earlier connection, half-open mostly, is cut and hears nothing more."""
    for subscriber in list(registry.users.get(user_id, ())):
        session = subscriber.session
        if subscriber.sid == sid and session is not None and session.generation < generation:
            close(registry, subscriber, CloseCode.RESTART, "the session goes on elsewhere")


def close_endpoint(registry: Registry, endpoint_id: int, reason: str) -> None:
    """Everybody who watches an endpoint is closed with the reason."""
    for room in (rooms.endpoint(endpoint_id), rooms.endpoint_owners(endpoint_id)):
        for subscriber in list(registry.members.get(room, ())):
            close(registry, subscriber, CloseCode.GOODBYE, reason)


def end_record_user(registry: Registry, user_id: int, jti: str | None, reason: str) -> None:
    """The sockets that were opened with a token of the user, or with any, are closed with the reason."""
    for subscriber in list(registry.members.get(rooms.record_user(user_id), ())):
        if jti in (None, subscriber.jti):
            close(registry, subscriber, CloseCode.GOODBYE, reason)


def close(registry: Registry, subscriber: Subscriber, code: int, reason: str) -> None:
    """Ends a connection; it hears nothing more from this moment, and one that fails to end costs no other its end."""
    registry.remove(subscriber)
    try:
        subscriber.link.close(code, reason)
    except Exception:
        logger.exception("a connection could not be closed")


APPLY: dict[str, Callable[..., Any]] = {
    control.AccessEnded.type: end_access,
    control.TablesClosed.type: close_tables,
    control.SessionsEnded.type: end_sessions,
    control.TokenEnded.type: end_token,
    control.SessionMoved.type: fence,
    control.EpochBegan.type: lambda registry, restored_at: None,  # the relay itself sees the jump of the ids
    control.EndpointClosed.type: close_endpoint,
    control.RecordUserEnded.type: end_record_user,
    control.WebhooksChanged.type: lambda registry, workspace_id: None,  # no socket hears more or less by it
}
