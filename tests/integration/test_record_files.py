"""Files of records over HTTP: what is sent comes back, and what is refused leaves no row, no message and no file."""

import asyncio
import json
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
from server.store.models import StoredFile
from tests.support.app import PATIENCE, Answer, Server, running_server
from tests.support.commands import run, serving
from tests.support.record_users import make_club
from tests.support.records import RunningEndpoint, running_endpoint
from tests.support.storages import Kept, KeptOnDisk

MOST = 200_000  # bytes of a file
TEXT = b"Dear all,\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
Parts = list[tuple[str, bytes | str, dict[str, Any]]]
HEADS = ("Content-Type", "Content-Disposition", "X-Content-Type-Options", "Content-Security-Policy", "Cache-Control")


@pytest.fixture
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    disk = getattr(request, "param", "disk") == "disk"
    return KeptOnDisk(tmp_path / "files") if disk else request.getfixturevalue("s3").storage()


@pytest.fixture
async def server(database_url: str, kept: Kept) -> AsyncIterator[Server]:
    settings = {"max_file_size": MOST, "max_body_size": 100_000, "body_timeout": 0.5, "housekeeping_interval": 0.05}
    async with running_server(database_url=database_url, file_storage=kept.url, max_uploads=3, **settings) as running:
        yield running


def a_file(data: bytes = TEXT, name: str | None = "letter.txt", kind: str = "text/plain") -> Any:
    return ("file", data, {"filename": name, "content_type": kind})


async def upload(endpoint: RunningEndpoint, *parts: Any, **query: Any) -> Answer:
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for name, data, more in parts:
        form.add_field(name, data, **more)
    return await endpoint.server.request("POST", endpoint.path(**query), data=form)


async def uploaded(endpoint: RunningEndpoint, *parts: Any, **query: Any) -> Any:
    answer = await upload(endpoint, *parts, **query)
    assert answer.status == 200, answer
    return answer.body


async def fetch(
    endpoint: RunningEndpoint, unique_id: str, method: str = "GET", headers: dict[str, str] | None = None, **query: Any
) -> tuple[int, bytes, Any]:
    path = endpoint.path(uniqueId=unique_id, fileOnly="true", **query)
    async with endpoint.server.http.request(method, endpoint.server.url + path, headers=headers) as response:
        return response.status, await response.read(), response.headers


async def rows(server: Server) -> int:
    """How many files the database knows of."""
    return int(await server.app[RUNNER].store.read(lambda tx: StoredFile.select().count()))


async def until_gone(server: Server, kept: Kept, left: int = 0) -> None:
    """Waits for housekeeping."""
    async with asyncio.timeout(PATIENCE):
        while await rows(server) != left or len(kept.names()) != left:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("kept", ["disk", "s3"], indirect=True)
async def test_post_multipart_makes_a_record_of_the_file(endpoint: RunningEndpoint, kept: Kept) -> None:
    socket = await endpoint.listening()
    data = bytes(range(256)) * 700
    made = await uploaded(
        endpoint, ("title", "Überschrift", {}), a_file(data, "../a/brief ü.txt", "Text/Plain; charset=utf-8"),
        ("tag", "a", {}), ("tag", "b", {}), ("tag", "", {}),
    )  # fmt: skip
    assert list(made) == ["uniqueId", "data", "createdAt", "updatedAt"]
    metadata = {"title": "Überschrift", "tag": ["a", "b", ""]}
    described = {"fileName": "brief ü.txt", "mimeType": "text/plain", "size": len(data), "metadata": metadata}
    assert made["data"] == described and list(made["data"]) == list(described)
    assert await socket.next() == {"type": "POST", "record": made}
    assert await endpoint.ok("GET") == [made] and len(kept.names()) == await rows(endpoint.server) == 1
    status, body, headers = await fetch(endpoint, made["uniqueId"])
    assert (status, body) == (200, data)
    assert [headers.get(name) for name in HEADS] == [
        "text/plain",
        "attachment; filename=\"brief _.txt\"; filename*=UTF-8''brief%20%C3%BC.txt",
        "nosniff",
        "sandbox",
        "private, no-cache",
    ]
    assert "Accept-Ranges" not in headers and "Stream-Offset" in headers
    assert await endpoint.ok("DELETE", uniqueId=made["uniqueId"]) == made
    assert await socket.next() == {"type": "DELETE", "record": made}
    assert (await fetch(endpoint, made["uniqueId"]))[0] == 400
    await until_gone(endpoint.server, kept)
    assert socket.rest() == []


