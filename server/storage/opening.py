"""Opening a FILE_STORAGE."""

from collections.abc import AsyncGenerator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from server.errors import NOT_SUPPORTED, Refused, StorageUnavailable
from server.storage.base import Storage, Upload
from server.storage.disk import Disk
from server.storage.s3 import S3


class NoStorage:
    """Where no storage is set: there are no files, and none is taken."""

    async def create(self) -> Upload:
        raise Refused(NOT_SUPPORTED, "The server keeps no files: FILE_STORAGE is not set.")

    async def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        raise FileNotFoundError(key)
        yield b""

    async def delete(self, key: str) -> None:
        raise StorageUnavailable("FILE_STORAGE is not set")

    async def keys(self) -> set[str]:
        return set()

    def close(self) -> None:
        pass


def open_storage(url: str) -> Storage:
    """The storage of `file:///DIRECTORY`, `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`, or nothing."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Disk(Path(unquote(parts.path)))
    if parts.scheme == "s3":
        given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        prefix = unquote(parts.path).strip("/")
        return S3(
            parts.netloc,
            f"{prefix}/" if prefix else "",
            endpoint=given.get("endpoint"),
            region=given.get("region"),
        )
    return NoStorage()
