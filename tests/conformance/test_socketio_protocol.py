"""The 32 requirements of the official test suite of the Socket.IO protocol (revision 5), in its order and its words,
against the echo server. Nothing is expected to fail.
"""

import json
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.support import engineio_requirements as demand
from tests.support.echo_process import echo_process
from tests.support.engineio import closed, websocket
from tests.support.engineio_requirements import PATIENCE, QUERY, Socket

PLACES = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
FIRST, SECOND = bytes((1, 2, 3)), bytes((4, 5, 6))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with echo_process() as url:
        yield f"{url}/socket.io/"


# ---- Engine.IO: handshake


async def test_engineio_handshake_polling_should_successfully_open_a_session(address: str) -> None:
    await demand.polling_opens(address)


async def test_engineio_handshake_polling_should_fail_with_an_invalid_eio_query_parameter(address: str) -> None:
    await demand.polling_fails_with_an_invalid_eio(address)


async def test_engineio_handshake_polling_should_fail_with_an_invalid_transport_query_parameter(address: str) -> None:
    await demand.polling_fails_with_an_invalid_transport(address)


async def test_engineio_handshake_polling_should_fail_with_an_invalid_request_method(address: str) -> None:
    await demand.polling_fails_with_an_invalid_method(address)


async def test_engineio_handshake_websocket_should_successfully_open_a_session(address: str) -> None:
    await demand.websocket_opens(address)


async def test_engineio_handshake_websocket_should_fail_with_an_invalid_eio_query_parameter(address: str) -> None:
    await demand.websocket_fails_with_an_invalid_eio(address)


async def test_engineio_handshake_websocket_should_fail_with_an_invalid_transport_query_parameter(address: str) -> None:
    await demand.websocket_fails_with_an_invalid_transport(address)


# ---- Engine.IO: heartbeat, close and upgrade


async def test_engineio_heartbeat_polling_should_send_ping_pong_packets(address: str) -> None:
    await demand.polling_pings(address)


async def test_engineio_heartbeat_polling_should_close_the_session_upon_ping_timeout(address: str) -> None:
    await demand.polling_closes_upon_ping_timeout(address)


async def test_engineio_heartbeat_websocket_should_send_ping_pong_packets(address: str) -> None:
    await demand.websocket_pings(address)


async def test_engineio_heartbeat_websocket_should_close_the_session_upon_ping_timeout(address: str) -> None:
    await demand.websocket_closes_upon_ping_timeout(address)


async def test_engineio_close_polling_should_forcefully_close_the_session(address: str) -> None:
    await demand.polling_closes(address)


async def test_engineio_close_websocket_should_forcefully_close_the_session(address: str) -> None:
    await demand.websocket_closes(address)


async def test_engineio_upgrade_should_successfully_upgrade_from_polling_to_websocket(address: str) -> None:
    await demand.upgrades(address)


async def test_engineio_upgrade_should_ignore_http_requests_with_same_sid_after_upgrade(address: str) -> None:
    await demand.http_requests_are_ignored_after_the_upgrade(address)


async def test_engineio_upgrade_should_ignore_websocket_connection_with_same_sid_after_upgrade(address: str) -> None:
    await demand.websockets_are_ignored_after_the_upgrade(address)


# ---- connect


@pytest.fixture
async def stranger(address: str) -> AsyncIterator[Socket]:
    """A connection that has not sent CONNECT; its handshake of Engine.IO is taken."""
    async with websocket(address, QUERY) as socket:
        yield socket


async def connects(socket: Socket, sent: str, reply: str, auth: str) -> None:
    """CONNECT is answered with a sid and nothing else, and then with what it carried."""
    await socket.send_str(sent)
    packet = await socket.receive_str(timeout=PATIENCE)
    assert packet.startswith(reply)
    handshake = json.loads(packet.removeprefix(reply))
    assert handshake.keys() == {"sid"}
    assert isinstance(handshake["sid"], str)
    assert await socket.receive_str(timeout=PATIENCE) == auth


async def test_connect_should_allow_connection_to_the_main_namespace(stranger: Socket) -> None:
    await connects(stranger, "40", "40", '42["auth",{}]')


