"""The browser's example of the documentation, run as it stands there by an engine that has `fetch`."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from server.delivery import wire
from server.lifecycle import close_sockets
from server.parts import REGISTRY
from tests.support.app import Server
from tests.support.core_2026 import make_grid
from tests.support.event_stream import PATH
from tests.support.node import Toolchain
from tests.support.processes import Child

PAGE = Path(__file__).parents[2] / "docs/protocols/events-over-http.md"
MAIN = """
const [url, token, since] = process.argv.slice(2);
try {
  for await (const event of follow(url, async () => token, since)) console.log(JSON.stringify(event));
} catch (error) {
  console.log("refused", error.response.status);
}
"""


async def test_the_example_misses_nothing_when_the_server_ends_its_stream(
    server: Server, node: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "RETRY", 50)
    grid = await make_grid(server)
    (example,) = re.findall(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "page.mjs"
    script.write_text(example + MAIN, encoding="utf-8")
    begin = await server.log_position()
    url = f"{server.url}{PATH}?room=workspace:{grid.workspace}"
    told = [await grid.rename("before")]
    with Child([node.node, script, url, grid.bob.token, str(begin)]) as page:
        for number in range(3):
            await asyncio.to_thread(page.wait_line, f'"id":"{told[-1]}"')
            told.append(await grid.rename(f"live {number}"))
            await asyncio.to_thread(page.wait_line, f'"id":"{told[-1]}"')
            await close_sockets(server.app)
            while server.app[REGISTRY].subscribers:
                await asyncio.sleep(0.01)
            told.append(await grid.rename(f"away {number}"))
        await asyncio.to_thread(page.wait_line, f'"id":"{told[-1]}"')
        await grid.remove_bob()
        await asyncio.to_thread(page.wait_line, "refused 400")
        *lines, _ = page.output.splitlines()
    events = [json.loads(line) for line in lines]
    renamed = [int(event["id"]) for event in events if event["type"] == "group_updated"]
    assert renamed == told
    assert events[-1]["data"] == {"room": f"workspace:{grid.workspace}"}
