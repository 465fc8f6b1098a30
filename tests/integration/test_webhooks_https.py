"""Webhooks over https: the address is the checked one, the name and the certificate are those of the URL."""

import datetime
import shutil
import ssl
from pathlib import Path
from typing import Any

import aiohttp.connector
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from server.rest.webhooks import DESTINATIONS
from tests.integration.test_webhooks import QUICK, hook, state
from tests.support.app import running_server
from tests.support.boards import make_board
from tests.support.core_2026 import newcomer
from tests.support.receivers import receiving

HOST = "hooks.example"


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
    migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(tmp_path))
    context.sni_callback = lambda connection, name, own: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "receiver.pem"))
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    settings: dict[str, Any] = QUICK | {"database_url": f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path)}"}
    async with receiving(context) as receiver, running_server(**settings) as server:
        server.app[DESTINATIONS].lookup = lambda name, port, **how: [(2, 1, 6, "", ("127.0.0.1", port))]
        board = await make_board(await newcomer(server, "Ann"))
        port = receiver.url.split(":")[2]
        other = await hook(board, f"https://other.example:{port}")
        await hook(board, f"https://{HOST}:{port}")
        await board.item()
        for received in await receiver.take(2):
            assert received.headers["Host"] == f"{HOST}:{port.partition('/')[0]}"
        assert "certificate" in (await state(board, other, "failing"))["reason"].lower()
        assert set(asked) == {HOST, "other.example"}
        assert len(receiver.received) == 2
