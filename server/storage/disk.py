"""Files in a directory: `KEY` is a whole file, `KEY.part` one on its way.

A file gets its name when its bytes have reached the disk, and its name is on the disk before anybody is told of it."""

import os
from collections.abc import AsyncGenerator, Iterator
from io import BufferedWriter
from pathlib import Path

from server.errors import StorageUnavailable
from server.storage.base import CHUNK, BufferedUpload, Threads, ours

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
PRIVATE = 0o600
PRIVATE_DIRECTORY = 0o700


class Disk:
    """A directory, made when it is first needed. Processes that share a database share it too."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.threads = Threads(OSError)

    async def create(self) -> "DiskUpload":
        return DiskUpload(self.directory, self.threads)

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        file = await self.threads.run((self.directory / key).open, "rb", buffering=0)
        try:
            while start < end:
                piece = await self.threads.run(os.pread, file.fileno(), min(CHUNK, end - start), start)
                if not piece:
                    raise StorageUnavailable(f"the file {key} ends before byte {end}")
                yield piece
                start += len(piece)
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        await self.threads.run(remove, self.directory / key)

    async def keys(self) -> set[str]:
        return await self.threads.run(lambda: ours(names(self.directory)))

    def close(self) -> None:
        self.threads.close()


class DiskUpload(BufferedUpload):
    def __init__(self, directory: Path, threads: Threads) -> None:
        super().__init__(threads, CHUNK)
        self.path = directory / self.key
        self._file: BufferedWriter | None = None

    def store(self, piece: bytearray) -> None:
        if self._file is None:
            self.path.parent.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(partial(self.path), NEW, PRIVATE), "wb")
        self._file.write(piece)

    def complete(self, piece: bytearray) -> None:
        self.store(piece)
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        partial(self.path).rename(self.path)
        sync_directory(self.path.parent)

    def drop(self) -> None:
        if self._file is not None:
            self._file.raw.close()  # what is still buffered may be what the disk refused
            remove(self.path)


def names(directory: Path) -> Iterator[str]:
    """The files of a directory, none where it was not needed yet."""
    return (path.name for path in directory.iterdir()) if directory.exists() else iter(())


def partial(path: Path) -> Path:
    """The name of a file that is not whole."""
    return path.with_name(path.name + ".part")


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file in both states."""
    path.unlink(missing_ok=True)
    partial(path).unlink(missing_ok=True)
