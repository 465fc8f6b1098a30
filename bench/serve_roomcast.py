"""The released server (`python -m server serve`) with a control port besides.

Each line `turn FIRST COUNT AT` commits one transaction that records COUNT events, so they pass the log, the bell and
the relay as those of any action do; only REST and the action's own statements are left out. `aim ROOM,ROOM… USER
SOCKET due|begun` says for which rooms, in turn, who caused them, and whether AT, when the turn was due, is the time
that they carry or that at which their transaction began.

    python -m bench.serve_roomcast CONTROL_PORT
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import cast
from unittest import mock

from aiohttp import web

from bench import change
from server.app import create_app
from server.cli import process
from server.cli.environment import read_settings
from server.cli.migrate import prepare
from server.cli.serve import listen
from server.events.databases import RowsCreated
from server.events.event import Origin
from server.parts import STORE
from server.settings import Settings
from server.store.transaction import Store, Transaction


@dataclass
class Aim:
    """Whom the changes are for, and who caused them."""

    rooms: list[str] = field(default_factory=list)
    origin: Origin | None = None
    due: bool = True

    def take(self, words: list[str]) -> None:
        self.rooms = words[0].split(",")
        self.origin = Origin(int(words[1]), words[2])
        self.due = words[3] == "due"

    def record(self, tx: Transaction, first: int, count: int, at: int) -> None:
        """The action: one event after the other, for the rooms in turn."""
        if not self.due:
            at = time.monotonic_ns()
        for number in range(first, first + count):
            room = self.rooms[number % len(self.rooms)]
            body = change.body(int(room.rpartition(":")[2]), number, at)
            del body["type"]
            tx.record(RowsCreated(**body), room, origin=self.origin)


class Control(asyncio.Protocol):
    """A connection to the control port; as little as can be, since what it costs is counted as the server's."""

    def __init__(self, store: Store, aim: Aim) -> None:
        self.store, self.aim = store, aim
        self.rest = b""
        self.turns: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in lines:
            verb, *words = line.decode().split()
            if verb == "turn":
                turn = asyncio.create_task(self.store.write(self.aim.record, *map(int, words)))
                self.turns.add(turn)
                turn.add_done_callback(self.turns.discard)
            else:
                self.aim.take(words)
                self.transport.write(b"ok\n")


def with_control(port: int) -> Callable[[Settings], web.Application]:
    """What makes the application, with the control port."""

    def create(settings: Settings) -> web.Application:
        app = create_app(settings)
        aim = Aim()

        async def control(_: web.Application) -> AsyncIterator[None]:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: Control(app[STORE], aim), "127.0.0.1", port)
            yield
            server.close()

        app.cleanup_ctx.append(control)
        return app

    return create


def main() -> None:
    settings = read_settings()
    prepare(settings)
    with mock.patch("server.cli.process.create_app", with_control(int(sys.argv[1]))):
        raise SystemExit(process.serve_process(settings, listen(settings, 1)[0]))


if __name__ == "__main__":
    main()
