"""One besieged server for all tests of a module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.node import Toolchain
from tests.support.siege import Siege, besieged


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def fortress(tmp_path_factory: pytest.TempPathFactory, node: Toolchain) -> AsyncIterator[Siege]:
    """The server, and the client that must not notice."""
    async with besieged(tmp_path_factory.mktemp("siege") / "test.sqlite3", node) as siege:
        yield siege


@pytest_asyncio.fixture(loop_scope="module")
async def siege(fortress: Siege) -> AsyncIterator[Siege]:
    """The same around one test: what it does leaves nothing, and the bystander does not notice."""
    async with fortress.attack():
        yield fortress
