"""Paths, headers and bodies that no client library sends: refused as the client's error, with nothing stored."""

import asyncio
import gzip
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from server.rest.context import READINESS
from tests.security.raw_http import exchange, sending, statuses
from tests.security.world import World, make_world
from tests.support.app import PATIENCE, Person, Server, running_server
from tests.support.core_2026 import newcomer

pytestmark = pytest.mark.asyncio(loop_scope="module")
LONG = b"a" * 100_000
BODY = b'{"name": "odd"}'
CHUNKED = b"f\r\n" + BODY + b"\r\n0\r\n\r\n"
ENDS = b"Transfer-Encoding: chunked\r\n\r\n"

PATHS = {
    "encoded slashes": b"/api%2Fworkspaces%2F",
    "an encoded slash in an id": b"/api/applications/1%2F2/",
    "dot segments": b"/api/x/../workspaces/",
    "dot segments behind an endpoint": b"/api/1/ce/../../workspaces/",
    "encoded dot segments": b"/api/1/ce/%2e%2e/%2e%2e/workspaces/",
    "dot segments above the root": b"/../../../../etc/passwd",
    "encoded dot segments above the root": b"/%2e%2e%2f%2e%2e%2fetc/passwd",
    "backslashes": b"\\api\\workspaces\\",
    "two slashes": b"/api//workspaces/",
    "a NUL": b"/api/workspaces/\0/",
    "an encoded NUL": b"/items/%00",
    "an encoded NUL behind an endpoint": b"/api/1/ce/endpoint%00",
    "no UTF-8": b"/items/\xff\xfe",
    "encoded, no UTF-8": b"/items/%FF%FE",
    "an encoded surrogate": b"/items/%ED%A0%80",
    "a half escape": b"/items/%",
    "digits of another script": b"/api/applications/%D9%A1/",
    "a negative id": b"/api/applications/-1/",
    "an id of 5,000 digits": b"/api/applications/" + b"9" * 5000 + b"/",
    "a space": b"/api/work spaces/",
    "a very long path": b"/items/" + LONG,
    "a very long query": b"/api/workspaces/?" + LONG,
    "no path": b"",
    "no slash": b"api/workspaces/",
    "a star": b"*",
    "a URL with half a host": b"http://[::1/api/workspaces/",
    "a URL with an impossible port": b"http://a:99999/api/workspaces/",
}
METHODS = {
    "an unknown method": b"FOO",
    "TRACE": b"TRACE",
    "CONNECT": b"CONNECT",
    "PROPFIND": b"PROPFIND",
    "a method in lower case": b"get",
    "a method of two words": b"G T",
    "a method with NUL": b"G\0T",
    "no method": b"",
    "a very long method": LONG,
    "the preface of HTTP/2": b"PRI",
}
VERSIONS = [
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/9.9",
    b"HTTP/1.",
    b"HTTP/1.1.1",
    b"http/1.1",
    b"HTTP/11.1",
    pytest.param(b"", id="none"),
]
HEADERS = {
    "two hosts": b"Host: b",
    "two authorizations": b"Authorization: JWT x",
    "two origins": b"Origin: https://a.example\r\nOrigin: https://b.example",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 0",
    "two types": b"Content-Type: text/plain\r\nContent-Type: application/json",
    "a space before the colon": b"X : a",
    "a folded line": b"X: a\r\n b",
    "no colon": b"X",
    "no name": b": a",
    "NUL in a value": b"X: a\0b",
    "a lone CR": b"X: a\rb",
    "a lone LF": b"X: a\nb",
    "NUL in a cookie": b"Cookie: access_token=\0",
    "no ASCII in a name": b"X\xff: a",
    "a very long header": b"X: " + LONG,
    "20,000 headers": b"\r\n".join(b"X%d: a" % number for number in range(20_000)),
    "an unknown expectation": b"Expect: nonsense",
    "no JSON accepted": b"Accept: nonsense",
}
HOSTS = [b"a b", b"[::1", b"a:b:c", b"a/../b", b"\xff", b"a@b", b'"><script>']
BODIES = {
    "a negative length": b"Content-Length: -1\r\n\r\n" + BODY,
    "a length with an exponent": b"Content-Length: 1e1\r\n\r\n" + BODY,
    "a length with a sign": b"Content-Length: +15\r\n\r\n" + BODY,
    "a hexadecimal length": b"Content-Length: 0xf\r\n\r\n" + BODY,
    "a list of lengths": b"Content-Length: 15, 15\r\n\r\n" + BODY,
    "no digits in the length": b"Content-Length: \r\n\r\n" + BODY,
    "a length of 23 digits": b"Content-Length: 99999999999999999999999\r\n\r\n" + BODY,
    "two lengths": b"Content-Length: 15\r\nContent-Length: 16\r\n\r\n" + BODY,
    "a length and chunks": b"Content-Length: 5\r\n" + ENDS + CHUNKED,
    "a length of one byte less": b"Content-Length: 14\r\n\r\n" + BODY,
    "chunks without a size": ENDS + BODY,
    "a chunk of no number": ENDS + b"zz\r\n" + BODY,
    "a chunk of negative size": ENDS + b"-f\r\n" + BODY,
    "a chunk of size 0x": ENDS + b"0xf\r\n" + BODY,
    "a chunk of endless size": ENDS + b"F" * 40 + b"\r\n" + BODY,
    "a chunk longer than its size": ENDS + b"f\r\n" + BODY + b"xx0\r\n\r\n",
    "chunks that end with LF": ENDS + b"f\n" + BODY + b"\n0\n\n",
    "a very long trailer": ENDS + CHUNKED[:-2] + b"X: " + LONG + b"\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKED,
    "chunked but not last": b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKED,
    "compressed in transfer": b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "an unknown transfer encoding": b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKED,
    "an unknown content encoding": b"Content-Encoding: nonsense\r\nContent-Length: 15\r\n\r\n" + BODY,
    "gzip that is none": b"Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\n" + BODY,
}
METACHARACTERS = """x'; DROP TABLE item;-- "`\\ %_*?$1 :a {0} %s %(a)s \x1a ]]> \u02bc OR 1=1 /*"""
UPLOAD_NAMES = {  # and what is left of them
    "../../evil.txt": "evil.txt",
    "..\\..\\evil.txt": "....evil.txt",  # a quoted pair stands for its second character
    "..\\\\..\\\\evil.txt": "evil.txt",
    "/tmp/evil.txt": "evil.txt",
    "evil\0.txt": "evil.txt",
    "%2e%2e%2fevil.txt": "%2e%2e%2fevil.txt",
    "..": "file",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders above that in which the server keeps what it stores."""
    made = tmp_path_factory.mktemp("odd")
    (made / "data" / "deep").mkdir(parents=True)
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(folder: Path) -> AsyncIterator[Server]:
    """One server for all, since each test proves that nothing has changed."""
    async with running_server(database_url=f"sqlite:///{folder}/data/deep/odd.sqlite3") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(server: Server) -> Person:
    return await newcomer(server, "Ann")


async def is_refused(ann: Person, request: bytes) -> None:
    """Every answer is an error of the client, nothing is stored, and the server goes on."""
    before = await ann.server.log_position()
    answer = await exchange(ann.server, request)
    found = statuses(answer)
    assert found and all(400 <= status < 500 for status in found), answer[:300]
    assert await ann.server.log_position() == before
    assert (await ann.request("GET", "/api/workspaces/")).status == 200


def ask(
    ann: Person,
    path: bytes = b"/api/workspaces/",
    method: bytes = b"GET",
    version: bytes = b"HTTP/1.1",
    host: bytes = b"a",
    more: bytes = b"\r\n",
) -> bytes:
    """A request of a user, which ends its connection."""
    known = b"\r\nConnection: close\r\nAuthorization: JWT " + ann.token.encode() + b"\r\n"
    return method + b" " + path + b" " + version + b"\r\nHost: " + host + known + more


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
async def test_an_odd_path(ann: Person, path: bytes) -> None:
    """REST: a path that no client should send."""
    await is_refused(ann, ask(ann, path))


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
async def test_a_method_that_does_not_exist(ann: Person, method: bytes) -> None:
    """REST: a method that does not exist here."""
    await is_refused(ann, ask(ann, method=method))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_version_that_is_not_spoken(ann: Person, version: bytes) -> None:
    """REST: another version of HTTP than 1.0 and 1.1."""
    await is_refused(ann, ask(ann, version=version))


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
async def test_an_odd_header(ann: Person, header: bytes) -> None:
    """REST: headers that are repeated, malformed or huge."""
    await is_refused(ann, ask(ann, more=header + b"\r\n\r\n"))


@pytest.mark.parametrize("host", HOSTS)
async def test_a_host_that_is_none(ann: Person, host: bytes) -> None:
    """REST: a host that could not stand in the links of an answer."""
    await is_refused(ann, ask(ann, host=host))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_can_be_read_in_two_ways(ann: Person, body: bytes) -> None:
    """REST: lengths, chunks and encodings that two servers may understand differently."""
    await is_refused(ann, ask(ann, method=b"POST", more=b"Content-Type: application/json\r\n" + body))


async def test_http_1_0_without_a_host_is_answered(server: Server) -> None:
    """REST: HTTP/1.0, without a host."""
    assert statuses(await exchange(server, b"GET /healthz HTTP/1.0\r\n\r\n")) == [200]


async def test_a_body_announced_as_too_large_is_refused_before_it_comes(ann: Person) -> None:
    """REST: a header that announces 1 GB."""
    announced = b"Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
    async with sending(ann.server, ask(ann, method=b"POST", more=announced)) as reader:
        assert statuses(await reader.readuntil(b"\r\n\r\n")) == [413]


async def test_a_compressed_bomb_is_refused(ann: Person) -> None:
    """REST: a body of 64 kB that unpacks to 64 MB."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bomb = await asyncio.to_thread(gzip.compress, b" " * (64 << 20))
    answer = await ann.request("POST", "/api/workspaces/", data=bomb, headers=headers)
    assert answer.status == 413, answer


async def test_a_body_in_pieces_of_one_byte_is_read(ann: Person) -> None:
    """REST: a body in 20,000 chunks of one byte holds nobody up."""
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"name": "' + b"a" * 20_000 + b'"}') + b"0\r\n\r\n"
    await is_refused(ann, ask(ann, method=b"POST", more=b"Content-Type: application/json\r\n" + ENDS + pieces))


