"""The example clients, run as their README says: each makes a change over REST and is told of it, is told every change
once and in order, also those that were made while it was cut off, and says what it is refused."""

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.app import PASSWORD, Person, Server, running_server
from tests.support.boards import Board, make_board
from tests.support.cable import Cable, cable_to
from tests.support.clients import make_client
from tests.support.commands import ROOT
from tests.support.core_2026 import newcomer
from tests.support.node import JS, Toolchain
from tests.support.processes import Child
from tests.support.records import RunningEndpoint, running_endpoint

Children = dict[str, Child]
FOLLOWING = "^following$"
ABOUT_ITSELF = re.compile("(following|trying again.*|curl: .*|websocket-client package not installed.*|)$").match


@pytest.fixture
def folder(tmp_path: Path, node: Toolchain) -> Path:
    """The examples, with the packages of Node beside them and what stands in for websocat in `bin`."""
    (tmp_path / "node_modules").symlink_to(JS / "node_modules")
    (tmp_path / "bin").mkdir()
    websocat = tmp_path / "bin/websocat"
    websocat.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/support/websocat.py "$@"\n')
    websocat.chmod(0o755)
    return Path(shutil.copytree(ROOT / "examples", tmp_path / "examples"))


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=sqlite_url, signup_creates_workspace=False) as running:
        yield running


@pytest.fixture
async def cable(server: Server) -> AsyncIterator[Cable]:
    async with cable_to(server.url) as whole:
        yield whole


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


class Runner:
    """Starts examples whose server is at the far end of the cable, and ends them with the test."""

    def __init__(self, folder: Path, cable: Cable, node: Toolchain, stack: AsyncExitStack) -> None:
        self.folder, self.node, self.stack = folder, node, stack
        self.server = cable.url
        path = f"{folder.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**os.environ, "ROOMCAST": cable.url, "PATH": path}

    def start(self, *command: str | Path, **environ: str) -> Child:
        child = Child(command, env=self.environ | environ, cwd=self.folder)
        self.stack.callback(child.kill)
        return child

    def script(self, name: str, *arguments: str, **environ: str) -> Child:
        return self.start(self.node.node, f"javascript/{name}", *arguments, **environ)

    def python(self, name: str, *arguments: str, **environ: str) -> Child:
        return self.start(sys.executable, f"python/{name}", *arguments, **environ)

    def shell(self, name: str, *arguments: str, **environ: str) -> Child:
        return self.start("sh", f"shell/{name}", *arguments, **environ)

    def page(self, name: str, /, **form: str) -> Child:
        """A page whose form is filled in and sent."""
        fields = json.dumps({"server": self.server} | form)
        return self.start(self.node.node, JS / "page.mjs", self.folder / "javascript" / name, fields)


@pytest.fixture
def runner(folder: Path, cable: Cable, node: Toolchain, stack: AsyncExitStack) -> Runner:
    return Runner(folder, cable, node, stack)


async def all_show(children: Children, pattern: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(child.wait_line, pattern) for child in children.values()))


def shown(child: Child, begin: str = "") -> list[str]:
    """What an example printed about the board or the records, from a line on; what it says about itself is left out."""
    lines = [plain(line) for line in child.output.splitlines() if not ABOUT_ITSELF(line)]
    return lines[lines.index(begin) if begin else 0 :]


def plain(line: str) -> str:
    """A line; what the shell examples print as JSON, as the others print it."""
    name, _, text = line.partition(" ")
    match name:
        case "item-updated":
            return "{name} is {state}".format_map(json.loads(text))
        case "item-removed":
            return f"{json.loads(text)} is gone"
        case "column-patched":
            return "{name}: {subscribed_items}".format_map(json.loads(text))
    if line.startswith('{"type":'):
        message = json.loads(line)
        return f"{message['type']} {json.dumps(message['record']['data'], separators=(',', ':'))}"
    return re.sub(r"(?<=[:,]) ", "", line) if name in ("POST", "PUT", "DELETE") else line


async def start_items(runner: Runner, board: Board, bob: Person) -> Children:
    """Every example of items; programs come as a client, the page and the shell as Bob."""
    client = await make_client(board)
    program = {"CLIENT_ID": client["client_id"], "CLIENT_SECRET": client["client_secret"]}
    form = {"workspace": board.uuid, "email": bob.email, "password": PASSWORD, "name": "From the page"}
    return {
        "the page": runner.page("items.html", **form),
        "node": runner.script("items.node.js", "From node", **program),
        "python": runner.python("items_sync.py", "From python", **program),
        "asyncio": runner.python("items_async.py", "From asyncio", **program),
        "the shell": runner.shell("items.sh", board.uuid, "From the shell", EMAIL=bob.email, PASSWORD=PASSWORD),
    }


