"""What every storage is: files that are written once, under random keys that no client chooses, and read in pieces.

Invariants: a key names a whole file or nothing, whatever ends a process; one file in transit takes a fixed amount of
memory; what blocks runs in threads that the storage shares with nobody, so slow disks and networks delay only files.
"""

import asyncio
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, Protocol, TypeVar
from uuid import uuid4

from server.errors import StorageUnavailable

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8  # they wait for disks and networks
KEY = re.compile(r"([0-9a-f]{32})(\.part)?")  # of ours: what else lies there is none of our business
CHUNK = 256 << 10  # bytes read at once


class Upload(Protocol):
    """A file on its way in; nothing is kept before the first write. Raises StorageUnavailable."""

    key: str

    async def write(self, data: bytes) -> None:
        """Adds some bytes; returns when there is room for more."""

    async def finish(self) -> str:
        """Keeps the file, safe from a power cut where it lies, and returns its key."""

    async def abort(self) -> None:
        """Leaves nothing behind; may follow anything."""


class Storage(Protocol):
    """Files by key. All but `close` raises StorageUnavailable when the disk or the service fails."""

    async def create(self) -> Upload:
        """Begins a file under a new key."""

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` to before `end`, in pieces; raises FileNotFoundError before the first of them."""

    async def delete(self, key: str) -> None:
        """Removes a file, whole or half written; nothing happens where there is none."""

    async def keys(self) -> set[str]:
        """All keys under which something lies, whole or half written."""

    def close(self) -> None:
        """Waits for what runs; blocks."""


def ours(names: Iterable[str]) -> set[str]:
    """The keys among names of files."""
    return {found[1] for name in names if (found := KEY.fullmatch(name))}


class Threads:
    """The threads of one storage; `failures` are what its disk or service may raise."""

    def __init__(self, *failures: type[Exception]) -> None:
        self._failures = failures
        self._pool = ThreadPoolExecutor(THREADS, "storage")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a function that blocks; raises StorageUnavailable, or FileNotFoundError."""
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
        except FileNotFoundError:
            raise
        except self._failures as error:
            raise StorageUnavailable(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        self._pool.shutdown()


class BufferedUpload(ABC):
    """An upload that stores pieces of at least `size` bytes, each in a thread. One step runs at a time, also where
    whoever waited for a step was cancelled and goes on to abort; a step that comes only after that does nothing."""

    def __init__(self, threads: Threads, size: int) -> None:
        self.key = uuid4().hex
        self._threads = threads
        self._size = size
        self._buffer = bytearray()
        self._turn = threading.Lock()
        self._aborted = False

    async def write(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= self._size:
            await self._step(self.store, self._taken())

    async def finish(self) -> str:
        await self._step(self.complete, self._taken())
        return self.key

    async def abort(self) -> None:
        def in_turn() -> None:
            with self._turn:
                self._aborted = True
                self.drop()

        await self._threads.run(in_turn)

    def _taken(self) -> bytearray:
        taken, self._buffer = self._buffer, bytearray()
        return taken

    async def _step(self, function: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        def in_turn() -> None:
            with self._turn:
                if not self._aborted:
                    function(*args, **kwargs)

        await self._threads.run(in_turn)

    @abstractmethod
    def store(self, piece: bytearray) -> None:
        """Appends a piece."""

    @abstractmethod
    def complete(self, piece: bytearray) -> None:
        """Appends the last piece, which may be empty, and keeps the file."""

    @abstractmethod
    def drop(self) -> None:
        """Removes what was stored."""
