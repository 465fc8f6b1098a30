"""The recorded scenarios of the original, played against a running server and compared step by step.

`expected.toml` lists, per scenario, the steps that are known to differ and why. The list is strict: a step that
differs without being listed fails, and so does one that is listed and agrees.
"""

import asyncio
import json
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.app import SECRET, Server, running_server

HERE = Path(__file__).parent
BAD = ("differs", "missing", "extra")
EXPECTED = tomllib.loads((HERE / "expected.toml").read_text())
DEADLINE = 300.0


@pytest.fixture
async def original_like(tmp_path: Path) -> AsyncIterator[Server]:
    """A server with the settings of the recorded one, on an empty database."""
    url = f"sqlite:///{tmp_path}/conformance.sqlite3"
    async with running_server(database_url=url, access_token_lifetime=600) as server:
        await server.sign_up("Staff")  # the first account is staff
        yield server


async def run(*command: str) -> str:
    """Runs one of the kit's programs to its end; what it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=HERE
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), DEADLINE)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return output.decode()


@pytest.mark.parametrize("scenario", sorted(EXPECTED))
async def test_a_recorded_scenario(original_like: Server, tmp_path: Path, scenario: str) -> None:
    out, result = tmp_path / "out", tmp_path / "result.json"
    base = ("--base", original_like.url, "--secret", SECRET, "--out", str(out))
    played = await run("drive.py", *base, "--quiet", "0.05", "--patience", "1", scenario)
    waivers = ("--waivers", "waivers.toml", "--waivers", "decisions.toml")
    report = await run("compare.py", str(out), *waivers, "--json", str(result), "--only", scenario)
    steps = json.loads(result.read_text())[scenario]
    differing = {f"{step['n']} {step['label']}" for step in steps if step["verdict"] in BAD}
    expected = {step["step"] for step in EXPECTED[scenario].get("differs", [])}
    assert differing == expected, f"{played}\n{report}"
