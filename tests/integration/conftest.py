"""Fixtures of the integration tests: one running server per test, on both databases."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import Server, running_server


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows, of each kind."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("migrated_postgres_url")
        return url
    copy = shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "test.sqlite3")
    return f"sqlite:///{copy}"


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    """A running server on a fresh database; sign-up makes no workspace, so that tests make what they need."""
    async with running_server(database_url=database_url, signup_creates_workspace=False) as running:
        yield running


@pytest.fixture(scope="session")
def s3() -> Iterator[Any]:
    """The S3 service of the session; imported only where it is needed, since that takes seconds."""
    from tests.support.storages import s3_service

    with s3_service() as service:
        yield service
