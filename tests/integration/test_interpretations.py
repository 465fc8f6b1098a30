"""Uploaded documents and what becomes of them: each state is told once and in order, whatever happens meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from server.actions import interpretations
from server.actions.interpretations import BROKEN_OFF, MOST_BEGUN, WAITING, Hold, Waiting
from server.interpretation.pdf import NO_TEXT
from server.parts import INTERPRETATIONS, STORE
from server.rest.files import FILES
from server.store import leases
from server.store.leases import CLOCK
from server.store.models import Item
from server.store.sql import run
from server.store.transaction import Transaction
from tests.support.app import PATIENCE, Server, running_server
from tests.support.boards import Board, Ears, Heard, make_board
from tests.support.core_2026 import newcomer
from tests.support.interpreters import install_interpreters, post_item, until_exists, until_state
from tests.support.pdfs import bomb, encrypted, pdf

INVOICE = pdf(["ACME Ltd", "Invoice Number: INV-17", "Invoice Date: 1.11.2026", "Total 1 234,50"], ["IBAN", "nothing"])


# What does not touch the database is tried on one of them.
ONCE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def interpreters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Interpreters of others are installed, with a variable for them and one of ours; the folder is theirs too."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(install_interpreters(folder)))
    monkeypatch.setenv("LETTERS_KEY", "a key")
    monkeypatch.setenv("SECRET_KEY", "a-secret-key-that-no-interpreter-sees")
    return folder


@pytest.fixture
async def server(database_url: str, tmp_path: Path) -> AsyncIterator[Server]:
    settings: dict[str, Any] = {"file_storage": (tmp_path / "files").as_uri()}
    settings |= {"interpretation_timeout": 2.0, "interpretation_interval": 0.05, "interpretation_workers": 2}
    async with running_server(database_url=database_url, **settings) as running:
        yield running


def states(heard: list[Heard], item_id: str) -> list[str]:
    """What was told of an item, state by state."""
    return [told["state"] for name, told in heard if name == "item-updated" and told["id"] == item_id]


async def gate(board: Board, folder: Path, number: int = 0, **values: str) -> tuple[dict[str, Any], Path]:
    """An item whose interpreter has begun and waits; the file that lets it go on."""
    sign, key = folder / f"sign-{number}", folder / f"gate-{number}"
    lines = [str(key), str(sign), *(f"{name}={text}" for name, text in values.items())]
    item = await post_item(board, "\n".join([*lines, ""]).encode(), "text/x-gated")
    await until_exists(sign, 1)
    return item, key


async def idle(board: Board) -> None:
    """Waits until nothing is interpreted any more, and what was told has been heard."""
    async with asyncio.timeout(PATIENCE):
        while len(board.ann.server.app[INTERPRETATIONS]):
            await asyncio.sleep(0.005)


async def test_a_pdf_goes_from_uploaded_over_interpreting_to_interpreted(board: Board, ears: Ears) -> None:
    fields = [
        await board.field("Invoice number"),
        await board.field("Invoice date", "Date"),
        await board.field("Total", "Amount"),
        await board.field("Reference"),
    ]
    item = await post_item(board, INVOICE)
    assert (item["state"], item["values"], item["page_count"]) == ("uploaded", [], 0)
    shown = await until_state(board, item["id"], "interpreted", "error")
    found = {value["field_name"]: value for value in shown["values"]}
    assert {name: (value["value"], value["valid"]) for name, value in found.items()} == {
        "Invoice number": ("INV-17", True), "Invoice date": ("2026-11-01", True), "Total": ("1234.50", True),
    }  # fmt: skip
    total = found["Total"]
    assert (total["extracted"], total["count"], total["page_number"], total["algorithm"]) == (
        "1 234,50",
        1,
        1,
        "pdf-text",
    )
    assert len(total["location"]) == 4 and 0 < total["confidence"] <= 1
    assert (shown["page_count"], shown["error"], shown["status_messages"]) == (2, None, [])
    assert shown["updated_at"] > item["updated_at"] and shown["original_file_id"] == item["original_file_id"]
    heard = await ears.rest()
    column = {"id": board.columns[0], "subscribed_items": 1}
    assert [name for name, _ in heard] == ["item-updated", "column-patched", "item-updated", "item-updated"]
    assert heard[0][1] == item and heard[1][1] == heard[1][1] | column and heard[3][1] == shown
    assert states(heard, item["id"]) == ["uploaded", "interpreting", "interpreted"]
    assert {field["id"] for field in fields[:3]} == {value["field_id"] for value in shown["values"]}


@ONCE
async def test_what_cannot_be_read_is_an_error_with_its_reason(
    board: Board, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    for data, words in (
        (b"no pdf at all", "The document is no PDF that can be read."),
        (INVOICE[:300], "The document is no PDF that can be read."),
        (encrypted(INVOICE, "secret"), "The document is encrypted."),
        (bomb(60_000_000), "The evaluation "),
    ):
        item = await post_item(board, data)
        shown = await until_state(board, item["id"], "error", "interpreted")
        assert (shown["state"], shown["values"]) == ("error", []), words
        assert shown["error"].startswith(words)
        assert states(await ears.rest(), item["id"]) == ["uploaded", "interpreting", "error"]
        assert item["id"] in caplog.text
    shown = await until_state(board, (await post_item(board, pdf([]), "")).get("id", ""), "interpreted")
    assert (shown["status_messages"], shown["page_count"]) == ([NO_TEXT], 1)
    opened = await until_state(board, (await post_item(board, encrypted(INVOICE, ""))).get("id", ""), "interpreted")
    assert opened["page_count"] == 2


@ONCE
async def test_files_that_nobody_interprets_stay_uploaded(board: Board, ears: Ears) -> None:
    image = await post_item(board, b"\x89PNG\r\n\x1a\n", "image/png")
    plain = await board.item()
    last = await post_item(board, INVOICE)
    await until_state(board, last["id"], "interpreted")
    await idle(board)
    heard = await ears.rest()
    assert states(heard, image["id"]) == states(heard, plain["id"]) == ["uploaded"]


async def test_an_interpreter_of_another_package(interpreters: Path, board: Board, ears: Ears) -> None:
    """Its own environment, rows of line items, values that the field's validator does not take."""
    number, day = await board.field("Number"), await board.field("Day", "Date")
    item = await post_item(
        board, b"Number[0]=a\nNumber[1]=b\nDay=nonsense\nunknown=x", "text/x-letter", name="A letter"
    )
    shown = await until_state(board, item["id"], "interpreted", "error")
    assert (shown["state"], shown["name"], shown["document_type"]) == ("interpreted", "A letter", "LETTER")
    assert shown["status_messages"] == ["invoice.pdf", "a key", "none"]
    assert [(each["field_id"], each["column_index"], each["value"], each["valid"]) for each in shown["values"]] == [
        (number["id"], 0, "a", True), (number["id"], 1, "b", True), (day["id"], None, "nonsense", False),
    ]  # fmt: skip
    assert shown["values"][0]["location"] == [{"x": 0.1, "y": 0.2}] * 4
    assert states(await ears.rest(), item["id"]) == ["uploaded", "interpreting", "interpreted"]


