"""What the official test suites of both protocols demand of Engine.IO; each function is one requirement, `address` the
URL of the endpoint with its path.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.support.engineio import Polling, closed, websocket

PING_INTERVAL, PING_TIMEOUT = 0.3, 0.2  # seconds
PATIENCE = 2.0  # seconds: as long as the suites wait for anything
HANDSHAKE = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
QUERY = "?EIO=4&transport="
Socket = aiohttp.ClientWebSocketResponse


@asynccontextmanager
async def polling(address: str) -> AsyncIterator[Polling]:
    """A connection that polls; what ends it is up to the test."""
    async with Polling(address, QUERY) as client:
        await client.open()
        client.closed = True
        yield client


async def status(method: str, address: str) -> int:
    async with aiohttp.ClientSession() as http, http.request(method, address) as answer:
        return answer.status


async def refuses(address: str) -> None:
    """A WebSocket to this address does not open."""
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(address)


def check_handshake(packet: str, upgrades: list[str]) -> None:
    assert packet[0] == "0"
    handshake = json.loads(packet[1:])
    assert handshake.keys() == HANDSHAKE
    assert isinstance(handshake["sid"], str)
    assert handshake["upgrades"] == upgrades
    assert (handshake["pingInterval"], handshake["pingTimeout"]) == (300, 200)
    assert handshake["maxPayload"] == 1_000_000


async def polling_opens(address: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{address}{QUERY}polling") as answer:
        assert answer.status == 200
        check_handshake(await answer.text(), ["websocket"])


async def polling_fails_with_an_invalid_eio(address: str) -> None:
    assert await status("GET", f"{address}?transport=polling") == 400
    assert await status("GET", f"{address}?EIO=abc&transport=polling") == 400


async def polling_fails_with_an_invalid_transport(address: str) -> None:
    assert await status("GET", f"{address}?EIO=4") == 400
    assert await status("GET", f"{address}?EIO=4&transport=abc") == 400


async def polling_fails_with_an_invalid_method(address: str) -> None:
    assert await status("POST", f"{address}?EIO=4&transport=polling") == 400
    assert await status("PUT", f"{address}?EIO=4&transport=polling") == 400


async def websocket_opens(address: str) -> None:
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{address}{QUERY}websocket") as socket:
        check_handshake(await socket.receive_str(timeout=PATIENCE), [])


async def websocket_fails_with_an_invalid_eio(address: str) -> None:
    await refuses(f"{address}?transport=websocket")
    await refuses(f"{address}?EIO=abc&transport=websocket")


async def websocket_fails_with_an_invalid_transport(address: str) -> None:
    await refuses(f"{address}?EIO=4")
    await refuses(f"{address}?EIO=4&transport=abc")


async def polling_pings(address: str) -> None:
    async with polling(address) as client:
        for _ in range(3):
            assert await client.request("GET") == (200, "2")
            assert (await client.request("POST", "3"))[0] == 200


async def polling_closes_upon_ping_timeout(address: str) -> None:
    async with polling(address) as client:
        await asyncio.sleep(PING_INTERVAL + PING_TIMEOUT)
        assert (await client.request("GET"))[0] == 400


async def websocket_pings(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        for _ in range(3):
            assert await socket.receive_str(timeout=PATIENCE) == "2"
            await socket.send_str("3")


async def websocket_closes_upon_ping_timeout(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        await closed(socket)


async def polling_closes(address: str) -> None:
    async with polling(address) as client:
        poll = asyncio.create_task(client.request("GET"))
        await asyncio.sleep(0.005)  # the poll is to come first
        assert (await client.request("POST", "1"))[0] == 200
        assert await poll == (200, "6")
        assert (await client.request("GET"))[0] == 400


async def websocket_closes(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        await socket.send_str("1")
        await closed(socket)


async def probed(client: Polling) -> Socket:
    """A WebSocket that may take over."""
    socket = await client.websocket()
    await socket.send_str("2probe")
    assert await socket.receive_str(timeout=PATIENCE) == "3probe"
    return socket


async def upgrades(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        assert await client.request("GET") == (200, "6"), "the poll ends cleanly"
        await socket.send_str("5")
        assert await socket.receive_str(timeout=PATIENCE) == "2", "it goes on as a WebSocket"
        await socket.close()


async def http_requests_are_ignored_after_the_upgrade(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        await socket.send_str("5")
        assert (await client.request("GET"))[0] == 400
        assert await socket.receive_str(timeout=PATIENCE) == "2", "it goes on as a WebSocket"
        await socket.close()


async def websockets_are_ignored_after_the_upgrade(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        await socket.send_str("5")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.websocket()
        assert await socket.receive_str(timeout=PATIENCE) == "2", "it goes on as a WebSocket"
        await socket.close()
