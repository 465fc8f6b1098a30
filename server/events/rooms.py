"""Names of rooms, built in this one place and never by a client.

A name starts with the dialect whose frames its members get: `core` (database API), `items`, `ce` (records).
`control` rooms have no members: what changes who is entitled is logged there, all of it in `control` for the relays,
and under the user and the workspace concerned for the replay of one connection.
"""

CONTROL = "control"


def user(user_id: int) -> str:
    """All core sockets of one user."""
    return f"core:user:{user_id}"


def workspace(workspace_id: int) -> str:
    """Core sockets of all members of a workspace."""
    return f"core:workspace:{workspace_id}"


def table(table_id: int) -> str:
    """Core sockets on the page `table`."""
    return f"core:table:{table_id}"


def row(table_id: int, row_id: int) -> str:
    """Core sockets on the page `row`."""
    return f"core:row:{table_id}:{row_id}"


def items(workspace_id: int) -> str:
    """Sockets of `/events` that selected the workspace."""
    return f"items:workspace:{workspace_id}"


def items_user(user_id: int) -> str:
    """All `/events` sockets of one user; no event is told here, only their end."""
    return f"items:user:{user_id}"


def endpoint(endpoint_id: int) -> str:
    """Sockets that watch every record of an endpoint."""
    return f"ce:endpoint:{endpoint_id}"


def endpoint_owner(endpoint_id: int, owner_id: int) -> str:
    """Sockets that watch only their own records of a secure endpoint."""
    return f"ce:endpoint:{endpoint_id}:owner:{owner_id}"


def endpoint_owners(endpoint_id: int) -> str:
    """All sockets that watch only their own records of an endpoint; no event is told here, only their end."""
    return f"ce:owners:{endpoint_id}"


def record_user(user_id: int) -> str:
    """All sockets of one user of an authentication endpoint; no event is told here, only their end."""
    return f"ce:user:{user_id}"


def control_user(user_id: int) -> str:
    """Changes of what one user is entitled to."""
    return f"control:user:{user_id}"


def control_workspace(workspace_id: int) -> str:
    """Changes of who may hear something of a workspace."""
    return f"control:workspace:{workspace_id}"


def workspace_of(room: str) -> int | None:
    """The workspace whose own room this is; None for pages and all others."""
    kind, _, number = room.rpartition(":")
    return int(number) if kind in ("core:workspace", "items:workspace") else None


def table_of(room: str) -> int | None:
    """The table whose page a room belongs to; None for any other name."""
    number = room.removeprefix("core:table:")
    return int(number) if number != room and number.isascii() and number.isdecimal() and len(number) <= 10 else None