@ONCE
async def test_an_interpreter_that_fails_leads_to_error_with_a_log_line(
    interpreters: Path, board: Board, ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, reason in (
        ("broken", "The evaluation failed."),
        ("refusing", "It is written in green ink."),
        ("odd", "The evaluation failed."),
        ("dying", "The evaluation failed."),
        ("slow", "The evaluation took longer than 2 s."),
    ):
        caplog.clear()
        item = await post_item(board, b"confidential", f"text/x-{kind}")
        shown = await until_state(board, item["id"], "error", "interpreted")
        assert (shown["state"], shown["error"]) == ("error", reason), kind
        assert states(await ears.rest(), item["id"]) == ["uploaded", "interpreting", "error"]
        lines = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
        assert any(item["id"] in line and reason in line for line in lines), kind
        assert "confidential" not in caplog.text
    assert not [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "98765"]]
    item = await post_item(board, b"x=", "text/x-letter")
    await until_state(board, item["id"], "interpreted")


@ONCE
async def test_an_error_can_be_tried_again(interpreters: Path, board: Board, ears: Ears) -> None:
    item = await post_item(board, b"x", "text/x-refusing")
    await until_state(board, item["id"], "error")
    again = await board.ann.ok("PATCH", f"/items/{item['id']}", {"state": "uploaded"})
    assert again["state"] == "uploaded"
    await until_state(board, item["id"], "error")
    told = ["uploaded", "interpreting", "error"] * 2
    async with asyncio.timeout(PATIENCE):
        heard = await ears.rest()
        while len(states(heard, item["id"])) < len(told):
            heard += await ears.rest()
    assert states(heard, item["id"]) == told


