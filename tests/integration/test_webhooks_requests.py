"""How receivers of webhooks are called: public addresses only, the name and the certificate of the URL, nothing but the
status of an answer, and nobody waits for another one."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp.connector
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.parts import WEBHOOKS
from server.rest.webhooks import DESTINATIONS
from tests.support.app import PATIENCE, Server, running_server
from tests.support.boards import Board
from tests.support.receivers import (
    QUICK,
    Receiver,
    hook,
    idle,
    receiving,
    shown,
    state,
)

HOST = "hooks.example"


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with running_server(database_url=sqlite_url, **QUICK) as running:
        yield running


async def test_a_slow_answer_is_cut_and_delays_nobody_else(server: Server, board: Board, receiver: Receiver) -> None:
    released = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    async with receiving() as quick:
        receiver.answers.append(wait)
        server.app[WEBHOOKS].sender.timeout = 0.8
        slow = await hook(board, receiver.url, "item-updated")
        await hook(board, quick.url, "item-updated")
        item = await board.item()
        await receiver.take(1)
        await quick.take(1)
        assert (await shown(board, slow))["state"] == "active", "it has not been given up meanwhile"
        assert (await state(board, slow, "failing"))["reason"] == "There was no answer within 0.8 s."
        assert [each.event for each in await receiver.take(2)] == [("item-updated", item)] * 2
        assert len(set(receiver.keys)) == 1
        assert len(quick.received) == 1
        released.set()


async def test_of_a_long_answer_only_the_beginning_is_read(server: Server, board: Board, receiver: Receiver) -> None:
    cut = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            cut.set()
        return response

    receiver.answers.append(endless)
    await hook(board, receiver.url, "item-updated")
    await board.item()
    await asyncio.wait_for(cut.wait(), PATIENCE)
    await idle(server)
    assert len(receiver.received) == 1, "its status said that it was taken"


async def test_a_name_that_resolves_to_a_private_address_at_delivery_is_not_called(
    server: Server, board: Board, receiver: Receiver
) -> None:
    """DNS rebinding: public when the webhook is made, then the machine itself."""
    destinations, (host, port) = server.app[DESTINATIONS], receiver.url.split("/")[2].split(":")
    destinations.allow_private = False
    addresses = iter(["8.8.8.8"])

    def lookup(name: str, port: int, **how: Any) -> list[Any]:
        assert name == "rebind.example"
        return [(2, 1, 6, "", (next(addresses, host), port))]

    destinations.lookup = lookup
    webhook = await hook(board, f"http://rebind.example:{port}/hook")
    await board.item()
    failing = await state(board, webhook, "failing")
    assert failing["reason"] == "The host does not have public addresses only."
    destinations.allow_private = True
    (received, *_) = await receiver.take(1)
    assert received.headers["Host"] == f"rebind.example:{port}"


async def test_an_address_in_the_url_is_checked_at_delivery_too(
    server: Server, board: Board, receiver: Receiver
) -> None:
    webhook = await hook(board, receiver.url)
    server.app[DESTINATIONS].allow_private = False
    await board.item()
    assert "public addresses" in (await state(board, webhook, "failing"))["reason"]
    assert receiver.received == []


async def test_what_is_no_http_is_not_quoted(board: Board) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-secret\0\xff\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as other:
        webhook = await hook(board, f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}/")
        await board.item()
        failing = await state(board, webhook, "failing")
        assert failing["reason"] == "The connection ended without an answer in HTTP."


async def test_proxies_of_the_environment_are_not_used(
    board: Board, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await hook(board, receiver.url)
    await board.item()
    await receiver.take(2)


def certificate(folder: Path) -> Path:
    """A file with the key and the certificate of HOST, which vouches for itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, pem = folder / "receiver.pem", serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + made.public_bytes(pem))
    return path


async def test_the_name_of_the_url_is_asked_for_and_must_be_certified(
    server: Server, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))
    context.sni_callback = lambda connection, name, own: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "receiver.pem"))
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    async with receiving(context) as receiver:
        server.app[DESTINATIONS].lookup = lambda name, port, **how: [(2, 1, 6, "", ("127.0.0.1", port))]
        port = receiver.url.split(":")[2]
        other = await hook(board, f"https://other.example:{port}")
        await hook(board, f"https://{HOST}:{port}")
        await board.item()
        for received in await receiver.take(2):
            assert received.headers["Host"] == f"{HOST}:{port.partition('/')[0]}"
        assert "certificate" in (await state(board, other, "failing"))["reason"].lower()
        assert set(asked) == {HOST, "other.example"}
        assert len(receiver.received) == 2
