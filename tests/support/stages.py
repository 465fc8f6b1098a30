"""Stages that several scenarios begin with."""

import asyncio

from tests.support.app import Server
from tests.support.scenario import Stage


async def database_stage(server: Server) -> Stage:
    """Ann (admin; sockets `here`, with which she acts, and `there`) and Bob (member) share a workspace with an empty
    database; Eve does not belong to it."""
    ann, bob, eve = await asyncio.gather(*[server.sign_up(name) for name in ("Ann", "Bob", "Eve")])
    workspace = await ann.workspace()
    await ann.invite(bob, workspace)
    names = {"workspace": workspace, "database": await ann.database(workspace), "ann_id": ann.id, "bob_id": bob.id}
    sockets = {"here": await ann.core_socket(), "there": await ann.core_socket(), "bob": await bob.core_socket()}
    return Stage({"ann": ann, "bob": bob, "eve": eve}, sockets, names)


async def table_stage(server: Server) -> Stage:
    """The same with a table of the fields Name, Num (two places), Done and When, three rows r1, r2 and r3, and all
    three sockets on its page. Ids: `table`, `name`, `num`, `done`, `when`."""
    stage = await database_stage(server)
    ann = stage.people["ann"]
    data = {"data": [["Name"], ["r1"], ["r2"], ["r3"]], "first_row_header": True}
    table = stage.names["table"] = await ann.table(stage.names["database"], "Rows", **data)
    fields = f"/api/database/fields/table/{table}/"
    stage.names["name"] = (await ann.ok("GET", fields))[0]["id"]
    for name, options in (
        ("num", {"type": "number", "number_decimal_places": 2, "number_negative": True}),
        ("done", {"type": "boolean"}),
        ("when", {"type": "date", "date_format": "ISO"}),
    ):
        stage.names[name] = (await ann.ok("POST", fields, {"name": name.capitalize(), **options}))["id"]
    for socket in stage.sockets.values():
        await socket.subscribe("table", table_id=table)
    await stage.heard()
    return stage