async def test_pipelined_requests_are_answered_in_their_order(ann: Person) -> None:
    """REST: 500 requests at once on one connection."""
    paths = [b"/healthz", b"/nothing"] * 249 + [b"/nothing"]
    pipeline = b"".join(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n" for path in paths)
    found = statuses(await exchange(ann.server, pipeline + ask(ann)))
    assert found == [200, 404] * 249 + [404, 200]


async def test_a_request_within_a_body_behind_an_upgrade_is_not_answered(ann: Person) -> None:
    """REST: a request hidden in the body of one that asks for a WebSocket where there is none."""
    hidden = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(hidden)
    first = b"GET /api/workspaces/ HTTP/1.1\r\nHost: a\r\n" + upgrade + hidden
    answer = await exchange(ann.server, first + ask(ann, b"/nothing"))
    assert statuses(answer) == [401, 404], answer


async def test_odd_cookies_do_not_fill_the_log(ann: Person, caplog: pytest.LogCaptureFixture) -> None:
    """REST: 500 cookies whose names are none."""
    cookies = "; ".join(f"(odd){number}=x" for number in range(500))
    answer = await ann.server.request("GET", "/workspaces", headers={"Cookie": cookies})
    assert answer.status == 401, answer
    assert len([record for record in caplog.records if record.levelno >= logging.INFO]) < 5


async def test_a_client_that_leaves_within_its_body(ann: Person, caplog: pytest.LogCaptureFixture) -> None:
    """REST: a body that ends before its length, of a client that leaves."""
    half = ask(ann, method=b"POST", more=b"Content-Type: application/json\r\nContent-Length: 16\r\n\r\n" + BODY)
    before = await ann.server.log_position()
    readiness = ann.server.app[READINESS]
    async with sending(ann.server, half), asyncio.timeout(PATIENCE):
        while not readiness.running:
            await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        await readiness.idle()
    assert await ann.server.log_position() == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_sql_metacharacters_in_every_string(ann: Person) -> None:
    """REST: SQL metacharacters in every string."""
    world = await make_world(ann)
    document = (await ann.server.request("GET", "/api/schema.json")).body
    asked = [
        (method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    for method, path, operation in asked:
        if method != "delete" and not path.endswith("/stream"):
            await send_metacharacters(ann, method, path, operation, document, world)
    workspace = await ann.workspace(METACHARACTERS)
    shown = {each["id"]: each["name"] for each in await ann.ok("GET", "/api/workspaces/")}
    assert shown[workspace] == METACHARACTERS.strip()
    found, rows = await find_rows(ann, world, "%"), await find_rows(ann, world, "")
    assert 0 < len(found) < len(rows)
    assert all(METACHARACTERS.strip() in row.values() for row in found), "a wildcard was taken for one"


async def send_metacharacters(ann: Person, method: str, path: str, operation: Any, document: Any, world: World) -> None:
    """One operation, with them in its query, its body and the strings of its path."""
    query = {each["name"]: METACHARACTERS for each in operation["parameters"] if each["in"] == "query"}
    names = {each["name"]: "odd'--" for each in operation["parameters"] if each["in"] == "path"}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    model = document["components"]["schemas"].get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    fields = model.get("properties", {"field_1": {"type": "string"}})
    body = {name: METACHARACTERS if is_text(field) else world.get(name) for name, field in fields.items()}
    where = path.format_map(names | world)
    for body_sent, query_sent in ((body if content else None, {}), (None, query)):
        answer = await ann.request(method.upper(), where, body_sent, params=query_sent)
        assert answer.status < 500, (method, where, answer)


def is_text(field: Any) -> bool:
    return any(each.get("type") == "string" for each in (field, *field.get("anyOf", ())))


async def find_rows(ann: Person, world: World, text: str) -> Any:
    answer = await ann.request("GET", f"/api/database/rows/table/{world['table_id']}/", params={"search": text})
    assert answer.status == 200, answer
    return answer.body["results"]


@pytest.mark.parametrize(("name", "left"), UPLOAD_NAMES.items(), ids=range(len(UPLOAD_NAMES)))
async def test_an_upload_whose_name_leads_elsewhere(ann: Person, folder: Path, name: str, left: str) -> None:
    """REST: an upload whose name has `../`: refused, or known by the last part of its name and stored under another."""
    world = await make_world(ann)
    for path, where in (
        (f"/api/1/ce/{world['name']}?key={world['key']}", {}),
        ("/items", {"column_id": world["column_id"]}),
        ("/api/user-files/upload-file/", {}),
    ):
        stored, others = files_in(folder)
        before = await ann.server.log_position()
        parts = [f'Content-Disposition: form-data; name="{key}"\r\n\r\n{text}' for key, text in where.items()]
        parts.append(f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nevil')
        body = "".join(f"--b\r\n{part}\r\n" for part in parts) + "--b--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await ann.request("POST", path, headers=headers, data=body.encode())
        now_stored, now_others = files_in(folder)
        new = now_stored - stored
        assert now_others == others
        if answer.status in (400, 404, 415):
            assert (new, await ann.server.log_position()) == (set(), before), path
            continue
        assert answer.status == (201 if path == "/items" else 200), answer
        assert answer.body.get("name", answer.body.get("data", {}).get("fileName")) == left
        (file,) = new
        assert re.fullmatch("[0-9a-f]{32}", file.name) and await asyncio.to_thread(file.read_bytes) == b"evil"


def files_in(folder: Path) -> tuple[set[Path], set[Path]]:
    """What lies in the storage, and everything else."""
    storage = folder / "data" / "deep" / "odd.sqlite3.files"
    found = {path for path in folder.rglob("*") if path != storage}
    stored = {path for path in found if path.is_relative_to(storage)}
    return stored, found - stored
