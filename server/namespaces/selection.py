"""Selecting a workspace of the items API, over Socket.IO and as raw JSON alike (contracts items.md, mirrors.md).

Invariant: a socket selects at most one workspace.
"""

from functools import partial
from typing import Any

from server.actions.item_workspaces import SELECTED, find_selection
from server.auth.actors import Credentials
from server.delivery.subscribers import Subscriber
from server.errors import INVALID_BODY, Refused
from server.namespaces.admission import Admission, Opened


async def select(
    admission: Admission, subscriber: Subscriber, who: Credentials, workspace: Any, since: Any
) -> Opened | None:
    """Replaces the selection; with `since`, tells what was missed. None when the connection ended meanwhile. Raises
    Refused or Unavailable, and leaves the selection as it was."""
    if isinstance(workspace, bool) or not isinstance(workspace, int | str):
        raise Refused(INVALID_BODY, "The workspace must be named by its id.")
    opened = await admission.open(subscriber, who, partial(find_selection, workspace_id=workspace), since)
    if opened.subscriptions[0].room not in subscriber.rooms:
        deselect(admission, subscriber)
    return opened if admission.join(subscriber, SELECTED, opened) else None


def deselect(admission: Admission, subscriber: Subscriber) -> None:
    """Ends the selection; harmless when there is none."""
    admission.registry.unsubscribe(subscriber, SELECTED)
