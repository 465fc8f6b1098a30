"""Roomcast as a server under test: released configuration, SQLite, everything on.

One account makes the changes, with a socket of its own in the room, which is left out each time; the subscribers are
those of another member, each with a token of its own if asked.
"""

import json
import socket
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from bench.load import Clients, Load
from bench.rest_client import Person
from bench.servers import Server, socketio_clients
from server.auth.tokens import Tokens

SECRET = "k" * 48
CONDUCTED = '"rows_created"'  # what the control port has published
ACTOR_SOCKET = str(uuid.uuid4())


def raw_clients(pages: Sequence[int]) -> Clients:
    """Clients of `/ws/core/` on the pages of tables."""
    steps = [("expect", '"success":true')]
    for table in pages:
        steps += [("send", json.dumps({"page": "table", "table_id": table})), ("expect", '"page_add"')]
    return Clients("/ws/core/?jwt_token={token}", tuple(steps))


def require_silence(load: Load) -> None:
    """Raises RuntimeError where clients were told changes."""
    if strays := load.close():
        raise RuntimeError(f"the author was told {strays} of its own changes")


class Roomcast(Server):
    """`kinds` are those of the clients, raw and socketio; every one joins `tables` tables. `recovery` asks for
    connection state recovery, `tokens` is how many tokens clients have between them, frames without the text `only` are
    not counted as changes."""

    weight = 6.0

    def __init__(
        self, *kinds: str, tables: int = 1, tokens: int = 1, recovery: bool = False, only: str | None = None
    ) -> None:
        super().__init__()
        self.kinds, self.table_count, self.token_count, self.recovery = kinds, tables, tokens, recovery
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="roomcast-bench-")))
        self.only, self.conducted = only, only in (None, CONDUCTED)
        self.tables: list[int] = []
        self.database = 0
        self.actor: Person

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", "bench.serve_roomcast", str(self.control_port)]

    def environ(self) -> dict[str, str]:
        database = f"sqlite:///{self.folder}/bench.sqlite3"
        unlimited = {"MAX_CONNECTIONS_PER_USER": "0"}  # all subscribers are one user
        return unlimited | {"DATABASE_URL": database, "SECRET_KEY": SECRET, "HOST": "127.0.0.1", "PORT": str(self.port)}

    def prepare(self) -> None:
        """Makes accounts, tables and tokens, and says whom changes are for."""
        self.actor, subscriber = Person.sign_up(self.port, "ann"), Person.sign_up(self.port, "bob")
        workspace = self.actor.workspace()
        self.actor.invite(subscriber, workspace)
        self.database = self.actor.database(workspace)
        self.tables = [self.actor.table(self.database) for _ in range(self.table_count)]
        issuer = Tokens(SECRET, 36000, 36000)
        tokens = [issuer.access(subscriber.id) for _ in range(self.token_count)]
        (self.folder / "tokens").write_text("".join(token + "\n" for token in tokens))
        if self.tables:
            self.aim([f"core:table:{table}" for table in self.tables])
            self.connect_actor()

    def aim(self, rooms: Sequence[str], time_from: str = "due") -> None:
        """Says for which rooms changes are from now on, and from when they are timed: `due`, when they should have been
        made, or `begun`, the beginning of their transaction."""
        with socket.create_connection(("127.0.0.1", self.control_port)) as control:
            control.sendall(f"aim {','.join(rooms)} {self.actor.id} {ACTOR_SOCKET} {time_from}\n".encode())
            control.recv(16)

    def connect_actor(self) -> None:
        """The socket of the account that makes the changes, which none of them is told."""
        path = self.folder / "actor"
        path.write_text(self.actor.token + "\n")
        clients = raw_clients(self.tables)
        clients = Clients(f"{clients.path}&web_socket_id={ACTOR_SOCKET}", clients.steps)
        load = self.stack.enter_context(Load(self.port, 0, [clients], tokens=path))
        load.open(1)
        self.stack.callback(require_silence, load)

    def another_connection(self) -> Person:
        """The account that makes the changes, over a connection of its own."""
        person = Person(self.port)
        person.token, person.id = self.actor.token, self.actor.id
        return person

    def clients(self) -> Sequence[Clients]:
        recovery = ',"recovery":true' if self.recovery else ""
        connect = f'{{"token":"{{token}}"{recovery}}}'
        made = {"raw": raw_clients(self.tables), "socketio": socketio_clients(connect, self.tables)}
        return [made[kind] for kind in self.kinds]

    def generator(self) -> Load:
        return Load(self.port, self.control_port, self.clients(), tokens=self.folder / "tokens", only=self.only)


class RoomcastNode(Roomcast):
    """One of several processes with a common database and Redis; `main` is the one that was there before."""

    def __init__(self, *kinds: str, redis_url: str, main: Roomcast | None = None) -> None:
        super().__init__(*kinds)
        self.redis_url, self.main = redis_url, main
        if main is not None:
            self.folder = main.folder

    def environ(self) -> dict[str, str]:
        return super().environ() | {"REDIS_URL": self.redis_url}

    def prepare(self) -> None:
        if self.main is None:
            super().prepare()
        else:
            self.actor, self.tables, self.database = self.main.actor, self.main.tables, self.main.database
