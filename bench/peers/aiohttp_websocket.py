"""A WebSocket of aiohttp and nothing else: the least that a connection costs in Python.

python -m bench.peers.aiohttp_websocket PORT CONTROL_PORT
"""

import asyncio
import sys

import uvloop
from aiohttp import web

from bench.change import encoded
from bench.peers.control import control


async def main(port: int, control_port: int) -> None:
    sockets: set[web.WebSocketResponse] = set()

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.add(socket)
        async for _ in socket:
            pass
        sockets.discard(socket)
        return socket

    async def publish(first: int, count: int, at: int) -> None:
        for number in range(first, first + count):
            text = encoded(1, number, at).decode()
            for socket in sockets:
                await socket.send_str(text)

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await control(control_port, publish)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2])))
