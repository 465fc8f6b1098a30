"""Uploads of records that are refused, broken off, large or lost: no row, no message and no file is left of them."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.actions.record_files import create_file_records
from server.errors import Unavailable
from server.rest.context import RUNNER
from server.rest.files import FILES
from server.rest.uploads import UPLOADS
from server.storage.base import THREADS
from tests.support.app import PATIENCE, Answer, Server, running_server
from tests.support.commands import run, serving
from tests.support.record_files import END, FORM, HEAD, MOST, TEXT, a_file, fetch, files_server, upload, uploaded
from tests.support.records import RunningEndpoint, running_endpoint
from tests.support.storages import Kept, KeptOnDisk, rows, until_gone

PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
WHOLE = HEAD + b"\r\nabc\r\n"
BAD = "The multipart body cannot be read."
NESTED = b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\nabc\r\n--y--\r\n"
REFUSED: dict[str, tuple[int, str, Any]] = {
    "11 files": (400, "At most 10 files", [a_file()] * 11),
    "an oversized file": (413, "A file is larger than 200000 bytes.", [a_file(), a_file(bytes(MOST + 1))]),
    "an oversized body": (413, "The request body is too large.", [a_file(bytes(MOST))] * 16),
    "an empty file": (400, "The file is empty.", [a_file(), a_file(b"")]),
    "no file": (400, "The part file is missing.", [("title", "x", {})]),
    "a file of another name": (400, "Files are sent in parts", [a_file(), ("image", b"x", {"filename": "a"})]),
    "large texts": (413, "There may be 100 texts", [a_file(), ("a", "x" * 40_000, {}), ("b", "x" * 40_000, {})]),
    "many texts": (413, "There may be 100 texts", [a_file(), *[("a", "x", {})] * 101]),
    "a text that is not UTF-8": (400, "The text must be UTF-8.", WHOLE + PART + b"\r\n\xff\r\n" + END),
    "a name that changes prototypes": (400, "The name __proto__", [a_file(), ("__proto__", "x", {})]),
    "empty body": (400, BAD, b""),
    "no parts": (400, "The part file is missing.", END),
    "no end": (400, BAD, WHOLE),
    "no boundary in the body": (400, BAD, b"abc"),
    "cut in the file": (400, BAD, HEAD + b"\r\nabc"),
    "cut in a head": (400, BAD, WHOLE + b"--x\r\nContent-Disp"),
    "a head of nonsense": (400, BAD, WHOLE + b"--x\r\nnonsense\r\n\r\nabc\r\n" + END),
    "a part without a name": (400, "Each part needs a name", WHOLE + b"--x\r\n\r\nabc\r\n" + END),
    "a multipart within": (400, "Each part needs a name", WHOLE + HEAD + NESTED + END),
    "base64": (400, "The transfer encoding", WHOLE + HEAD + b"Content-Transfer-Encoding: base64\r\n\r\nYQ==\r\n" + END),
    "no boundary in the head": (400, BAD, {"Content-Type": "multipart/form-data"}),
    "another multipart": (400, "The content type must be", {"Content-Type": "multipart/mixed; boundary=x"}),
    "wrong key": (400, "The API key is invalid.", {"key": "0" * 32}),
    "no key": (403, "The API key is missing.", {"key": None}),
    "no such endpoint": (400, "The endpoint is invalid.", {"name": "shop/parcels"}),
}  # fmt: skip


@pytest.fixture
async def server(database_url: str, kept: Kept) -> AsyncIterator[Server]:
    async with files_server(database_url, kept) as running:
        yield running


async def test_a_refused_upload_stores_tells_and_leaves_nothing(endpoint: RunningEndpoint, kept: Kept) -> None:
    socket = await endpoint.listening()
    position = await endpoint.server.log_position()
    for case, (status, words, sent) in REFUSED.items():
        answer = await refused_upload(endpoint, sent)
        told = answer.body["error"]
        assert (answer.status, told["code"], told["message"][: len(words)]) == (status, status, words), case
        assert (kept.names(), await rows(endpoint.server)) == ([], 0), case
    assert await endpoint.server.log_position() == position and await endpoint.ok("GET") == []
    assert socket.rest() == [] and endpoint.server.app[UPLOADS].running == 0


async def refused_upload(endpoint: RunningEndpoint, sent: Any) -> Answer:
    """Parts, or a body as it is, or what else is wrong with a good one."""
    if isinstance(sent, list):
        return await upload(endpoint, *sent)
    if isinstance(sent, bytes):
        return await endpoint.call("POST", raw=sent, headers=FORM)
    headers = {"Content-Type": sent["Content-Type"]} if "Content-Type" in sent else FORM
    query = {name: value for name, value in sent.items() if name != "Content-Type"}
    return await endpoint.call("POST", raw=WHOLE + END, headers=headers, **query)


async def test_an_endless_file_is_refused_when_it_is_too_large(endpoint: RunningEndpoint, kept: Kept) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield HEAD + b"\r\n"
        while True:
            sent += 50_000
            yield bytes(50_000)

    async with endpoint.server.http.post(endpoint.server.url + endpoint.path(), data=endless(), headers=FORM) as answer:
        assert answer.status == 413
    assert kept.names() == [] and await rows(endpoint.server) == 0


async def test_a_client_that_stops_sending_is_not_waited_for(endpoint: RunningEndpoint, kept: Kept) -> None:
    stop = asyncio.Event()

    async def stalling() -> AsyncIterator[bytes]:
        yield HEAD + b"\r\n" + bytes(100_000)
        await stop.wait()

    post = endpoint.server.http.post(endpoint.server.url + endpoint.path(), data=stalling(), headers=FORM)
    async with post as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (408, 408)
    stop.set()
    assert kept.names() == [] and await rows(endpoint.server) == 0


async def test_a_client_that_leaves_and_more_than_may_upload_at_once(endpoint: RunningEndpoint, kept: Kept) -> None:
    limits, stop = endpoint.server.app[UPLOADS], asyncio.Event()

    async def waiting() -> AsyncIterator[bytes]:
        yield HEAD + b"\r\n" + bytes(100_000)
        await stop.wait()

    async def post() -> None:
        async with endpoint.server.http.post(endpoint.server.url + endpoint.path(), data=waiting(), headers=FORM):
            pass

    leaving = [asyncio.create_task(post()) for _ in range(3)]
    async with asyncio.timeout(PATIENCE):
        while limits.running < 3:
            await asyncio.sleep(0.005)
    answer = await upload(endpoint, a_file())
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    async with asyncio.timeout(PATIENCE):
        while limits.running:
            await asyncio.sleep(0.005)
    await until_gone(endpoint.server, kept)
    assert (await upload(endpoint, a_file())).status == 200


async def test_an_endpoint_deleted_during_the_upload_refuses_it(endpoint: RunningEndpoint, kept: Kept) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield WHOLE
        begun.set()
        await go_on.wait()
        yield END

    sending = asyncio.create_task(post_body(endpoint, body()))
    await begun.wait()
    await endpoint.manage("DELETE", f"/api/endpoints/{endpoint.shown['id']}/")
    go_on.set()
    assert await sending == 400
    assert kept.names() == [] and await rows(endpoint.server) == 0


async def post_body(endpoint: RunningEndpoint, body: AsyncIterator[bytes]) -> int:
    async with endpoint.server.http.post(endpoint.server.url + endpoint.path(), data=body, headers=FORM) as answer:
        return answer.status


@pytest.mark.parametrize("kept", ["disk", "s3"], indirect=True)
async def test_what_a_crash_left_is_removed_after_a_day(
    server: Server, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = server.app[FILES]
    finished, half = await files.begin(), await files.begin()
    await finished.write(TEXT)
    await finished.finish()
    await half.write(bytes(6 << 20))
    await files.tidy()
    assert kept.names() == sorted([finished.key, f"{half.key}.part"]) and await rows(server) == 2
    monkeypatch.setattr("server.actions.files.GRACE", -1)
    monkeypatch.setattr("server.actions.files.milliseconds", lambda: 2**62)
    await until_gone(server, kept)
    await half.abort()


async def test_a_commit_of_which_nobody_knows_costs_no_file(
    endpoint: RunningEndpoint, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = endpoint.server.app[RUNNER].store
    write = store.write

    async def lose_answer(action: Any, *args: Any, **kwargs: Any) -> Any:
        made = await write(action, *args, **kwargs)
        if action is create_file_records:
            raise Unavailable("the connection broke during COMMIT")
        return made

    monkeypatch.setattr(store, "write", lose_answer)
    assert (await upload(endpoint, a_file())).status == 503
    (made,) = await endpoint.ok("GET")
    assert (await fetch(endpoint, made["uniqueId"]))[1] == TEXT and len(kept.names()) == 1


async def test_a_file_that_the_storage_lost(endpoint: RunningEndpoint, kept: Kept) -> None:
    made = await uploaded(endpoint, a_file())
    kept.lose(kept.names()[0])
    assert (await fetch(endpoint, made["uniqueId"]))[0] == 404
    assert await endpoint.ok("DELETE", uniqueId=made["uniqueId"]) == made
    await until_gone(endpoint.server, kept)


async def test_a_storage_that_cannot_be_written(endpoint: RunningEndpoint, kept: Kept, tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    answer = await upload(endpoint, a_file())
    assert (answer.status, answer.body["error"]["message"]) == (503, "The file storage is not available just now.")
    assert await endpoint.ok("GET") == []
    assert (await endpoint.call("POST", 1)).status == 200


async def test_a_server_without_a_storage_takes_no_files(migrated_postgres_url: str) -> None:
    async with running_server(database_url=migrated_postgres_url) as server:
        answer = await upload(await running_endpoint(server), a_file())
    words = "The server keeps no files: FILE_STORAGE is not set."
    assert (answer.status, answer.body["error"]["message"]) == (400, words)


async def test_files_lie_beside_the_database_unless_told_otherwise(tmp_path: Path) -> None:
    async with running_server(database_url=f"sqlite:///{tmp_path}/rooms.sqlite3") as server:
        await uploaded(await running_endpoint(server), a_file())
    assert len(KeptOnDisk(tmp_path / "rooms.sqlite3.files").names()) == 1


async def test_stuck_uploads_leave_the_database_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, stuck = threading.Event(), threading.Semaphore(0)

    def slow_disk(directory: Path) -> None:
        stuck.release()
        assert go_on.wait(PATIENCE)

    monkeypatch.setattr("server.storage.disk.sync_directory", slow_disk)
    async with running_server(database_url=f"sqlite:///{tmp_path}/rooms.sqlite3", max_uploads=0) as server:
        endpoint = await running_endpoint(server)
        uploads = [asyncio.create_task(uploaded(endpoint, a_file())) for _ in range(3 * THREADS)]
        async with asyncio.timeout(PATIENCE):
            while server.app[UPLOADS].running < len(uploads) or stuck._value < THREADS:
                await asyncio.sleep(0.005)
        made = await endpoint.ok("POST", 1)
        assert await endpoint.ok("GET") == [made]
        go_on.set()
        assert len(await asyncio.gather(*uploads)) == len(await endpoint.ok("GET")) - 1 == 3 * THREADS


async def test_an_upload_of_100_mb_takes_little_memory_and_so_does_the_file(tmp_path: Path) -> None:
    size = 100 << 20

    async def body() -> AsyncIterator[bytes]:
        yield HEAD + b"\r\n"
        for _ in range(size >> 20):
            yield bytes(1 << 20)
        yield b"\r\n" + END

    with serving(DATABASE_URL=f"sqlite:///{tmp_path}/rooms.sqlite3") as (child, address):
        async with aiohttp.ClientSession() as http:
            endpoint = await running_endpoint(Server(None, address, http, None))  # type: ignore[arg-type]
            await uploaded(endpoint, a_file())
            before = begin_peak(child.pid)
            async with http.post(address + endpoint.path(), data=body(), headers=FORM) as answer:
                made = await answer.json()
                assert (answer.status, made["data"]["size"]) == (200, size)
            path, got = endpoint.path(uniqueId=made["uniqueId"], fileOnly="true"), 0
            async with http.get(address + path) as answer:
                async for piece in answer.content.iter_any():
                    got += len(piece)
            grown = peak_memory(child.pid) - before
    assert got == size and grown < 16 << 20


def begin_peak(pid: int) -> int:
    """Forgets the peak so far, which hashing a password made; returns what is used now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak_memory(pid)


