"""Files of records over HTTP: what is sent comes back, and who may see it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.support.app import Server
from tests.support.record_files import END, FORM, HEAD, TEXT, a_file, fetch, files_server, upload, uploaded
from tests.support.record_users import make_club
from tests.support.records import RunningEndpoint
from tests.support.storages import Kept, rows, until_gone

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
Parts = list[tuple[str, bytes | str, dict[str, Any]]]
HEADS = ("Content-Type", "Content-Disposition", "X-Content-Type-Options", "Content-Security-Policy", "Cache-Control")


@pytest.fixture
async def server(database_url: str, kept: Kept) -> AsyncIterator[Server]:
    async with files_server(database_url, kept) as running:
        yield running


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