async def test_the_examples_of_items(server: Server, cable: Cable, runner: Runner) -> None:
    ann, bob = await newcomer(server, "Ann"), await newcomer(server, "Bob")
    board = await make_board(ann)
    await ann.invite(bob, board.workspace)
    children = await start_items(runner, board, bob)
    await all_show(children, FOLLOWING)
    for name, child in children.items():
        await asyncio.to_thread(child.wait_line, f"From {name}")
    inbox, work, _ = [column["name"] for column in board.workflow["columns"]]
    item = await board.item("Begin")
    await all_show(children, "Begin")
    await cable.cut()
    await ann.ok("PATCH", f"/items/{item['id']}", {"name": "Away"})
    await ann.ok("PATCH", f"/items/{item['id']}", {"column_id": board.columns[1]})
    await cable.mend()
    await all_show(children, "Away")
    await ann.ok("DELETE", f"/items/{item['id']}")
    await ann.ok("PATCH", f"/columns/{board.columns[0]}", {"name": "Done"})
    await all_show(children, "Done")
    for name, child in children.items():
        assert shown(child, "Begin is uploaded") == [
            "Begin is uploaded", f"{inbox}: 6",
            "Away is uploaded", "Away is uploaded", f"{inbox}: 5", f"{work}: 1",
            f"{item['id']} is gone", f"{work}: 0", "Done: 5",
        ], name  # fmt: skip
        assert shown(child).count(f"From {name} is uploaded") == 1, name
    await end_of_access(board, bob, children)


async def end_of_access(board: Board, bob: Person, children: Children) -> None:
    """The client is deleted and Bob leaves: programs are refused, the others are told that he is no member."""
    (client,) = await board.ann.ok("GET", "/clients")
    await board.ann.ok("DELETE", f"/clients/{client['client_id']}")
    await bob.ok("POST", f"/api/workspaces/{board.workspace}/leave/")
    for name in ("node", "python", "asyncio"):
        await asyncio.to_thread(children[name].wait_line, "401")
        await asyncio.to_thread(children[name].wait)
    await asyncio.to_thread(children["the page"].wait_line, "no longer a member")
    await asyncio.to_thread(children["the shell"].wait_line, "refused: 40")
    assert await asyncio.to_thread(children["the shell"].wait) != 0


def start_records(runner: Runner, endpoint: RunningEndpoint) -> Children:
    """Every example of records; each stores its name."""
    name, key = endpoint.shown["name"], endpoint.project["key"]
    return {
        "page": runner.page("records.html", endpoint=name, key=key, text="page"),
        "node": runner.script("records.node.js", name, key, '{"text":"node"}'),
        "python": runner.python("records_sync.py", name, key, '{"text":"python"}'),
        "asyncio": runner.python("records_async.py", name, key, '{"text":"asyncio"}'),
        "shell": runner.shell("records.sh", name, key, '{"text":"shell"}'),
    }


async def test_the_examples_of_records(server: Server, cable: Cable, runner: Runner) -> None:
    endpoint = await running_endpoint(server)
    children = start_records(runner, endpoint)
    await all_show(children, FOLLOWING)
    for name, child in children.items():
        await asyncio.to_thread(child.wait_line, rf"POST.*{name}")
    made = await endpoint.ok("POST", "begin")
    await all_show(children, "begin")
    await cable.cut()
    await endpoint.ok("PUT", "away", uniqueId=made["uniqueId"])
    await endpoint.ok("POST", ["away too"])
    await cable.mend()
    await all_show(children, "away too")
    await endpoint.ok("DELETE", uniqueId=made["uniqueId"])
    await endpoint.ok("POST", "end")
    await all_show(children, "end")
    for name, child in children.items():
        assert shown(child, 'POST "begin"') == [
            'POST "begin"', 'PUT "away"', 'POST ["away too"]', 'DELETE "away"', 'POST "end"'
        ], name  # fmt: skip
        assert shown(child).count(f'POST {{"text":"{name}"}}') == 1, name
    await endpoint.manage("POST", f"/api/projects/{endpoint.project['id']}/rotate-key/")
    await all_show(children, r"The API key is invalid\.")
    for child in children.values():
        await asyncio.to_thread(child.wait)


def test_what_a_page_loads_is_the_client_that_the_tests_drive(node: Toolchain) -> None:
    """The browser compares what it loads with the page's `integrity`; it has the version of the lock file."""
    text = (ROOT / "examples/javascript/items.html").read_text(encoding="utf-8")
    file = (JS / "node_modules/socket.io-client/dist/socket.io.esm.min.js").read_bytes()
    version = json.loads((JS / "package.json").read_text(encoding="utf-8"))["dependencies"]["socket.io-client"]
    assert f"socket.io-client@{version}/" in text
    assert f"sha384-{base64.b64encode(hashlib.sha384(file).digest()).decode()}" in text
