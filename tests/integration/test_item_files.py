"""Items made of files: what is sent comes back to members of the workspace, what is refused leaves nothing."""

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from server.parts import RELAY, STORE
from server.rest.items_context import COOKIE
from server.rest.uploads import UPLOADS
from tests.support.app import Answer, Person, Server, running_server
from tests.support.boards import Board, Ears, brief, make_board
from tests.support.clients import authenticated, make_client
from tests.support.core_2026 import newcomer
from tests.support.interpreters import post_file, post_item
from tests.support.storages import Kept, rows, until_gone

MOST = 200_000  # bytes of a file
DATA = bytes(range(256)) * 700
OWN_ORIGIN = "https://app.example"


@pytest.fixture
async def server(database_url: str, kept: Kept) -> AsyncIterator[Server]:
    settings: dict[str, Any] = {"file_storage": kept.url, "max_file_size": MOST, "max_body_size": 100_000}
    settings |= {"housekeeping_interval": 0.05, "body_timeout": 0.5, "allowed_origins": OWN_ORIGIN}
    async with running_server(database_url=database_url, **settings) as running:
        yield running


async def fetch(who: Person, file_id: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
    headers = {"Authorization": who.token} | headers
    async with who.server.http.request(method, f"{who.server.url}/files/{file_id}", headers=headers) as response:
        return response.status, await response.read(), response.headers


@pytest.mark.parametrize("kept", ["disk", "s3"], indirect=True)
async def test_post_items_multipart_makes_an_item_of_the_file(board: Board, ears: Ears, kept: Kept) -> None:
    ann, server = board.ann, board.ann.server
    texts = {"collection_id": board.collection["id"].upper(), "name": "Überschrift"}
    answer = await post_file(ann, DATA, "Text/Plain; charset=utf-8", name="../a/brief ü.txt", texts=texts)
    item = answer.body
    assert (answer.status, item["name"], item["state"], item["column_id"]) == (
        201, "Überschrift", "uploaded", board.columns[0],
    )  # fmt: skip
    assert item == await ann.ok("GET", f"/items/{item['id']}") and len(kept.names()) == await rows(server) == 1
    heard = await ears.rest()
    assert heard[0] == ("item-updated", item) and brief(heard)[1:] == [("column-patched", board.columns[0], 1)]
    status, body, headers = await fetch(ann, item["original_file_id"])
    assert (status, body, headers["Content-Type"]) == (200, DATA, "text/plain")
    assert headers["Content-Disposition"] == "attachment; filename=\"brief _.txt\"; filename*=UTF-8''brief%20%C3%BC.txt"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Content-Security-Policy"] == "sandbox"
    named = await post_file(ann, b"x", name="/tmp/letter.txt", texts={"column_id": board.columns[1]})
    assert (named.body["name"], named.body["column_id"]) == ("letter.txt", board.columns[1])
    plain = await board.item()
    assert plain["original_file_id"] is None
    for each in (item, named.body):
        await ann.ok("DELETE", f"/items/{each['id']}")
        assert (await ann.ok("GET", f"/items/{each['id']}"))["original_file_id"] is None
        assert (await fetch(ann, each["original_file_id"]))[0] == 404
    await until_gone(server, kept)


async def test_files_end_with_what_their_items_are_in(board: Board, kept: Kept) -> None:
    ann = board.ann
    for path in (
        "/columns/{0.columns[0]}",
        "/workflows/{0.workflow[id]}",
        "/collections/{0.collection[id]}",
        "/api/workspaces/{0.workspace}/",
    ):
        board = await make_board(ann)
        file = (await post_item(board, DATA, "a/b"))["original_file_id"]
        assert (await fetch(ann, file))[:2] == (200, DATA)
        await ann.ok("DELETE", path.format(board))
        assert (await fetch(ann, file))[0] == 404, path
        await until_gone(ann.server, kept)


async def test_get_files_answers_ranges(board: Board) -> None:
    file = (await post_item(board, DATA, "a/b"))["original_file_id"]
    size = len(DATA)
    for asked, status, part, said in (
        ("bytes=0-9", 206, DATA[:10], f"bytes 0-9/{size}"),
        ("bytes=-7", 206, DATA[-7:], f"bytes {size - 7}-{size - 1}/{size}"),
        ("bytes=300-", 206, DATA[300:], f"bytes 300-{size - 1}/{size}"),
        ("bytes=0-1,5-6", 200, DATA, None),
        ("nonsense", 200, DATA, None),
    ):
        found, body, headers = await fetch(board.ann, file, Range=asked)
        assert (found, body, headers.get("Content-Range"), headers["Accept-Ranges"]) == (status, part, said, "bytes")
    found, body, headers = await fetch(board.ann, file, Range=f"bytes={size}-")
    assert (found, headers["Content-Range"], body[:12]) == (416, f"bytes */{size}", b'{"message":"')
    found, body, headers = await fetch(board.ann, file, "HEAD")
    assert (found, body, headers["Content-Length"]) == (200, b"", str(size))
    assert (await fetch(board.ann, file, **{"If-None-Match": headers["ETag"]}))[:2] == (304, b"")


async def test_get_files_is_for_members_by_every_way_to_bring_a_token(board: Board) -> None:
    ann, server = board.ann, board.ann.server
    eve, bob, client = await newcomer(server, "Eve"), await newcomer(server, "Bob"), await make_client(board)
    await ann.invite(bob, board.workspace)
    file = (await post_item(board, b"data", "a/b"))["original_file_id"]
    machine = await authenticated(server, client)
    for headers in (
        {"Authorization": ann.token},
        {"Authorization": f"Bearer {ann.token}"},
        {"Authorization": f"JWT {ann.token}"},
        {"Authorization": machine.token},
        {"Cookie": f"{COOKIE}={bob.token}"},
    ):
        assert (await server.request("GET", f"/files/{file}", headers=headers)).status == 200, headers
    for headers, status in (({}, 401), ({"Authorization": "x"}, 401), ({"Cookie": f"{COOKIE}=x"}, 401)):
        answer = await server.request("GET", f"/files/{file}", headers=headers)
        assert (answer.status, list(answer.body)) == (status, ["message"])
    assert (await fetch(eve, file))[0] == 403
    for unknown in ("0", "nonsense", "%00", file[:-1] + "!", "00000000-0000-4000-8000-000000000000"):
        answer = await ann.request("GET", f"/files/{unknown}")
        assert (answer.status, list(answer.body)) == (404, ["message"]), unknown
    users = await ann.ok("GET", f"/api/workspaces/users/workspace/{board.workspace}/")
    (seat,) = [each["id"] for each in users if each["user_id"] == bob.id]
    await ann.ok("DELETE", f"/api/workspaces/users/{seat}/")
    assert (await fetch(bob, file))[0] == 403


HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
WHOLE = HEAD + b"\r\nabc\r\n"
END = b"--x--\r\n"
FORM = {"Content-Type": "multipart/form-data; boundary=x"}
BAD = "The multipart body cannot be read."


def text(name: str, value: str) -> bytes:
    return f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


async def test_a_refused_upload_stores_tells_and_leaves_nothing(board: Board, ears: Ears, kept: Kept) -> None:
    ann, server = board.ann, board.ann.server
    eve, foreign = await newcomer(server, "Eve"), await make_board(ann)
    column = text("column_id", board.columns[0])
    large = HEAD + b"\r\n" + bytes(MOST + 1) + b"\r\n"
    token, cookie = {"Authorization": ann.token}, {"Cookie": f"{COOKIE}={ann.token}"}
    cases: dict[str, tuple[int, str, bytes, dict[str, str]]] = {
        "11 files": (400, "At most one file can be sent at once.", column + WHOLE * 11 + END, token),
        "two files": (400, "At most one file can be sent at once.", column + WHOLE * 2 + END, token),
        "an oversized file": (413, f"A file is larger than {MOST} bytes.", column + large + END, token),
        "an oversized body": (413, "The request body is too large.", column + large * 20 + END, token),
        "an empty file": (400, "The file is empty.", column + HEAD + b"\r\n\r\n" + END, token),
        "no file": (400, "The part file is missing.", column + END, token),
        "no end": (400, BAD, column + WHOLE, token),
        "cut in the file": (400, BAD, column + HEAD + b"\r\nabc", token),
        "no boundary in the body": (400, BAD, b"abc", token),
        "no boundary in the head": (400, BAD, WHOLE + END, token | {"Content-Type": "multipart/form-data"}),
        "another multipart": (415, "", WHOLE + END, token | {"Content-Type": "multipart/mixed; boundary=x"}),
        "no place": (400, "collection_id: ", WHOLE + END, token),
        "a long name": (400, "name: ", column + text("name", "x" * 256) + WHOLE + END, token),
        "an empty name": (400, "name: ", column + text("name", "") + WHOLE + END, token),
        "two names": (400, "name: ", column + text("name", "a") * 2 + WHOLE + END, token),
        "another collection's column": (
            400, "column_id: ", column + text("collection_id", foreign.collection["id"]) + WHOLE + END, token,
        ),
        "an unknown column": (404, "The column", text("column_id", "nonsense") + WHOLE + END, token),
        "no token": (401, "", column + WHOLE + END, {}),
        "a bad token": (401, "", column + WHOLE + END, {"Authorization": "Bearer x"}),
        "nobody's workspace": (403, "", column + WHOLE + END, {"Authorization": eve.token}),
        "a foreign page with the cookie": (403, "", column + WHOLE + END, cookie | {"Origin": "https://evil.example"}),
        "no page with the cookie": (403, "", column + WHOLE + END, cookie),
    }  # fmt: skip
    position = await server.log_position()
    for case, (status, words, body, headers) in cases.items():
        answer = await server.request("POST", "/items", data=io.BytesIO(body), headers=FORM | headers)
        assert (answer.status, list(answer.body)) == (status, ["message"]), (case, answer)
        assert answer.body["message"].startswith(words), (case, answer.body)
        assert (kept.names(), await rows(server)) == ([], 0), case
    await eve.workspace()
    answer = await eve.request("POST", "/items", data=column + WHOLE + END, headers=FORM)
    assert (answer.status, kept.names(), await rows(server)) == (403, [], 0), "a member of another workspace"
    assert await board.ann.ok("GET", "/items") == [] and await ears.rest() == []
    assert server.app[UPLOADS].running == 0
    told = [event.type for event in (await server.app[STORE].read_log(position, 100))[1]]
    assert "item-updated" not in told
    own = await server.request(
        "POST", "/items", data=column + WHOLE + END, headers=FORM | cookie | {"Origin": OWN_ORIGIN}
    )
    assert (own.status, brief(await ears.rest())[0]) == (201, ("item-updated", own.body["id"]))


async def test_a_column_that_goes_during_the_upload_refuses_it(board: Board, ears: Ears, kept: Kept) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield text("column_id", board.columns[1]) + WHOLE
        begun.set()
        await go_on.wait()
        yield END

    sending = asyncio.create_task(board.ann.request("POST", "/items", data=body(), headers=FORM))
    await begun.wait()
    await board.ann.ok("DELETE", f"/columns/{board.columns[1]}")
    go_on.set()
    answer: Answer = await sending
    assert answer.status == 404 and await ears.rest() == []
    assert kept.names() == [] and await rows(board.ann.server) == 0


async def test_an_upload_reaches_everybody_but_the_socket_that_is_named(board: Board, ears: Ears) -> None:
    headers = {"WebSocketId": ears.listener.id}
    answer = await post_file(board.ann, b"x", "a/b", texts={"column_id": board.columns[0]}, headers=headers)
    assert [each["type"] for each in [await ears.raw.next(), await ears.raw.next()]] == [
        "item-updated",
        "column-patched",
    ]
    await board.ann.server.app[RELAY].reached(await board.position())
    assert answer.status == 201 and await ears.listener.rest() == []


async def test_a_file_that_the_storage_lost_is_404(board: Board, kept: Kept) -> None:
    file = (await post_item(board, b"x", "a/b"))["original_file_id"]
    kept.lose(kept.names()[0])
    assert (await fetch(board.ann, file))[0] == 404