async def test_what_happens_to_an_item_meanwhile_holds(interpreters: Path, board: Board, ears: Ears) -> None:
    """Finalized, deleted, rejected, or its workflow gone: what was read is dropped, and nothing more is told."""
    await board.field("Name")
    ann = board.ann
    for number, (method, path, body, left) in enumerate(
        (
            ("POST", "/items/{}/finalize", {}, "finalized"),
            ("DELETE", "/items/{}", None, "interpreting"),
            ("PATCH", "/items/{}", {"state": "rejected"}, "rejected"),
        )
    ):
        item, key = await gate(board, interpreters, number, Name="read")
        await ann.ok(method, path.format(item["id"]), body)
        told = await ears.rest()
        key.touch()
        await idle(board)
        shown = await ann.ok("GET", f"/items/{item['id']}")
        assert (shown["state"], shown["values"], shown["deleted"]) == (left, [], method == "DELETE")
        assert states(told, item["id"])[:2] == ["uploaded", "interpreting"] and await ears.rest() == []
    rows = await ann.server.app[STORE].read(lambda tx: run(tx, "SELECT count(*) FROM lease WHERE name LIKE ?",
                                                           ("interpretation:%",)).fetchone()[0])  # fmt: skip
    assert rows == 0


async def test_a_locked_item_waits_until_it_is_unlocked(interpreters: Path, board: Board, ears: Ears) -> None:
    await board.field("Name")
    ann = board.ann
    item, key = await gate(board, interpreters, Name="read")
    await ann.ok("PATCH", f"/items/{item['id']}", {"locked_by_user_id": ann.id})
    key.touch()
    await idle(board)
    shown = await ann.ok("GET", f"/items/{item['id']}")
    assert (shown["state"], shown["values"]) == ("interpreting", [])
    await ann.ok("PATCH", f"/items/{item['id']}", {"locked_by_user_id": None})
    shown = await until_state(board, item["id"], "interpreted")
    assert [value["value"] for value in shown["values"]] == ["read"]
    locks = [told["locked_by_user_id"] for name, told in await ears.rest() if name == "item-updated"]
    assert locks == [None, None, ann.id, None, None]


async def test_values_that_are_there_stay_and_fields_that_went_are_left_out(interpreters: Path, board: Board) -> None:
    typed, read, gone = [await board.field(name) for name in ("Typed", "Read", "Gone")]
    item, key = await gate(board, interpreters, Typed="machine", Read="machine", Gone="machine")
    values = [{"field_id": typed["id"], "value": "person"}]
    await board.ann.ok("PUT", f"/items/{item['id']}/values", values)
    await board.ann.ok("DELETE", f"/fields/{gone['id']}")
    moved = await board.ann.ok("PATCH", f"/items/{item['id']}", {"column_id": board.columns[1], "name": "moved"})
    assert moved["state"] == "interpreting"
    key.touch()
    shown = await until_state(board, item["id"], "interpreted")
    assert {value["field_name"]: value["value"] for value in shown["values"]} == {"Typed": "person", "Read": "machine"}
    assert (shown["column_id"], shown["name"]) == (board.columns[1], "moved")
    assert read["id"] in {value["field_id"] for value in shown["values"]}