async def test_post_multipart_of_several_files_is_one_message_with_an_array(
    endpoint: RunningEndpoint, kept: Kept
) -> None:
    socket = await endpoint.listening()
    files = [a_file(bytes([number]) * (number + 1), f"{number}.bin", "x/y") for number in range(10)]
    made = await uploaded(endpoint, *files, ("album", "summer", {}))
    assert [record["data"]["fileName"] for record in made] == [f"{number}.bin" for number in range(10)]
    assert all(record["data"]["metadata"] == {"album": "summer"} for record in made)
    assert await endpoint.ok("GET") == made
    only = await uploaded(endpoint, *files[:2], dataOnly="true")
    assert only == [record["data"] | {"metadata": {}} for record in made[:2]]
    first, second = [await socket.next() for _ in range(2)]
    assert first == {"type": "POST", "record": made} and [each["data"] for each in second["record"]] == only
    for number, record in enumerate(made):
        assert (await fetch(endpoint, record["uniqueId"]))[1] == bytes([number]) * (number + 1)
    await endpoint.ok("DELETE", uniqueId=made[3]["uniqueId"])
    await until_gone(endpoint.server, kept, 11)
    await endpoint.manage("DELETE", f"/api/endpoints/{endpoint.shown['id']}/")
    await until_gone(endpoint.server, kept)
    assert [message["type"] for message in socket.rest()] == ["DELETE"]


async def test_deleting_a_project_removes_its_files(endpoint: RunningEndpoint, kept: Kept) -> None:
    await uploaded(endpoint, a_file(), a_file())
    assert len(kept.names()) == 2
    await endpoint.manage("DELETE", f"/api/projects/{endpoint.project['id']}/")
    await until_gone(endpoint.server, kept)


HTML = b"<script>alert(1)</script>"
SHOWN = {
    "a png": (PNG, "image/png", "image/png", "inline"),
    "a png that is called something else": (PNG, "text/html", "image/png", "inline"),
    "a jpeg": (b"\xff\xd8\xff\xe0" + bytes(9), "", "image/jpeg", "inline"),
    "a gif": (b"GIF89a..", "image/gif", "image/gif", "inline"),
    "a webp": (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "image/webp", "inline"),
    "an avif": (b"\0\0\0\x1cftypavif", "image/avif", "image/avif", "inline"),
    "a page that is called a png": (HTML, "image/png", "application/octet-stream", "attachment"),
    "a page": (HTML, "text/html", "text/html", "attachment"),
    "a drawing with scripts": (b"<svg onload='x()'/>", "image/svg+xml", "image/svg+xml", "attachment"),
    "no type": (TEXT, "nonsense", "application/octet-stream", "attachment"),
    "an odd type": (TEXT, "text/<b>", "application/octet-stream", "attachment"),
}


async def test_get_file_only_shows_raster_images_and_saves_all_else(endpoint: RunningEndpoint) -> None:
    for data, claimed, kind, shown in SHOWN.values():
        body = b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: ' + claimed.encode()
        made = await endpoint.ok("POST", raw=body + b"\r\n\r\n" + data + b"\r\n--x--\r\n", headers=FORM)
        assert made["data"]["mimeType"] == kind and made["data"]["fileName"] == "file"
        status, found, headers = await fetch(endpoint, made["uniqueId"])
        assert (status, found, headers["Content-Type"]) == (200, data, kind)
        assert headers["Content-Disposition"].startswith(f'{shown}; filename="file"')
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Content-Security-Policy"] == "sandbox"


async def test_an_image_that_comes_byte_by_byte_is_known(endpoint: RunningEndpoint) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield HEAD + b"\r\n"
        for byte in PNG:
            yield bytes([byte])
            await asyncio.sleep(0)
        yield b"\r\n" + END

    url = endpoint.server.url + endpoint.path()
    async with endpoint.server.http.post(url, data=body(), headers=FORM) as answer:
        assert (await answer.json())["data"]["mimeType"] == "image/png"


FILE = bytes(range(200)) * 5
RANGES: dict[str, tuple[dict[str, str], int, slice]] = {
    "none": ({}, 200, slice(None)),
    "the first bytes": ({"Range": "bytes=0-9"}, 206, slice(0, 10)),
    "one byte": ({"Range": "bytes=999-999"}, 206, slice(999, 1000)),
    "from a byte on": ({"Range": "bytes=300-"}, 206, slice(300, None)),
    "the last bytes": ({"Range": "bytes=-7"}, 206, slice(-7, None)),
    "more than there is": ({"Range": "bytes=990-5000"}, 206, slice(990, None)),
    "the last of more than there is": ({"Range": "bytes=-5000"}, 206, slice(None)),
    "several": ({"Range": "bytes=0-1,5-6"}, 200, slice(None)),
    "backwards": ({"Range": "bytes=9-3"}, 200, slice(None)),
    "no numbers": ({"Range": "bytes=a-b"}, 200, slice(None)),
    "nothing": ({"Range": "bytes=-"}, 200, slice(None)),
    "another unit": ({"Range": "pages=1-2"}, 200, slice(None)),
    "of this file": ({"Range": "bytes=1-2", "If-Range": "ETAG"}, 206, slice(1, 3)),
    "of this date": ({"Range": "bytes=1-2", "If-Range": "DATE"}, 206, slice(1, 3)),
    "of another file": ({"Range": "bytes=1-2", "If-Range": '"other"'}, 200, slice(None)),
    "behind the end": ({"Range": "bytes=1000-"}, 416, slice(0, 0)),
    "the last none": ({"Range": "bytes=-0"}, 416, slice(0, 0)),
}


