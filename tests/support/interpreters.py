"""Interpreters of another package, installed for a test, and documents on their way through a server."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.app import PATIENCE, Answer, Person
from tests.support.boards import Board
from tests.support.processes import wait_until

MODULE = '''
import os, subprocess, time
from pathlib import Path
from server.interpretation.documents import Corner, Interpretation, Reading, Unreadable

def letter(document):
    """Each line is a value: `Name=text`, or `Name[row]=text`."""
    fields = {field.name: field for field in document.fields}
    readings = []
    for line in document.data.decode().splitlines():
        name, _, text = line.partition("=")
        name, _, row = name.partition("[")
        field_id = fields[name].id if name in fields else name
        readings.append(Reading(field_id=field_id, value=text, column_index=int(row[:-1]) if row else None,
                                confidence=0.5, location=[Corner(x=0.1, y=0.2)] * 4, algorithm="letter"))
    return Interpretation(values=readings, page_count=1, document_type="LETTER",
                          status_messages=[document.name, os.environ.get("LETTERS_KEY", ""),
                                           os.environ.get("SECRET_KEY", "none")])

def broken(document):
    raise KeyError(document.data.decode())

def refusing(document):
    raise Unreadable("It is written in green ink.")

def odd(document):
    return {"values": "many"}

def dying(document):
    os.kill(os.getpid(), 9)

def slow(document):
    subprocess.Popen(["sleep", "98765"])
    time.sleep(3600)

def gated(document):
    """Waits for the file that the first line names, having made the one that the second line names."""
    gate, sign, rest = document.data.decode().split("\\n", 2)
    with open(sign, "a") as file:
        file.write("x")
    while not Path(gate).exists():
        time.sleep(0.005)
    return letter(type(document)(document.name, document.content_type, rest.encode(), document.fields))
'''
NAMES = ("letter", "broken", "refusing", "odd", "dying", "slow", "gated")


def install_interpreters(folder: Path) -> Path:
    """A package whose interpreters take the types `text/x-letter`, `text/x-broken` and so on; it still has to be put
    on the path."""
    (folder / "letters.py").write_text(MODULE)
    info = folder / "letters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1.0\n")
    entries = "\n".join(f"text/x-{name} = letters:{name}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[roomcast.interpreters]\n{entries}\n")
    return folder


async def post_file(
    who: Person, data: bytes, kind: str = "", *, name: str = "invoice.pdf", texts: dict[str, str], **more: Any
) -> Answer:
    """`POST /items` of one file."""
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    form.add_field("file", data, filename=name, content_type=kind or None)
    for key, text in texts.items():
        form.add_field(key, text)
    return await who.request("POST", "/items", data=form, **more)


async def post_item(board: Board, data: bytes, kind: str = "application/pdf", **texts: str) -> dict[str, Any]:
    """An item made of a file."""
    answer = await post_file(board.ann, data, kind, texts={"column_id": board.columns[0]} | texts)
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.body
    return made


async def until_state(board: Board, item_id: str, *states: str) -> dict[str, Any]:
    """The item once it is in one of the states."""
    async with asyncio.timeout(PATIENCE):
        while (shown := await board.ann.ok("GET", f"/items/{item_id}"))["state"] not in states:
            await asyncio.sleep(0.01)
    item: dict[str, Any] = shown
    return item


async def until_exists(path: Path, size: int = 0) -> None:
    """Waits for a file of so many bytes."""
    await asyncio.to_thread(wait_until, lambda: path.exists() and path.stat().st_size >= size, PATIENCE, str(path))