async def test_connect_should_allow_connection_to_the_main_namespace_with_a_payload(stranger: Socket) -> None:
    await connects(stranger, '40{"token":"123"}', "40", '42["auth",{"token":"123"}]')


async def test_connect_should_allow_connection_to_a_custom_namespace(stranger: Socket) -> None:
    await connects(stranger, "40/custom,", "40/custom,", '42/custom,["auth",{}]')


async def test_connect_should_allow_connection_to_a_custom_namespace_with_a_payload(stranger: Socket) -> None:
    await connects(stranger, '40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]')


async def test_connect_should_disallow_connection_to_an_unknown_namespace(stranger: Socket) -> None:
    await stranger.send_str("40/random")
    assert await stranger.receive_str(timeout=PATIENCE) == '44/random,{"message":"Invalid namespace"}'


async def test_connect_should_disallow_connection_with_an_invalid_handshake(stranger: Socket) -> None:
    await stranger.send_str("4abc")
    await closed(stranger)


async def test_connect_should_close_the_connection_if_no_handshake_is_received(stranger: Socket) -> None:
    await closed(stranger)


# ---- disconnect


@pytest.fixture
async def socket(stranger: Socket) -> Socket:
    """A connection to the main namespace."""
    await connects(stranger, "40", "40", '42["auth",{}]')
    return stranger


async def test_disconnect_should_disconnect_from_the_main_namespace(socket: Socket) -> None:
    await socket.send_str("41")
    assert await socket.receive_str(timeout=PATIENCE) == "2", "the connection stays"


async def test_disconnect_should_connect_then_disconnect_from_a_custom_namespace(socket: Socket) -> None:
    assert await socket.receive_str(timeout=PATIENCE) == "2"
    await connects(socket, "40/custom", "40/custom,", '42/custom,["auth",{}]')
    await socket.send_str("41/custom")
    await socket.send_str('42["message","message to main namespace"]')
    assert await socket.receive_str(timeout=PATIENCE) == '42["message-back","message to main namespace"]'


# ---- message


async def send(socket: Socket, *packets: str | bytes) -> None:
    for packet in packets:
        await (socket.send_str(packet) if isinstance(packet, str) else socket.send_bytes(packet))


async def take(socket: Socket, count: int) -> list[str | bytes]:
    """That many messages, pings left out."""
    packets: list[str | bytes] = []
    while len(packets) < count:
        message = await socket.receive(timeout=PATIENCE)
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        if message.data != "2":
            packets.append(message.data)
    return packets


async def test_message_should_send_a_plain_text_packet(socket: Socket) -> None:
    await send(socket, '42["message",1,"2",{"3":[true]}]')
    assert await take(socket, 1) == ['42["message-back",1,"2",{"3":[true]}]']


async def test_message_should_send_a_packet_with_binary_attachments(socket: Socket) -> None:
    await send(socket, f'452-["message",{PLACES}]', FIRST, SECOND)
    assert await take(socket, 3) == [f'452-["message-back",{PLACES}]', FIRST, SECOND]


async def test_message_should_send_a_plain_text_packet_with_an_ack(socket: Socket) -> None:
    await send(socket, '42456["message-with-ack",1,"2",{"3":[false]}]')
    assert await take(socket, 1) == ['43456[1,"2",{"3":[false]}]']


async def test_message_should_send_a_packet_with_binary_attachments_and_an_ack(socket: Socket) -> None:
    await send(socket, f'452-789["message-with-ack",{PLACES}]', FIRST, SECOND)
    assert await take(socket, 3) == [f"462-789[{PLACES}]", FIRST, SECOND]


async def test_message_should_close_the_connection_upon_invalid_format_unknown_packet_type(socket: Socket) -> None:
    await send(socket, "4abc")
    await closed(socket)


async def test_message_should_close_the_connection_upon_invalid_format_invalid_payload_format(socket: Socket) -> None:
    await send(socket, "42{}")
    await closed(socket)


async def test_message_should_close_the_connection_upon_invalid_format_invalid_ack_id(socket: Socket) -> None:
    await send(socket, '42abc["message-with-ack",1,"2",{"3":[false]}]')
    await closed(socket)
