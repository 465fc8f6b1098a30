"""The README's examples, taken from the page and run against a server as it says."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.support.app import RawSocket
from tests.support.commands import ROOT, SECRET, serving
from tests.support.node import JS, Toolchain
from tests.support.processes import Child

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "127.0.0.1:8000"
HELLO = r"rows_created.*Hello"


def examples(language: str) -> list[str]:
    """The code blocks in a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@dataclass
class Setting:
    """The reader's terminal: a folder, a running server, a token."""

    folder: Path
    address: str
    environ: dict[str, str]

    def fill_in(self, code: str) -> str:
        """An example for this server."""
        return code.replace(ADDRESS, self.address).replace("$TOKEN", self.environ.get("TOKEN", ""))


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    """The account and the token are made by the README's own commands; all examples are run against one server."""
    tmp_path = tmp_path_factory.mktemp("readme")
    database = {"DATABASE_URL": f"sqlite:///{tmp_path}/roomcast.sqlite3"}
    environ = {**os.environ, **database, "SECRET_KEY": SECRET, "PYTHONPATH": str(ROOT)}
    with serving(**database) as (_, url):
        commands = examples("sh")[0].replace(".venv/bin/python", sys.executable) + "echo token=$TOKEN\n"
        done = subprocess.run(["sh", "-e", "-c", commands], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        environ["TOKEN"] = done.stdout.rpartition("token=")[2].strip()
        yield Setting(tmp_path, url.removeprefix("http://"), environ)


async def change(setting: Setting) -> None:
    """Sends the request of the curl example."""
    words = shlex.split(setting.fill_in(examples("sh")[1]).replace("\\\n", ""))
    given = [words[index + 1] for index, word in enumerate(words) if word == "-H"]
    headers = {name: value.strip() for name, _, value in (header.partition(":") for header in given)}
    (url,) = (word for word in words if word.startswith("http"))
    method, data = (words[words.index(option) + 1] for option in ("-X", "-d"))
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, url, headers=headers, data=data) as response,
    ):
        assert response.status == 200, await response.text()


async def test_the_javascript_example_hears_the_change(setting: Setting, node: Toolchain) -> None:
    (setting.folder / "node_modules").symlink_to(JS / "node_modules")
    script = setting.folder / "example.mjs"
    script.write_text(setting.fill_in(examples("js")[0]))
    with Child([node.node, script], env=setting.environ, cwd=setting.folder) as child:
        await asyncio.to_thread(child.wait_line, r"ok: true")
        await change(setting)
        await asyncio.to_thread(child.wait_line, HELLO)


async def test_the_python_example_hears_the_change(setting: Setting) -> None:
    code = setting.fill_in(examples("python")[0])
    with Child([sys.executable, "-c", code], env=setting.environ, cwd=setting.folder) as child:
        await asyncio.to_thread(child.wait_line, r"'ok': True")
        await change(setting)
        await asyncio.to_thread(child.wait_line, HELLO)


async def test_the_raw_socket_hears_the_change(setting: Setting) -> None:
    said, _, client = setting.fill_in(examples("sh")[2]).partition("|")
    url = next(word for word in shlex.split(client) if word.startswith("ws://"))
    async with aiohttp.ClientSession() as http:
        socket = RawSocket(await http.ws_connect(url, autoclose=False))
        await socket.send(shlex.split(said)[1])
        await socket.expect("authentication", "page_add")
        await change(setting)
        (created,) = await socket.expect("rows_created")
        assert "Hello" in json.dumps(created)
        await socket.close()
