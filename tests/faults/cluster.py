"""Servers that are processes, so that they can die: each keeps its port, and clients find it again after a restart."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from server.store.migrate import migrate
from tests.support.commands import command, listening_url
from tests.support.processes import Child, free_port

TICK = 0.01  # seconds between two looks at a condition that cannot wake us
PATIENCE = 30.0  # seconds until a server that should be ready, or dead, is given up
SETTINGS = {
    "SIGNUP_CREATES_WORKSPACE": "false",
    "PING_INTERVAL": "2",  # half-open connections are noticed within the test
    "PING_TIMEOUT": "2",
    "HEARTBEAT": "4",
    "SHUTDOWN_SPREAD": "0.2",
    "LOG_LEVEL": "WARNING",
}


class Node:
    """One `serve` process on a port of its own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.port = free_port()
        self.environ = dict(environ)
        self.module = "server"  # or one that runs it in special circumstances
        self.armed = ""  # the fault points of the running process
        self.output: list[str] = []  # what earlier processes printed
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def child(self) -> Child:
        """The running process."""
        assert self._child is not None, "the node was not started"
        return self._child

    async def start(self, **settings: str) -> None:
        """Starts it, for this once with these settings besides; returns when it listens."""
        environ = self.environ | {name: value for name, value in settings.items() if value}
        self.armed = environ.get("FAULT_POINTS", "")
        self._child = await asyncio.to_thread(command, "serve", "--port", str(self.port), module=self.module, **environ)
        await asyncio.to_thread(listening_url, self._child)

    async def kill(self) -> None:
        """SIGKILL: nothing it had in memory survives."""
        await asyncio.to_thread(self.child.kill)
        self._keep_output()

    async def stop(self) -> int:
        """SIGTERM; the exit status."""
        status = await asyncio.to_thread(self.child.terminate, PATIENCE)
        self._keep_output()
        return status

    async def died(self, patience: float = PATIENCE) -> None:
        """Returns once it killed itself at a fault point; AssertionError when it did not, or ended otherwise."""
        child, deadline = self.child, time.monotonic() + patience
        while child.running:
            assert time.monotonic() < deadline, f"{self.armed} was not reached within {patience} s"
            await asyncio.sleep(TICK)
        status = await asyncio.to_thread(child.wait)
        self._keep_output()
        assert status == -signal.SIGKILL, (status, child.output)

    async def restart(self, **settings: str) -> None:
        """Ends in order and starts again."""
        assert await self.stop() == 0, self.output[-1]
        await self.start(**settings)

    def _keep_output(self) -> None:
        self.output.append(self.child.output)

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running


class Cluster:
    """The nodes on one database."""

    def __init__(self, database_url: str, redis_url: str = "", *, nodes: int = 1, **settings: str) -> None:
        self.database_url = database_url
        self.environ = {"DATABASE_URL": database_url, **SETTINGS, **settings}
        if redis_url:
            self.environ["REDIS_URL"] = redis_url
        self.nodes = [Node(self.environ) for _ in range(nodes)]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    @property
    def kind(self) -> str:
        """How the report names it."""
        database = "SQLite" if self.database_url.startswith("sqlite") else "PostgreSQL"
        bell = " + Redis" if "REDIS_URL" in self.environ else ""
        return f"{database}{bell}, {len(self.nodes)} node{'s' * (len(self.nodes) > 1)}"

    async def start(self) -> None:
        """Migrates the database and starts all nodes."""
        await asyncio.to_thread(migrate, self.database_url)
        await asyncio.gather(*(node.start() for node in self.nodes))
        await self.ready()

    async def ready(self, patience: float = PATIENCE) -> None:
        """Returns once every node says that it is ready."""
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(is_ready(http, url, patience) for url in self.urls))

    async def says(self, **expected: bool) -> None:
        """Returns once /readyz of every node says so of these checks: bell, database."""
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(says(http, url, expected) for url in self.urls))

    async def stop(self) -> list[int]:
        """Ends all that run; their exit statuses."""
        return list(await asyncio.gather(*(node.stop() for node in self.nodes if node.running)))


async def is_ready(http: aiohttp.ClientSession, url: str, patience: float) -> None:
    """Asks /readyz until it says yes; TimeoutError with its last answer."""
    deadline = time.monotonic() + patience
    answer = "no answer"
    while time.monotonic() < deadline:
        try:
            async with http.get(url + "/readyz") as response:
                answer = await response.text()
                if response.status == 200:
                    return
        except aiohttp.ClientError as error:
            answer = repr(error)
        await asyncio.sleep(TICK)
    raise TimeoutError(f"{url} is not ready: {answer}")


async def says(http: aiohttp.ClientSession, url: str, expected: Mapping[str, bool]) -> None:
    """Asks /readyz until it says what is expected, with the status that goes with it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        async with http.get(url + "/readyz") as response:
            answer = await response.json()
        assert response.status == (200 if all(answer["checks"].values()) else 503), answer
        if answer["checks"].items() >= expected.items():
            return
        await asyncio.sleep(TICK)
    raise TimeoutError(f"{url} says {answer}, not {expected}")


@asynccontextmanager
async def running_cluster(cluster: Cluster) -> AsyncIterator[Cluster]:
    """A started cluster; whatever is left of it afterwards ends."""
    try:
        await cluster.start()
        yield cluster
    finally:
        await asyncio.gather(*(node.kill() for node in cluster.nodes if node.running))