@ONCE
async def test_a_missing_file_is_an_error_and_a_busy_server_is_none(
    board: Board, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, service = board.ann.server.app[FILES], board.ann.server.app[INTERPRETATIONS]

    def lost(file: Any, start: int, end: int) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(files, "read", lost)
    shown = await until_state(board, (await post_item(board, INVOICE))["id"], "error")
    assert shown["error"] == "The document is no longer there."
    monkeypatch.undo()
    monkeypatch.setattr("server.interpretation.service.PAUSE", 0.05)
    for pool in service.sandbox.pools.values():
        monkeypatch.setattr(pool, "stopping", True)
    item = await post_item(board, INVOICE)
    async with asyncio.timeout(PATIENCE):
        while caplog.text.count(f"item {item['id']} waits") <= MOST_BEGUN:
            await asyncio.sleep(0.01)
    monkeypatch.undo()
    shown = await until_state(board, item["id"], "interpreted", "error")
    assert shown["state"] == "interpreted"


async def test_a_document_that_ends_processes_is_given_up(database_url: str, tmp_path: Path) -> None:
    """Leases that run out, as of processes that were killed; then it is told, once."""
    storage = (tmp_path / "files").as_uri()
    async with running_server(database_url=database_url, file_storage=storage, interpretation_workers=0) as server:
        board = await make_board(await newcomer(server, "Ann"))
        item = await post_item(board, INVOICE)
        waiting, store = Waiting(item["id"], board.workspace), server.app[STORE]

        async def look() -> list[Waiting]:
            return await store.read(interpretations.find_waiting, types=["application/pdf", "a/b"], most=5)

        for number in range(MOST_BEGUN):
            assert await look() == [waiting]
            job = await store.write(interpretations.begin_interpretation, waiting, Hold(f"p{number}", 0.0))
            assert job is not None and job.item_id == item["id"]
        late = Hold("p0", 60.0)
        assert await store.write(interpretations.begin_interpretation, waiting, Hold("last", 60.0)) is None
        assert not await store.write(interpretations.fail_interpretation, job, late, reason="late")
        shown = await board.ann.ok("GET", f"/items/{item['id']}")
        assert (shown["state"], shown["error"], await look()) == ("error", BROKEN_OFF, [])
        # whoever asks for it again has it begun anew; who holds it keeps others out, and gives it back
        await board.ann.ok("PATCH", f"/items/{item['id']}", {"state": "uploaded"})
        job = await store.write(interpretations.begin_interpretation, waiting, Hold("a", 60.0))
        assert job is not None and await look() == []
        assert await store.write(interpretations.begin_interpretation, waiting, Hold("b", 60.0)) is None
        assert not await store.write(interpretations.fail_interpretation, job, Hold("b", 60.0), reason="not mine")
        assert await store.write(leases.forget) == 0
        await store.write(interpretations.give_back, job, Hold("a", 60.0))
        assert await look() == [waiting]
        await store.write(leases.claim, "nobody's", holder="a", seconds=-1.0)
        assert await store.write(leases.forget) == 1
        assert (await store.read(lambda tx: Item.get_by_id(item["id"]).interpretations)) == 0


async def test_what_a_process_that_is_stopped_had_begun_goes_on_at_once(
    interpreters: Path, database_url: str, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"file_storage": (tmp_path / "files").as_uri(), "interpretation_timeout": 3600.0}
    async with running_server(database_url=database_url, **settings) as server:
        board = await make_board(await newcomer(server, "Ann"))
        item, key = await gate(board, interpreters)
    key.touch()
    async with running_server(database_url=database_url, **settings) as server:
        board.ann.server = server
        await until_state(board, item["id"], "interpreted")
        assert await server.app[STORE].read(lambda tx: Item.get_by_id(item["id"]).interpretations) == 0


async def test_waiting_documents_are_found_by_their_index(server: Server) -> None:
    def plan(tx: Transaction) -> str:
        if tx.postgres:
            run(tx, "SET LOCAL enable_seqscan = off")
            run(tx, "SET LOCAL enable_sort = off")
        sql = WAITING.format(clock=CLOCK[tx.postgres])
        explain = "EXPLAIN " if tx.postgres else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row) for row in run(tx, explain + sql, ("a/b", "x", 5)).fetchall())

    found = await server.app[STORE].read(plan)
    assert "item_waiting" in found and "TEMP B-TREE" not in found, found
