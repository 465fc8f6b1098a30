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
import pytest_asyncio

from tests.support.app import SECRET, running_server

HERE = Path(__file__).parent
BAD = ("differs", "missing", "extra")
EXPECTED = tomllib.loads((HERE / "expected.toml").read_text())
DEADLINE = 300.0
AT_ONCE = 4  # scenarios: they mostly wait, until nothing more arrives

Told = tuple[set[str], str]


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


async def play(scenario: str, folder: Path) -> Told:
    """The steps that differ, and what the kit says. The server has the settings of the recorded one, and an empty
    database."""
    out, result = folder / "out", folder / "result.json"
    async with running_server(
        database_url=f"sqlite:///{folder}/conformance.sqlite3", access_token_lifetime=600
    ) as server:
        await server.sign_up("Staff")  # the first account is staff
        base = ("--base", server.url, "--secret", SECRET, "--out", str(out))
        played = await run("drive.py", *base, "--quiet", "0.05", "--patience", "1", scenario)
    waivers = ("--waivers", "waivers.toml", "--waivers", "decisions.toml")
    report = await run("compare.py", str(out), *waivers, "--json", str(result), "--only", scenario)
    steps = json.loads(result.read_text())[scenario]
    return {f"{step['n']} {step['label']}" for step in steps if step["verdict"] in BAD}, f"{played}\n{report}"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def playing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, asyncio.Task[Told]]]:
    """All scenarios that are asked for, some at once, each with a server of its own."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def in_turn(scenario: str) -> Told:
        async with turns:
            return await play(scenario, tmp_path_factory.mktemp(scenario))

    asked = [item.callspec.params["scenario"] for item in request.session.items if item.path == request.path]
    tasks = {scenario: asyncio.create_task(in_turn(scenario)) for scenario in asked}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("scenario", sorted(EXPECTED))
async def test_a_recorded_scenario(playing: dict[str, asyncio.Task[Told]], scenario: str) -> None:
    differing, report = await playing[scenario]
    assert differing == {step["step"] for step in EXPECTED[scenario].get("differs", [])}, report
