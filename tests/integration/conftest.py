"""Fixtures of the integration tests: one running server per test, on both databases, and what tests of an API need.

A module that wants another server defines `server` itself; the other fixtures then use that one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import Server, running_server
from tests.support.boards import Board, Connect, Ears, ears_of, listening, make_board
from tests.support.core_2026 import newcomer
from tests.support.receivers import Receiver, receiving
from tests.support.record_users import Club, make_club
from tests.support.records import RunningEndpoint, running_endpoint
from tests.support.records_client import Connect as RecordsConnect
from tests.support.records_client import records_clients
from tests.support.storages import Kept, KeptOnDisk


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """A running server on a fresh database; sign-up makes no workspace, so that tests make what they need."""
    async with running_server(database_url=database_url, signup_creates_workspace=False) as running:
        yield running


@pytest.fixture
async def board(server: Server) -> Board:
    """Ann's workspace with a workflow."""
    return await make_board(await newcomer(server, "Ann"))


@pytest.fixture
async def listen(server: Server) -> AsyncIterator[Connect]:
    """Connects clients to `/events`: `await listen(person, workspace)`."""
    async with listening(server) as connect:
        yield connect


@pytest.fixture
async def ears(board: Board, listen: Connect) -> Ears:
    """A client of each style on Ann's workspace."""
    return await ears_of(await listen(board.ann, board.uuid), board.ann, board.uuid)


@pytest.fixture
async def endpoint(server: Server) -> RunningEndpoint:
    """An endpoint of records, in a project of its own."""
    return await running_endpoint(server)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A web server that takes webhooks."""
    async with receiving() as started:
        yield started


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """The S3 service of the session; imported only where it is needed, since that takes seconds."""
    from tests.support.storages import s3_service

    with s3_service() as service:
        yield service


@pytest.fixture
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """An empty storage, on disk unless a test asks for the other kind."""
    disk = getattr(request, "param", "disk") == "disk"
    return KeptOnDisk(tmp_path / "files") if disk else request.getfixturevalue("s3").storage()


@pytest.fixture
async def club(server: Server) -> Club:
    """A project with users."""
    return await make_club(server)


@pytest.fixture
async def connect(server: Server) -> AsyncIterator[RecordsConnect]:
    """Makes clients of the namespace `/ce`."""
    async with records_clients(server.url) as found:
        yield found
