"""Engine.IO under the application: what ends a connection ends its stay everywhere, and what hostile clients do reaches
nobody else. Spoken by hand over both transports.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from server.lifecycle import close_rest
from server.parts import REGISTRY, SOCKETIO
from server.rest.context import RUNNER
from tests.support.app import Server, running_server
from tests.support.engineio import PROMPT, Polling, closed, until, websocket
from tests.support.socketio_by_hand import PATH, TRANSPORTS, Client, client


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[Server]:
    """A server which at the end, when all its clients are gone, keeps nothing of them."""
    url = f"sqlite:///{tmp_path}/test.sqlite3"
    async with running_server(database_url=url, signup_creates_workspace=False, **settings) as server:
        yield server
        await forgotten(server)


def known(server: Server) -> dict[str, Any]:
    """All places in which a connection is remembered, as far as they are not empty."""
    socketio = server.app[SOCKETIO]
    manager, registry, eio = socketio.manager, server.app[REGISTRY], socketio.eio
    kept = {
        "sockets": eio.sockets, "environ": socketio.environ, "clients": manager.clients, "sids": manager.sids,
        "callbacks": manager.callbacks, "entering": socketio._entering, "idle": socketio._idle._waiting,
        "subscribers": registry.subscribers, "rooms": registry.members, "users": registry.users,
        "watchers": registry.watchers, "attachments": socketio._partial, "tasks": eio._tasks,
    }  # fmt: skip
    return {name: place for name, place in kept.items() if place} | ({"pings": eio.pings} if len(eio.pings) else {})


async def forgotten(server: Server) -> None:
    """Waits until no connection is remembered, promptly."""
    try:
        await until(lambda: not known(server), PROMPT)
    except TimeoutError:
        raise AssertionError(known(server)) from None


# ---- CONNECT in time


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("sent", ["", '40/core,{"token":"nonsense"}', "40/nowhere,", '42/core,["page"]'])
async def test_a_connection_that_enters_no_namespace_is_closed(tmp_path: Path, transport: str, sent: str) -> None:
    async with serving(tmp_path, connect_timeout=0.3) as server, client(server, transport) as stranger:
        if sent:
            await stranger.send(sent)
        await stranger.ended()
        await forgotten(server)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_connection_in_a_namespace_stays_until_it_has_left_the_last(tmp_path: Path, transport: str) -> None:
    async with serving(tmp_path, connect_timeout=0.3) as server:
        ann = await server.sign_up("Ann")
        async with client(server, transport) as it:
            await it.enter(ann)
            await it.enter(ann, "/events")
            await it.send("41/core,")
            socketio = server.app[SOCKETIO]
            await until(lambda: not len(socketio._idle))
            assert len(socketio.eio.sockets) == 1
            await it.send("41/events,")
            await it.ended()


async def test_a_connect_that_is_looked_at_for_long_is_not_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, connect_timeout=0.1) as server:
        ann = await server.sign_up("Ann")
        runner, may = server.app[RUNNER], asyncio.Event()
        look_at = runner.look_at

        async def slow(*args: Any, **kwargs: Any) -> Any:
            await may.wait()
            return await look_at(*args, **kwargs)

        monkeypatch.setattr(runner, "check", slow)
        async with client(server, "websocket") as it:
            (first,) = (waiting := server.app[SOCKETIO]._idle._waiting).values()
            entering = asyncio.create_task(it.enter(ann))
            await until(lambda: next(iter(waiting.values()), first) > first + 0.15)  # it was looked at twice
            may.set()
            assert (await entering)["sid"]


# ---- what ends a connection ends all of it


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_connection_that_does_not_answer_pings_leaves_nothing(tmp_path: Path, transport: str) -> None:
    async with serving(tmp_path, ping_interval=0.3, ping_timeout=0.3) as server:
        ann = await server.sign_up("Ann")
        async with client(server, transport) as it:
            await it.enter(ann)
            await until(lambda: not server.app[SOCKETIO].eio.sockets, 0.6 + PROMPT)
            await forgotten(server)
            await it.ended()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("packet", ["1", "41/core,\x1e1", "abc"])
async def test_a_client_that_goes_leaves_nothing(tmp_path: Path, transport: str, packet: str) -> None:
    async with serving(tmp_path) as server, client(server, transport) as it, client(server, "polling") as other:
        ann = await server.sign_up("Ann")
        await it.enter(ann)
        await other.enter(ann)
        if isinstance(it.link, Polling):
            await it.link.request("POST", packet)
        else:
            for part in packet.split("\x1e"):
                await it.link.send_str(part)
        await until(lambda: len(server.app[SOCKETIO].eio.sockets) == 1, PROMPT)
        assert len(server.app[REGISTRY].subscribers) == 1
        await it.ended()


async def test_a_second_poll_at_a_time_leaves_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, client(server, "polling") as it:
        await it.enter(await server.sign_up("Ann"))
        assert isinstance(it.link, Polling)
        answers = await asyncio.gather(it.link.request("GET"), it.link.request("GET"))
        assert sorted(status for status, _ in answers) == [200, 400]
        it.link.closed = True
        await forgotten(server)


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_restart_ends_connections_so_that_they_come_back(tmp_path: Path, transport: str) -> None:
    async with serving(tmp_path) as server, client(server, transport) as it:
        await it.enter(await server.sign_up("Ann"))
        close_rest(server.app)
        if isinstance(it.link, Polling):
            await it.ended()
        else:
            assert await closed(it.link) == 1012
        await forgotten(server)


async def test_a_client_that_died_while_it_was_looked_at_is_no_ghost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path) as server:
        ann = await server.sign_up("Ann")
        runner, may, begun = server.app[RUNNER], asyncio.Event(), asyncio.Event()
        look_at = runner.look_at

        async def slow(*args: Any, **kwargs: Any) -> Any:
            begun.set()
            await may.wait()
            return await look_at(*args, **kwargs)

        monkeypatch.setattr(runner, "check", slow)
        async with websocket(server.url, PATH) as socket:
            await socket.send_str(f'40/core,{{"token":"{ann.token}"}}')
            await begun.wait()
            connection = socket._response.connection
            assert connection is not None and connection.transport is not None
            connection.transport.abort()
        may.set()
        await forgotten(server)


# ---- hostile frames


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_message_above_the_limit_ends_its_connection_alone(tmp_path: Path, transport: str) -> None:
    async with serving(tmp_path, max_frame_size=5000) as server, client(server, "websocket") as other:
        ann = await server.sign_up("Ann")
        await other.enter(ann)
        async with client(server, transport) as it:
            await it.enter(ann)
            packet = '42/core,["x","' + "y" * (5000 - 16) + '"]'
            assert len(packet) == 5000
            await it.send(packet)
            if isinstance(it.link, Polling):
                assert (await it.link.request("POST", packet + "z"))[0] == 413
                await it.ended()
            else:
                await it.send(packet + "z")
                assert await closed(it.link) == 1009
        await until(lambda: len(server.app[REGISTRY].subscribers) == 1, PROMPT)


# ---- delivery


async def test_an_emitted_event_with_bytes_reaches_both_transports(tmp_path: Path) -> None:
    """The story: python-socketio makes one packet for a whole room, and a packet keeps the first encoding that it is
    asked for, so that a WebSocket got the base64 that was meant for a poll, or the other way round."""
    async with (
        serving(tmp_path) as server,
        client(server, "polling") as polling,
        client(server, "websocket") as direct,
        client(server, "polling") as second,
    ):
        ann, socketio = await server.sign_up("Ann"), server.app[SOCKETIO]
        for each in (polling, direct, second):
            await socketio.enter_room((await each.enter(ann))["sid"], "blue", namespace="/core")
        for number in range(3):
            await socketio.emit("shot", {"n": number, "data": b"\x00\xff"}, room="blue", namespace="/core")
        for each in (polling, direct, second):
            for number in range(3):
                head = await each.receive()
                assert head == f'451-/core,["shot",{{"n":{number},"data":{{"_placeholder":true,"num":0}}}}]'
                assert await each.receive() == (b"\x00\xff" if each is direct else "bAP8=")


@pytest.mark.parametrize("moment", [0.0, 0.002, 0.01, 0.03])
async def test_events_that_went_with_a_broken_poll_come_when_the_client_is_back(tmp_path: Path, moment: float) -> None:
    """Nobody acknowledges the answer to a poll: what it carried may be lost. The client, whose poll failed, comes back
    to its session, and has every event once."""
    async with serving(tmp_path) as server:
        ann = await server.sign_up("Ann")
        workspace = await ann.workspace()
        heard: list[str] = []
        offset = None

        def take(packet: str) -> None:
            nonlocal offset
            _, body, offset = json.loads(packet.partition(",")[2])
            heard.append(body["workspace"]["name"])

        async with Polling(server.url, PATH) as polling:
            it = Client(await polling.open())
            session = await it.enter(ann, recovery=True)
            await ann.ok("PATCH", f"/api/workspaces/{workspace}/", {"name": "0"})
            take(await it.receive())

            async def change() -> None:
                for number in range(1, 8):
                    await ann.ok("PATCH", f"/api/workspaces/{workspace}/", {"name": str(number)})

            changing, poll = asyncio.create_task(change()), asyncio.create_task(polling.poll())
            await asyncio.sleep(moment)
            poll.cancel()
            for packet in [] if (await asyncio.wait([poll]))[0].pop().cancelled() else poll.result():
                take(packet)
            polling.closed = True
            await changing
        async with client(server, "websocket") as back:
            answer = await back.enter(ann, recovery=True, pid=session["pid"], offset=offset)
            assert answer["pid"] == session["pid"]
            while len(heard) < 8:
                take(await back.receive())
        assert heard == [str(number) for number in range(8)]
        for left in list(server.app[SOCKETIO].eio.sockets.values()):  # the broken one may not be missed yet
            await left.close()


async def test_polling_is_refused_where_several_processes_serve(tmp_path: Path, redis_url: str) -> None:
    """Its requests would reach any of them."""
    async with serving(tmp_path, redis_url=redis_url) as server:
        async with server.http.get(server.url + PATH + "polling") as answer:
            assert (answer.status, await answer.text()) == (400, '"Invalid transport"')
        async with client(server, "websocket") as it:
            await it.enter(await server.sign_up("Ann"))
