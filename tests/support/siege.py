"""A server under attack, and somebody who must not notice: an official JavaScript client in the attacker's room.

At the end of `attack` nothing of it may be left: no connection, room, presence, task or descriptor more than before,
and the bystander is connected and hears the next change.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.parts import PRESENCE, REGISTRY, SOCKETIO, WEBSOCKETS
from tests.support.app import Person, Server, running_server
from tests.support.core_2026 import newcomer
from tests.support.engineio import PROMPT, until
from tests.support.node import NodeClient, Toolchain

CONNECT_TIMEOUT = 0.5  # seconds
LIMIT = 100_000  # bytes of a message


@dataclass
class Siege:
    """Ann owns the workspace, Eve is a member of it and attacks."""

    server: Server
    ann: Person
    eve: Person
    workspace: int
    table: int
    bystander: NodeClient
    names: Any = field(default_factory=itertools.count)

    @asynccontextmanager
    async def attack(self) -> AsyncIterator[None]:
        """What happens inside is to leave nothing."""
        await self.hears()
        before = self.kept()
        yield
        try:
            await until(lambda: all(count <= before[name] for name, count in self.kept().items()), PROMPT)
        except TimeoutError:
            more = {name: count for name, count in self.kept().items() if count > before[name]}
            raise AssertionError(f"left: {more} where it was {before}; {asyncio.all_tasks()}") from None
        await self.hears()

    async def hears(self) -> None:
        """The bystander hears of a change within a second, and was never cut."""
        name = f"Team {next(self.names)}"
        await self.ann.ok("PATCH", f"/api/workspaces/{self.workspace}/", {"name": name})
        told = await self.bystander.receive("event", timeout=PROMPT)
        assert told["args"][0]["workspace"]["name"] == name
        assert self.bystander.waiting == []

    def kept(self) -> dict[str, int]:
        """How much of everything the server keeps for its connections."""
        app = self.server.app
        socketio, registry = app[SOCKETIO], app[REGISTRY]
        places: dict[str, Any] = {
            "engines": socketio.eio.sockets, "environ": socketio.environ, "pings": socketio.eio.pings,
            "engine tasks": socketio.eio._tasks, "clients": socketio.manager.clients, "sids": socketio.manager.sids,
            "callbacks": socketio.manager.callbacks, "entering": socketio._entering, "partial": socketio._partial,
            "idle": socketio._idle, "subscribers": registry.subscribers, "rooms": registry.members,
            "users": registry.users, "watchers": registry.watchers, "presence": app[PRESENCE]._here,
            "websockets": app[WEBSOCKETS], "tasks": asyncio.all_tasks(),
        }  # fmt: skip
        return {name: len(place) for name, place in places.items()} | {"descriptors": connections()}


def connections() -> int:
    """Open network connections of this process."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    found = 0
    for link in links:
        try:
            found += str(link.readlink()).startswith("socket:")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


@asynccontextmanager
async def besieged(database: Path, node: Toolchain, **settings: Any) -> AsyncIterator[Siege]:
    """A running server with the bystander connected to it."""
    given = {"max_frame_size": LIMIT, "connect_timeout": CONNECT_TIMEOUT} | settings
    async with running_server(database_url=f"sqlite:///{database}", **given) as server, NodeClient(node) as bystander:
        ann, eve = await newcomer(server, "Ann"), await newcomer(server, "Eve")
        workspace = await ann.workspace()
        await ann.invite(eve, workspace)
        table = await ann.table(await ann.database(workspace))
        options = {"auth": {"token": ann.token}, "transports": ["websocket"], "reconnection": False}
        await bystander.send({"cmd": "connect", "url": server.url, "namespace": "/core", "options": options})
        await bystander.receive("connect")
        yield Siege(server, ann, eve, workspace, table, bystander)
