"""Pages of the database API in both styles (contract mirrors.md, namespace `/core`). What items and records tell in
both is compared beside their sockets, in `test_events_socket.py` and `test_ce_namespace.py`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.app import Server
from tests.support.core_2026 import Grid, make_grid
from tests.support.core_clients import Connect, core_clients


@pytest.fixture
async def grid(server: Server) -> Grid:
    return await make_grid(server)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    async with core_clients() as found:
        yield found


async def test_both_styles_tell_the_same_in_the_same_order(grid: Grid, connect: Connect) -> None:
    """Workspace, table and row pages, among them a page that ends; `page_add` and the acknowledgement too."""
    ann, rows = grid.ann, f"/api/database/rows/table/{grid.table}/"
    row = await ann.ok("POST", rows, {})
    raw, client = await grid.bob.core_socket(), await connect(grid.bob)
    table = {"table_id": grid.table}
    for name, parameters in (("table", table), ("row", table | {"row_id": row["id"]})):
        await raw.send({"page": name} | parameters)
        answer = await client.call("page", {"page": name} | parameters)
        assert answer == {"ok": True, "page": name, "parameters": parameters, "position": answer["position"]}

    async def work(number: int) -> None:
        made = await ann.ok("POST", rows, {})
        await ann.ok("PATCH", f"{rows}{row['id']}/", {})
        await ann.ok("DELETE", f"{rows}{made['id']}/")
        await grid.rename(f"Workspace {number}")

    await asyncio.gather(*(work(number) for number in range(5)))
    await ann.ok("DELETE", f"/api/database/tables/{grid.table}/")
    await grid.rename("The end")
    for found in (raw, client):
        await found.until(lambda found=found: found.messages and "The end" in str(found.messages[-1]))
    told = [message for message in raw.messages if message["type"] != "authentication"]
    assert client.messages == told
    kinds = {"page_add", "rows_created", "rows_updated", "rows_deleted", "group_updated", "page_discard"}
    assert kinds <= {message["type"] for message in told}
