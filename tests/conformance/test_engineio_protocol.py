"""The 25 requirements of the official test suite of the Engine.IO protocol (revision 4), in its order and its words,
against the echo server. Nothing is expected to fail.
"""

import asyncio
from collections.abc import Iterator

import aiohttp
import pytest

from tests.support import engineio_requirements as demand
from tests.support.echo_process import echo_process
from tests.support.engineio import closed, websocket
from tests.support.engineio_requirements import PATIENCE, QUERY, polling, probed


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with echo_process(ENGINEIO_ONLY="1") as url:
        yield f"{url}/engine.io/"


# ---- handshake


async def test_handshake_polling_successfully_opens_a_session(address: str) -> None:
    await demand.polling_opens(address)


async def test_handshake_polling_fails_with_an_invalid_eio_query_parameter(address: str) -> None:
    await demand.polling_fails_with_an_invalid_eio(address)


async def test_handshake_polling_fails_with_an_invalid_transport_query_parameter(address: str) -> None:
    await demand.polling_fails_with_an_invalid_transport(address)


async def test_handshake_polling_fails_with_an_invalid_request_method(address: str) -> None:
    await demand.polling_fails_with_an_invalid_method(address)


async def test_handshake_websocket_successfully_opens_a_session(address: str) -> None:
    await demand.websocket_opens(address)


async def test_handshake_websocket_fails_with_an_invalid_eio_query_parameter(address: str) -> None:
    await demand.websocket_fails_with_an_invalid_eio(address)


async def test_handshake_websocket_fails_with_an_invalid_transport_query_parameter(address: str) -> None:
    await demand.websocket_fails_with_an_invalid_transport(address)


# ---- message


async def echoes(address: str, body: str) -> None:
    """What is posted comes back with the next poll."""
    async with polling(address) as client:
        assert await client.request("POST", body) == (200, "ok")
        assert await client.request("GET") == (200, body)


async def test_message_polling_sends_and_receives_a_payload_containing_one_plain_text_packet(address: str) -> None:
    await echoes(address, "4hello")


async def test_message_polling_sends_and_receives_a_payload_containing_several_plain_text_packets(address: str) -> None:
    await echoes(address, "4test1\x1e4test2\x1e4test3")


async def test_message_polling_sends_and_receives_a_payload_containing_plain_text_and_binary_packets(
    address: str,
) -> None:
    await echoes(address, "4hello\x1ebAQIDBA==")


async def test_message_polling_closes_the_session_upon_invalid_packet_format(address: str) -> None:
    async with polling(address) as client:
        assert (await client.request("POST", "abc"))[0] == 400
        assert (await client.request("GET"))[0] == 400


async def test_message_polling_closes_the_session_upon_duplicate_poll_requests(address: str) -> None:
    async with polling(address) as client:
        first = asyncio.create_task(client.request("GET"))
        await asyncio.sleep(0.005)
        assert (await client.request("GET"))[0] in (400, 500)
        assert await first == (200, "1")
        assert (await client.request("GET"))[0] == 400


async def test_message_polling_closes_the_session_upon_cancelled_polling_request(address: str) -> None:
    async with polling(address) as client:
        poll = asyncio.create_task(client.request("GET"))
        await asyncio.sleep(0.005)
        poll.cancel()
        assert (await client.request("GET"))[0] == 400


async def test_message_websocket_sends_and_receives_a_plain_text_packet(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        await socket.send_str("4hello")
        assert await socket.receive_str(timeout=PATIENCE) == "4hello"


async def test_message_websocket_sends_and_receives_a_binary_packet(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        await socket.send_bytes(bytes((1, 2, 3, 4)))
        assert await socket.receive_bytes(timeout=PATIENCE) == bytes((1, 2, 3, 4))


async def test_message_websocket_closes_the_session_upon_invalid_packet_format(address: str) -> None:
    async with websocket(address, QUERY) as socket:
        await socket.send_str("abc")
        await closed(socket)


# ---- heartbeat


async def test_heartbeat_polling_sends_ping_pong_packets(address: str) -> None:
    await demand.polling_pings(address)


async def test_heartbeat_polling_closes_the_session_upon_ping_timeout(address: str) -> None:
    await demand.polling_closes_upon_ping_timeout(address)


async def test_heartbeat_websocket_sends_ping_pong_packets(address: str) -> None:
    await demand.websocket_pings(address)


async def test_heartbeat_websocket_closes_the_session_upon_ping_timeout(address: str) -> None:
    await demand.websocket_closes_upon_ping_timeout(address)


# ---- close


async def test_close_polling_forcefully_closes_the_session(address: str) -> None:
    await demand.polling_closes(address)


async def test_close_websocket_forcefully_closes_the_session(address: str) -> None:
    await demand.websocket_closes(address)


# ---- upgrade


async def says_hello(socket: aiohttp.ClientWebSocketResponse) -> None:
    await socket.send_str("4hello")
    assert await socket.receive_str(timeout=PATIENCE) == "4hello"
    await socket.close()


async def test_upgrade_successfully_upgrades_from_polling_to_websocket(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        assert await client.request("GET") == (200, "6"), "the poll ends cleanly"
        await socket.send_str("5")
        await says_hello(socket)


async def test_upgrade_ignores_http_requests_with_same_sid_after_upgrade(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        await socket.send_str("5")
        assert (await client.request("GET"))[0] == 400
        await says_hello(socket)


async def test_upgrade_ignores_websocket_connection_with_same_sid_after_upgrade(address: str) -> None:
    async with polling(address) as client:
        socket = await probed(client)
        await socket.send_str("5")
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await client.websocket()
        await says_hello(socket)