@pytest.mark.parametrize("kept", ["disk", "s3"], indirect=True)
async def test_get_stream_answers_ranges(endpoint: RunningEndpoint) -> None:
    unique_id = (await uploaded(endpoint, a_file(FILE)))["uniqueId"]
    _, _, known = await fetch(endpoint, unique_id, "HEAD", stream="true")
    real = {"ETAG": known["ETag"], "DATE": known["Last-Modified"]}
    for headers, status, span in RANGES.values():
        asked = {name: real.get(value, value) for name, value in headers.items()}
        answered, body, told = await fetch(endpoint, unique_id, headers=asked, stream="true")
        assert answered == status, asked
        start, end, _ = span.indices(len(FILE))
        if status == 416:
            assert told["Content-Range"] == "bytes */1000" and json.loads(body)["error"]["code"] == 416
            continue
        assert body == FILE[span] and told["Accept-Ranges"] == "bytes"
        assert told.get("Content-Range") == (f"bytes {start}-{end - 1}/1000" if status == 206 else None)
    plain = await fetch(endpoint, unique_id, headers={"Range": "bytes=0-9"})
    assert plain[:2] == (200, FILE)


async def test_head_and_unchanged_files(endpoint: RunningEndpoint) -> None:
    unique_id = (await uploaded(endpoint, a_file(FILE)))["uniqueId"]
    for query in ({}, {"stream": "true"}):
        status, body, head = await fetch(endpoint, unique_id, "HEAD", headers={"Range": "bytes=0-9"}, **query)
        assert (status, body, head["Content-Length"]) == (200, b"", "1000")
        status, body, told = await fetch(
            endpoint, unique_id, headers={"If-None-Match": f'"x", W/{head["ETag"]}'}, **query
        )
        assert (status, body, told["ETag"]) == (304, b"", head["ETag"])


async def test_a_page_may_read_a_file(endpoint: RunningEndpoint) -> None:
    unique_id = (await uploaded(endpoint, a_file()))["uniqueId"]
    _, body, headers = await fetch(endpoint, unique_id, headers={"Origin": "https://app.example"}, stream="true")
    assert body == TEXT and headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Range" in headers["Access-Control-Expose-Headers"]


async def test_put_changes_the_metadata_of_a_file_and_nothing_that_describes_it(endpoint: RunningEndpoint) -> None:
    made = await uploaded(endpoint, a_file(), ("a", "1", {}))
    described = {"fileName": "letter.txt", "mimeType": "text/plain", "size": len(TEXT)}
    one = {"uniqueId": made["uniqueId"]}
    merged = await endpoint.ok("PUT", {"metadata": {"b": 2}, "size": 0}, strategy="merge", **one)
    assert merged["data"] == described | {"metadata": {"a": "1", "b": 2}}
    forced = await endpoint.ok("PUT", {"fileName": "x", "note": []}, **one)
    assert forced["data"] == described | {"metadata": {}, "note": []}
    assert list(forced["data"]) == ["fileName", "mimeType", "size", "metadata", "note"]
    refused = await endpoint.call("PUT", "text", **one)
    assert (refused.status, refused.body["error"]["message"][:8]) == (400, "The data")
    assert await endpoint.ok("GET", **one) == forced and (await fetch(endpoint, made["uniqueId"]))[1] == TEXT


FORM = {"Content-Type": "multipart/form-data; boundary=x"}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n'
WHOLE = HEAD + b"\r\nabc\r\n"
END = b"--x--\r\n"
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


async def test_a_file_on_a_secure_endpoint_is_seen_and_told_as_its_record_is(server: Server, kept: Kept) -> None:
    club = await make_club(server)
    ann, bob = await club.join("ann"), await club.join("bob")
    hears_ann, hears_bob = await ann.listening(club.vault), await bob.listening(club.vault)
    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("file", TEXT, filename="letter.txt", content_type="text/plain")
    sent = await server.request("POST", club.vault.path(), data=form, headers=ann.header)
    assert sent.status == 200, sent
    unique_id = sent.body["uniqueId"]
    assert await hears_ann.next() == {"type": "POST", "record": sent.body}
    assert (await fetch(club.vault, unique_id, headers=ann.header))[:2] == (200, TEXT)
    assert (await fetch(club.vault, unique_id, headers=bob.header))[0] == 400
    assert (await fetch(club.vault, unique_id))[0] == 401
    own = await bob.ok(club.vault, "POST", 1)
    assert await hears_bob.next() == {"type": "POST", "record": own}, "nothing of Ann's file"


async def test_where_records_are_users_there_are_no_files(server: Server, kept: Kept) -> None:
    club = await make_club(server)
    assert (await upload(club.people, a_file(), masterKey=club.people.project["master_key"])).status == 400
    assert await rows(server) == 0 and not kept.names()