def peak_memory(pid: int) -> int:
    """The most memory that a process has used, in bytes."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("kept", ["disk", "s3"], indirect=True)
async def test_storage_and_database_are_compared(endpoint: RunningEndpoint, kept: Kept) -> None:
    files = endpoint.server.app[FILES]
    await uploaded(endpoint, a_file(), a_file())
    lost, left = kept.names()
    begun = await files.begin()
    await begun.write(bytes(6 << 20))
    assert await files.compare() == ([], [])
    kept.lose(lost)
    unknown = await files.storage.create()
    await unknown.write(TEXT)
    await unknown.finish()
    assert await files.compare() == ([unknown.key], [lost])
    await files.discard([unknown.key])
    assert kept.names() == sorted([left, f"{begun.key}.part"])
    await begun.abort()


def test_check_files_removes_what_a_restored_backup_does_not_know(tmp_path: Path, migrated_sqlite: Path) -> None:
    database, key = shutil.copy(migrated_sqlite, tmp_path / "rooms.sqlite3"), "0" * 32
    kept = KeptOnDisk(tmp_path / "rooms.sqlite3.files")
    kept.directory.mkdir()
    for name in (key, "readme"):
        (kept.directory / name).write_bytes(TEXT)
    url = f"sqlite:///{database}"
    assert run("check-files", DATABASE_URL=url) == "1 files not known to the database, 0 missing"
    assert run("check-files", "--remove", DATABASE_URL=url) == "1 files removed, 0 missing"
    assert kept.names() == ["readme"]
