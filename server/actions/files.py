"""Files of clients: their bytes in a storage, and a row for each in the database.

Invariants: nothing is in the storage without a row, and no row that something refers to lacks its file, whatever ends a
process. The row is committed before the first byte is kept, with a day to live; the transaction of what the file is for
makes it stay; the transaction that removes what it was for lets it expire at once. Housekeeping removes the files of
expired rows, and then the rows, so that a crash in between repeats the removal.
"""

import time
from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from server.errors import StorageUnavailable
from server.storage.base import Storage, Upload
from server.store.models import StoredFile
from server.store.transaction import Store, Transaction

GRACE = 86_400  # seconds: far more than an upload may take
BATCH = 100  # files removed between two looks


class Received(NamedTuple):
    """A file that the storage has and that nothing refers to yet."""

    key: str
    name: str
    content_type: str
    size: int  # bytes


class FoundFile(NamedTuple):
    """A file that can be read."""

    id: str
    key: str
    name: str
    content_type: str
    size: int  # bytes
    created_at: datetime


class Comparison(NamedTuple):
    """Keys of files of which the database does not know, and of files that it knows and nobody has."""

    unknown: list[str]
    missing: list[str]


class Files:
    """The storage beside the database that knows what is in it."""

    def __init__(self, store: Store, storage: Storage) -> None:
        self.store = store
        self.storage = storage

    async def begin(self) -> Upload:
        """A new file, noted before anything of it is kept. Raises Refused where there is no storage."""
        upload = await self.storage.create()
        await self.store.write(note_file, key=upload.key)
        return upload

    def read(self, file: FoundFile, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """As `Storage.read`."""
        return self.storage.read(file.key, start, end)

    async def discard(self, keys: Sequence[str]) -> None:
        """Removes files to which nothing refers, and their rows."""
        for key in keys:
            await self.storage.delete(key)
        if keys:
            await self.store.write(forget_files, keys=keys)

    async def compare(self) -> "Comparison":
        """Where storage and database differ, as only a restored backup can make them; servers may run meanwhile."""
        before = await self.store.read(known_files)
        kept = await self.storage.keys()
        after = await self.store.read(known_files)  # a row is there before its file, so what has none now had none
        missing = [key for key, stays in before.items() if stays and after.get(key) and key not in kept]
        return Comparison(sorted(kept - after.keys()), missing)

    async def tidy(self) -> None:
        """Removes all that has expired."""
        while keys := await self.store.read(expired_files):
            await self.discard(keys)


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


def note_file(tx: Transaction, *, key: str) -> None:
    """Notes that the storage will have a file."""
    StoredFile.create(key=key, expires_ms=milliseconds() + GRACE * 1000)


def known_files(tx: Transaction) -> dict[str, bool]:
    """The keys of all files, and whether something refers to each."""
    return {key: expires is None for key, expires in StoredFile.select(StoredFile.key, StoredFile.expires_ms).tuples()}


def expired_files(tx: Transaction) -> list[str]:
    """Keys of some files that have expired, those that expired first before others."""
    query = StoredFile.select(StoredFile.key).where(StoredFile.expires_ms <= milliseconds())
    return [key for (key,) in query.order_by(StoredFile.expires_ms).limit(BATCH).tuples()]


def forget_files(tx: Transaction, *, keys: Sequence[str]) -> None:
    """Removes the rows of files to which nothing refers."""
    StoredFile.delete().where(StoredFile.key.in_(keys), StoredFile.expires_ms.is_null(False)).execute()


def keep_file(tx: Transaction, file: Received) -> str:
    """Makes a file stay and returns its id; the caller stores a reference to it in the same transaction."""
    changes = {"name": file.name, "content_type": file.content_type, "size": file.size, "expires_ms": None}
    query = StoredFile.update(changes).where(StoredFile.key == file.key, StoredFile.expires_ms > milliseconds())
    kept = query.returning(StoredFile.id).execute()
    for row in kept:
        return str(row.id)
    raise StorageUnavailable(f"the file {file.key} has expired")


def release_files(tx: Transaction, ids: Any) -> None:
    """Lets files expire whose references were removed: `ids` are some, or a query for them."""
    StoredFile.update({"expires_ms": milliseconds()}).where(StoredFile.id.in_(ids)).execute()


def find_file(tx: Transaction, file_id: str) -> FoundFile | None:
    """A file to which something refers, by the id that the reference has."""
    row = StoredFile.find(id=file_id)
    if row is None or row.expires_ms is not None:
        return None
    return FoundFile(row.id, row.key, row.name, row.content_type, row.size, row.created_at)
