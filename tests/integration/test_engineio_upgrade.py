"""From polling to a WebSocket: what is sent before, meanwhile and after comes once and in order, and what fails changes
nothing.

Every test ends with a server that knows nobody and keeps nothing (tests/support/engineio.py).
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from server.delivery import engineio_probe, engineio_socket
from tests.support.engineio import PATIENCE, PROMPT, Echo, Polling, closed, echo_server, until


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with echo_server() as running:
        yield running


@pytest.fixture
async def client(echo: Echo) -> AsyncIterator[Polling]:
    async with Polling(echo.url) as polling:
        yield await polling.open()


async def probed(client: Polling) -> aiohttp.ClientWebSocketResponse:
    """A WebSocket that was found to work, and could take over."""
    socket = await client.websocket()
    await socket.send_str("2probe")
    assert await socket.receive_str(timeout=PATIENCE) == "3probe"
    return socket


async def works(client: Polling) -> None:
    """The connection polls as before, and may still be upgraded."""
    await client.post("4hello")
    packets = await client.poll()
    assert "4hello" in (packets if packets != ["6"] else await client.poll())
    socket = await client.upgrade()
    await socket.send_str("4upgraded")
    assert await socket.receive_str(timeout=PATIENCE) == "4upgraded"
    await socket.close()


# ---- the protocol's flow


async def test_a_poll_after_the_probe_is_let_go(client: Polling) -> None:
    socket = await probed(client)
    assert await client.poll() == ["6"]
    await socket.send_str("5")
    await socket.send_str("4hello")
    assert await socket.receive_str(timeout=PATIENCE) == "4hello"
    client.closed = True
    await socket.close()


async def test_what_was_sent_before_during_and_after_comes_once_and_in_order(echo: Echo, client: Polling) -> None:
    sid = echo.socket.sid
    await echo.eio.send(sid, "before")
    socket = await client.websocket()
    await socket.send_str("2probe")
    assert await socket.receive_str(timeout=PATIENCE) == "3probe"
    await echo.eio.send(sid, "during")
    await echo.eio.send(sid, b"bytes")
    await socket.send_str("5")
    await until(lambda: echo.socket.upgraded)
    await echo.eio.send(sid, "after")
    received = [(await socket.receive(timeout=PATIENCE)).data for _ in range(4)]
    assert received == ["4before", "4during", b"bytes", "4after"]
    client.closed = True
    await socket.close()


async def test_a_poll_takes_what_is_sent_during_the_upgrade(echo: Echo, client: Polling) -> None:
    poll = asyncio.create_task(client.poll())
    await until(lambda: echo.socket.outbox._poll)
    socket = await client.websocket()
    await echo.eio.send(echo.socket.sid, "one")
    assert await poll == ["4one"]
    await socket.send_str("2probe")
    assert await socket.receive_str(timeout=PATIENCE) == "3probe"
    await echo.eio.send(echo.socket.sid, "two")
    assert await client.poll() == ["4two"]
    await socket.send_str("5")
    await socket.send_str("4three")
    assert await socket.receive_str(timeout=PATIENCE) == "4three"
    client.closed = True
    await socket.close()


@pytest.mark.parametrize("seed", range(8))
async def test_a_stream_of_messages_survives_the_upgrade(echo: Echo, client: Polling, seed: int) -> None:
    """The official client at a random moment of the stream: it polls on until the poll that waits has been answered,
    and only then says that it takes over."""
    dice, received, sid = random.Random(seed), [], echo.socket.sid

    async def send() -> None:
        for number in range(200):
            await echo.eio.send(sid, str(number))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.choice((0, 0.001)))

    taking_over = asyncio.Event()

    async def poll() -> None:
        while not taking_over.is_set():
            received.extend(packet for packet in await client.poll() if packet != "6")

    sending, polling = asyncio.create_task(send()), asyncio.create_task(poll())
    await asyncio.sleep(dice.random() * 0.03)
    socket = await probed(client)
    taking_over.set()
    await polling
    await socket.send_str("5")
    while len(received) < 200:
        received.append(await socket.receive_str(timeout=PATIENCE))
    await sending
    assert received == [f"4{number}" for number in range(200)]
    client.closed = True
    await socket.close()


async def test_requests_after_the_upgrade_are_refused_and_change_nothing(echo: Echo, client: Polling) -> None:
    socket = await probed(client)
    await socket.send_str("5")
    await until(lambda: echo.socket.upgraded)
    assert (await client.request("GET"))[0] == 400
    assert (await client.request("POST", "4posted"))[0] == 400
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await client.websocket()
    await socket.send_str("4hello")
    assert await socket.receive_str(timeout=PATIENCE) == "4hello"
    assert echo.heard == ["hello"]
    client.closed = True
    await socket.close()


async def test_a_client_that_does_not_wait_for_its_poll_leaves_none_behind(echo: Echo, client: Polling) -> None:
    poll = asyncio.create_task(client.poll())
    await until(lambda: echo.socket.outbox._poll)
    socket = await client.websocket()
    await socket.send_str("2probe")
    await socket.send_str("5")
    await socket.send_str("4hello")
    assert await socket.receive_str(timeout=PATIENCE) == "3probe"
    assert await socket.receive_str(timeout=PATIENCE) == "4hello"
    assert await poll == ["6"]
    client.closed = True
    await socket.close()


# ---- upgrades that fail


@pytest.mark.parametrize("frames", [["4hello"], ["2"], ["5"], [b"2probe"], ["2probe", "4hello"], ["2probe", "6"], [""]])
async def test_a_probe_that_is_none_leaves_polling_as_it_was(client: Polling, frames: list[Any]) -> None:
    socket = await client.websocket()
    for frame in frames:
        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
    assert await closed(socket) == 1008
    await works(client)


@pytest.mark.parametrize("step", ["before the probe", "after the probe"])
async def test_a_probe_that_breaks_off_leaves_polling_as_it_was(echo: Echo, client: Polling, step: str) -> None:
    socket = await client.websocket() if step.startswith("before") else await probed(client)
    connection = socket._response.connection
    assert connection is not None and connection.transport is not None
    connection.transport.abort()
    await until(lambda: not echo.socket.upgrading, PROMPT)
    await works(client)


@pytest.mark.parametrize("step", ["before the probe", "after the probe"])
async def test_a_probe_that_hangs_ends(echo: Echo, client: Polling, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(engineio_probe, "PROBE_TIMEOUT", 0.1)
        socket = await client.websocket() if step.startswith("before") else await probed(client)
        assert await closed(socket) == 1008
        await until(lambda: not echo.socket.upgrading, PROMPT)
    await works(client)


async def test_polling_goes_on_while_a_probe_hangs(echo: Echo, client: Polling) -> None:
    """The story: a router lets the handshake of a WebSocket pass, but no frames. The client polls on; every poll was
    answered at once, with nothing, for ten seconds."""
    socket = await client.websocket()
    poll = asyncio.create_task(client.poll())
    await until(lambda: echo.socket.outbox._poll)
    await asyncio.sleep(0.15)
    assert not poll.done()
    await echo.eio.send(echo.socket.sid, "hello")
    assert await poll == ["4hello"]
    await client.post("4posted")
    assert await client.poll() == ["4posted"]
    await socket.close()


async def test_polls_do_not_spin_while_an_answer_to_the_probe_is_lost(echo: Echo, client: Polling) -> None:
    socket = await probed(client)
    began = asyncio.get_running_loop().time()
    assert [await client.poll() for _ in range(3)] == [["6"]] * 3
    assert asyncio.get_running_loop().time() - began >= 3 * engineio_socket.FLUSH - 0.05
    await socket.close()


async def test_there_is_one_upgrade_at_a_time(echo: Echo, client: Polling, monkeypatch: pytest.MonkeyPatch) -> None:
    """The story: two requests passed the check before either WebSocket was accepted; both took over, and what one had
    written was lost to the other."""
    accept, arrived = echo.eio.websockets.accept, 0

    async def slow(request: Any, **options: Any) -> Any:
        nonlocal arrived
        arrived += 1
        await asyncio.sleep(0.05)
        return await accept(request, **options)

    monkeypatch.setattr(echo.eio.websockets, "accept", slow)
    outcomes = await asyncio.gather(*(client.websocket() for _ in range(3)), return_exceptions=True)
    (socket,) = [outcome for outcome in outcomes if isinstance(outcome, aiohttp.ClientWebSocketResponse)]
    assert arrived == 1
    await socket.close()
    await until(lambda: not echo.socket.upgrading, PROMPT)
    await works(client)


async def test_an_upgrade_whose_client_has_gone_may_be_tried_again(
    echo: Echo, client: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(request: Any, **options: Any) -> Any:
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(echo.eio.websockets, "accept", gone)
        with pytest.raises(aiohttp.ClientError):
            await client.websocket()
    await works(client)


# ---- what may happen meanwhile


async def test_a_connection_that_ends_meanwhile_ends_its_upgrade(echo: Echo, client: Polling) -> None:
    socket = await client.websocket()
    await client.post("1")
    await closed(socket)
    client.closed = True
    await echo.emptied()


async def test_the_word_to_take_over_comes_too_late(echo: Echo, client: Polling) -> None:
    socket = await probed(client)
    await client.request("POST", "1")
    await socket.send_str("5")
    await socket.send_str("4hello")
    await closed(socket)
    client.closed = True
    assert echo.heard == []


async def test_what_is_posted_during_the_upgrade_is_taken(echo: Echo, client: Polling) -> None:
    socket = await probed(client)
    await client.post("4posted")
    await socket.send_str("5")
    await socket.send_str("4sent")
    assert [await socket.receive_str(timeout=PATIENCE) for _ in range(2)] == ["4posted", "4sent"]
    client.closed = True
    await socket.close()


async def test_a_connection_is_pinged_through_its_upgrade() -> None:
    async with echo_server(ping_interval=0.3, ping_timeout=0.5) as echo, Polling(echo.url) as client:
        await client.open()
        socket = await client.upgrade()
        for _ in range(2):
            assert await socket.receive_str(timeout=2) == "2"
            await socket.send_str("3")
        await socket.close()


async def test_a_connection_that_is_not_pinged_any_more_ends_while_it_is_upgraded() -> None:
    """An endless upgrade is no way to stay without answering pings."""
    async with echo_server(ping_interval=0.2, ping_timeout=0.2) as echo, Polling(echo.url) as client:
        await client.open()
        socket = await probed(client)
        await closed(socket)
        await client.gone()
        assert list(echo.ended.values()) == ["ping timeout"]
