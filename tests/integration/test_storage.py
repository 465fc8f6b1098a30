"""Storages of files, each kind alike: a file is there whole or not at all."""

import asyncio
import stat
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.errors import Refused, StorageUnavailable
from server.storage.base import CHUNK, BufferedUpload, Storage
from server.storage.disk import Disk
from server.storage.opening import open_storage
from server.storage.s3 import PART, S3
from tests.support.storages import Kept, KeptOnDisk

LARGE = bytes(range(256)) * 4096 * 13  # 13 MiB: three parts of S3, many pieces of a disk
SIZES = {"one byte": 1, "a chunk": CHUNK, "a part": PART, "parts and a rest": len(LARGE)}


@pytest.fixture(params=["disk", "s3"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    return (
        KeptOnDisk(tmp_path / "made" / "files") if request.param == "disk" else request.getfixturevalue("s3").storage()
    )


@pytest.fixture
async def storage(kept: Kept) -> AsyncIterator[Storage]:
    opened = open_storage(kept.url)
    yield opened
    opened.close()


async def store(storage: Storage, data: bytes, piece: int = 100_000) -> str:
    upload = await storage.create()
    for start in range(0, len(data), piece):
        await upload.write(data[start : start + piece])
    assert await upload.finish() == upload.key
    return upload.key


async def read(storage: Storage, key: str, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in storage.read(key, start, end)])


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_read_is_what_was_written(storage: Storage, kept: Kept, size: str) -> None:
    data = LARGE[: SIZES[size]]
    key = await store(storage, data)
    assert kept.names() == [key]
    assert await read(storage, key, 0, len(data)) == data
    for start, end in [(0, 1), (len(data) - 1, len(data)), (len(data) // 3, len(data) // 2 + 1)]:
        assert await read(storage, key, start, end) == data[start:end]
    await storage.delete(key)
    await storage.delete(key)
    assert kept.names() == []
    with pytest.raises(FileNotFoundError):
        await read(storage, key, 0, 1)


async def test_a_file_is_read_in_pieces(storage: Storage) -> None:
    key = await store(storage, LARGE[: 3 * CHUNK])
    sizes = [len(piece) async for piece in storage.read(key, 1, 3 * CHUNK)]
    assert sum(sizes) == 3 * CHUNK - 1 and max(sizes) <= CHUNK


@pytest.mark.parametrize("size", [1, PART + 1])
async def test_an_aborted_upload_leaves_nothing(storage: Storage, kept: Kept, size: int) -> None:
    upload = await storage.create()
    await upload.abort()
    upload = await storage.create()
    await upload.write(LARGE[:size])
    assert upload.key not in kept.names()
    await upload.abort()
    await upload.abort()
    assert kept.names() == []


async def test_what_a_crash_left_is_deleted_by_its_key(storage: Storage, kept: Kept) -> None:
    upload = await storage.create()
    await upload.write(LARGE)
    (left,) = kept.names()
    assert left == f"{upload.key}.part"
    with pytest.raises(FileNotFoundError):
        await read(storage, upload.key, 0, 1)
    other = await store(storage, b"x")
    await storage.delete(upload.key)
    assert kept.names() == [other]
    await upload.abort()


async def test_who_is_cancelled_can_abort(storage: Storage, kept: Kept) -> None:
    upload = await storage.create()
    await upload.write(LARGE[:PART])
    writing = asyncio.create_task(upload.write(LARGE))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    await upload.abort()
    assert kept.names() == []


async def test_a_step_that_comes_after_the_abort_stores_nothing(storage: Storage, kept: Kept) -> None:
    """Its thread had begun when whoever waited for it was cancelled, and gets its turn late."""
    upload = await storage.create()
    assert isinstance(upload, BufferedUpload)
    upload._turn = turn = LateTurn()  # type: ignore[assignment]
    writing = asyncio.create_task(upload.write(LARGE[:PART]))
    assert await asyncio.to_thread(turn.begun.wait, 10)
    writing.cancel()
    await upload.abort()
    turn.late.set()
    assert await asyncio.to_thread(turn.ended.wait, 10)
    assert kept.names() == []


class LateTurn:
    """A lock that whoever asks for it first is given last."""

    def __init__(self) -> None:
        self.begun, self.late, self.ended = (threading.Event() for _ in range(3))

    def __enter__(self) -> None:
        if not self.begun.is_set():
            self.begun.set()
            self.late.wait(10)

    def __exit__(self, *_: object) -> None:
        if self.late.is_set():
            self.ended.set()


async def test_uploads_at_once_do_not_mix(storage: Storage) -> None:
    files = [bytes([number]) * (PART + number) for number in range(20)]
    keys = await asyncio.gather(*(store(storage, data) for data in files))
    for key, data in zip(keys, files, strict=True):
        assert await read(storage, key, 0, len(data)) == data


async def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await fails(Disk(tmp_path / "file"))


async def test_a_bucket_that_is_not_there(s3: object) -> None:
    await fails(open_storage(f"s3://nowhere?endpoint={s3.endpoint}&region=eu-north-1"))  # type: ignore[attr-defined]


async def fails(storage: Storage) -> None:
    upload = await storage.create()
    with pytest.raises(StorageUnavailable):
        await upload.write(LARGE)
    with pytest.raises(StorageUnavailable):
        await store(storage, b"x")
    storage.close()


async def test_files_on_disk_are_their_owners(tmp_path: Path) -> None:
    storage = Disk(tmp_path / "files")
    key = await store(storage, b"x")
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "files" / key).stat().st_mode) == 0o600
    storage.close()


async def test_a_file_cut_on_the_disk_is_noticed(tmp_path: Path) -> None:
    storage = Disk(tmp_path)
    key = await store(storage, b"xyz")
    (tmp_path / key).write_bytes(b"x")
    with pytest.raises(StorageUnavailable):
        await read(storage, key, 0, 3)
    storage.close()


async def test_storages_by_their_urls(tmp_path: Path, s3: object) -> None:
    disk = open_storage(f"{tmp_path.as_uri()}/with%20space")
    assert isinstance(disk, Disk) and disk.directory == tmp_path / "with space"
    bucket = open_storage("s3://files/a/b/?region=eu-north-1")
    assert isinstance(bucket, S3) and bucket.place("k") == {"Bucket": "files", "Key": "a/b/k"}
    none = open_storage("")
    with pytest.raises(Refused):
        await none.create()
    with pytest.raises(FileNotFoundError):
        await read(none, "k", 0, 1)
    for storage in (disk, bucket, none):
        storage.close()
