"""Floods: who sends too much is told so and sent away, in a way that lets it come back; others are served meanwhile."""

import asyncio
import json
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from server.delivery import limits
from server.delivery.limits import Verdict
from server.parts import REGISTRY, SOCKETIO, WEBSOCKETS
from server.rates import Rate
from tests.support.app import Server, running_server
from tests.support.core_2026 import count, make_grid
from tests.support.core_clients import core_clients
from tests.support.engineio import until
from tests.support.limits import watch_limits

FLOOD = 10_000
ALLOWED, GRACE = 500, 10
FROM = {"X-Forwarded-For": "203.0.113.5"}
REFUSED = {"type": "error", "error": "ERROR_TOO_MANY_MESSAGES"}
SLOW = {"events_per_second": 1.0}  # so that nothing that matters comes back while a test runs


async def flood(socket: aiohttp.ClientWebSocketResponse, frame: str) -> None:
    """Sends a frame ten thousand times, or until the connection ends."""
    try:
        for _ in range(FLOOD):
            await socket.send_str(frame)
    except ConnectionError:
        pass


async def test_ten_thousand_frames_of_a_raw_socket_end_it_with_4429_while_others_hear(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", **SLOW) as server:
        grid = await make_grid(server)
        flooder, other = await grid.ann.core_socket(), await grid.bob.core_socket()
        await other.subscribe("table", table_id=grid.table)
        sending = asyncio.create_task(flood(flooder.connection, '{"type":"ping"}'))
        for _ in range(5):
            await grid.add_row()
        await other.expect(*["rows_created"] * 5)
        await flooder.until(lambda: flooder.closed)
        assert flooder.closed == (4429, "too many messages")
        assert flooder.messages[-GRACE - 1 :] == [REFUSED] * (GRACE + 1)
        assert count(flooder, "pong") == ALLOWED
        await sending
        await until(lambda: len(server.app[WEBSOCKETS]) == 1)
        back = await grid.ann.core_socket()
        await back.send({"type": "ping"})
        await back.expect("pong")
    assert limits_met() == {"events_per_second": GRACE + 1}


class Speaker:
    full_at = 0.0


def test_who_heeds_the_error_is_heard_again_and_who_does_not_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    judge = partial(limits.Limits(events=Rate.of(10, 3)).judge, Speaker())
    assert [judge() for _ in range(5)] == [Verdict.FINE] * 3 + [Verdict.TOO_MANY] * 2
    now[0] += 0.3
    assert judge() == Verdict.FINE
    assert [judge() for _ in range(GRACE + 1)] == [Verdict.TOO_MANY] * GRACE + [Verdict.ENOUGH]


async def test_ten_thousand_events_of_a_socketio_client_end_its_connection_while_others_hear(tmp_path: Path) -> None:
    limits_met = watch_limits()
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", **SLOW) as server, core_clients() as connect:
        grid = await make_grid(server)
        other = await connect(grid.bob)
        await other.page(grid.table)
        url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        flooder = await server.http.ws_connect(url, autoclose=False)
        await flooder.send_str("40/core," + json.dumps({"token": grid.ann.token}))
        sending = asyncio.create_task(flood(flooder, '42/core,7["page",{"page":"none"}]'))
        for _ in range(5):
            await grid.add_row()
        await other.until(lambda: [m["type"] for m in other.messages].count("rows_created") == 5)
        heard = [message async for message in flooder]  # until it ends
        texts = [message.data for message in heard if message.type is aiohttp.WSMsgType.TEXT]
        refused = '43/core,7[{"ok":false,"error":"ERROR_TOO_MANY_MESSAGES","message":"Too many messages. Send fewer."}]'
        assert texts[-GRACE - 1 :] == [refused] * (GRACE + 1)
        assert flooder.close_code == 4429
        await sending
        await until(lambda: len(server.app[SOCKETIO].eio.sockets) == 1)
        await flooder.close()
    assert limits_met() == {"events_per_second": GRACE + 1}


async def test_connect_packets_count_as_events(tmp_path: Path) -> None:
    limits_met = watch_limits()
    settings = {"events_per_second": 1.0, "events_burst": 5}
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", **settings) as server:
        url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        socket = await server.http.ws_connect(url, autoclose=False)
        await flood(socket, "40/none,")
        answers = [message.data async for message in socket if message.type is aiohttp.WSMsgType.TEXT]
        assert answers.count('44/none,{"message":"Invalid namespace"}') == 5
        assert socket.close_code == 4429
        await socket.close()
    assert limits_met()["events_per_second"] == GRACE + 1


async def knock(server: Server) -> int:
    """The status of an attempt to open a socket."""
    try:
        socket = await server.http.ws_connect(f"{server.url}/ws/core/", headers=FROM)
    except aiohttp.WSServerHandshakeError as refused:
        return refused.status
    await socket.close()
    return 101


async def test_of_five_hundred_connects_the_allowed_ones_succeed_and_others_are_not_kept_waiting(
    tmp_path: Path,
) -> None:
    limits_met = watch_limits()
    settings = {"trusted_proxies": 1, "connects_per_second": 1.0, "connects_burst": 50}
    async with running_server(database_url=f"sqlite:///{tmp_path}/a", **settings) as server:
        grid = await make_grid(server)
        knocking = asyncio.gather(*(knock(server) for _ in range(500)))
        other = await grid.bob.core_socket()
        await other.subscribe("table", table_id=grid.table)
        await grid.add_row()
        await other.expect("rows_created")
        statuses = await knocking
        assert 50 <= statuses.count(101) < 60  # some come back while it lasts
        assert statuses.count(101) + statuses.count(429) == 500
        await until(lambda: len(server.app[WEBSOCKETS]) == 1)
        assert list(server.app[REGISTRY].users) == [grid.bob.id]
    assert limits_met() == {"connects_per_second": statuses.count(429)}
