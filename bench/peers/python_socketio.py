"""python-socketio on aiohttp as its documentation shows it.

python -m bench.peers.python_socketio PORT CONTROL_PORT [uvloop]
"""

import asyncio
import sys
from typing import Any

import socketio
import uvloop
from aiohttp import web

from bench.change import body
from bench.peers.control import control


async def main(port: int, control_port: int) -> None:
    server = socketio.AsyncServer(async_mode="aiohttp")
    app = web.Application()
    server.attach(app)

    @server.on("page", namespace="/core")  # type: ignore[untyped-decorator]
    async def page(sid: str, frame: dict[str, Any]) -> dict[str, Any]:
        await server.enter_room(sid, f"table:{frame['table_id']}", namespace="/core")
        return {"ok": True}

    async def publish(first: int, count: int, at: int) -> None:
        for number in range(first, first + count):
            await server.emit("rows_created", body(1, number, at), room="table:1", namespace="/core")

    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await control(control_port, publish)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if "uvloop" in sys.argv else None) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
