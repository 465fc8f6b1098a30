"""The text of PDF documents, and where on its page it stands: a task for a confined worker process.

A worker opens no file after its start, so everything is imported here that pypdf, or a document by the name of an
encoding, may import when it is first needed.
"""

import encodings
import io
import logging
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType
from typing import Any, NamedTuple

import pypdf
from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

from server.interpretation.documents import Corner, Document, Interpretation, Reading, Unreadable
from server.interpretation.filling import Line, fill
from server.interpretation.tasks import Head, interpret

MAX_PAGES = 100  # whose text is read
MAX_TEXT = 1 << 20  # characters that are looked at
CHARACTER = 0.5  # width of an average character, in heights
NO_TEXT = "The document has no text. It may be a picture of one."
# What the parser raises; it meets what it does not expect with any of them.
MALFORMED = (PyPdfError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, OSError,
             AssertionError, NotImplementedError, ImportError)  # fmt: skip
Matrix = list[float]


def import_all(package: ModuleType) -> None:
    """Imports the modules of a package, but for those that need what is not installed, or another system."""
    for found in walk_packages(package.__path__, f"{package.__name__}."):
        with suppress(ImportError):
            import_module(found.name)


import_all(encodings)
import_all(pypdf)
logging.getLogger("pypdf").disabled = True  # what strangers send shall write no log


class Piece(NamedTuple):
    """A text as the page has it, with the corner where it begins, in points, and its height."""

    text: str
    x: float
    y: float
    height: float


def interpret_pdf(head: Head, data: bytes) -> dict[str, Any]:
    """A task: the interpretation of a PDF document; raises Refused."""
    return interpret(read_pdf, head, data)


def read_pdf(document: Document) -> Interpretation:
    """Fills the fields whose values the text says (`filling.py`). Raises Unreadable."""
    try:
        reader = open_pdf(document.data)
        page_count = len(reader.pages)
        lines = list(lines_of(reader))
    except MALFORMED:
        raise Unreadable("The document is no PDF that can be read.") from None
    readings = with_locations(reader, fill(lines, document.fields))
    messages = [] if lines else [NO_TEXT]
    if page_count > MAX_PAGES:
        messages.append(f"Only the first {MAX_PAGES} pages were read.")
    return Interpretation(values=tuple(readings), page_count=page_count, status_messages=tuple(messages))


def open_pdf(data: bytes) -> PdfReader:
    """The document; one that opens without a password too."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not can_decrypt(reader):
        raise Unreadable("The document is encrypted.")
    return reader


def can_decrypt(reader: PdfReader) -> bool:
    try:
        return bool(reader.decrypt(""))
    except (PyPdfError, NotImplementedError):  # a way to encrypt that needs a package more
        return False


def lines_of(reader: PdfReader) -> Iterator[Line]:
    """The lines of all pages as one sees them, from the top; wide gaps are runs of blanks."""
    left = MAX_TEXT
    for number, page in zip(range(1, MAX_PAGES + 1), reader.pages, strict=False):
        for text in page.extract_text(extraction_mode="layout").splitlines():
            left -= len(text)
            if left < 0:
                return
            if text.strip():
                yield Line(number, text.rstrip().replace("\0", ""))


def with_locations(reader: PdfReader, readings: list[Reading]) -> list[Reading]:
    """The readings with their places, where the pages draw their texts in one piece each."""
    numbers = {each.page_number for each in readings if each.page_number is not None}
    pages = {number: reader.pages[number - 1] for number in numbers}
    pieces = {number: pieces_of(page) for number, page in pages.items()}
    placed = []
    for each in readings:
        text, number = each.extracted or "", each.page_number or 1
        piece = next((piece for piece in pieces[number] if text in piece.text), None)
        location = corners(pages[number], piece, text) if piece is not None else None
        placed.append(each.model_copy(update={"location": location}))
    return placed


def pieces_of(page: PageObject) -> list[Piece]:
    """The texts that a page draws upright."""
    pieces: list[Piece] = []

    def collect(text: str, page_matrix: Matrix, text_matrix: Matrix, font: object, size: float) -> None:
        a, b, c, d, x, y = (float(number) for number in page_matrix)
        e, f, g, h, u, v = (float(number) for number in text_matrix)
        upright = not (b or c or f or g) and a > 0 and d > 0 and e > 0 and h > 0
        if upright and text.strip():
            pieces.append(Piece(text.strip(), a * u + x, d * v + y, float(size) * d * h))

    with suppress(*MALFORMED):
        if not page.rotation:
            page.extract_text(visitor_text=collect)
    return pieces


def corners(page: PageObject, piece: Piece, text: str) -> tuple[Corner, ...]:
    """The corners around a text within a piece, clockwise from the upper left; its width is estimated."""
    box = page.cropbox
    left = piece.x + piece.text.index(text) * piece.height * CHARACTER
    right = left + len(text) * piece.height * CHARACTER
    x = [fraction(each - float(box.left), float(box.width)) for each in (left, right)]
    y = [fraction(float(box.top) - each, float(box.height)) for each in (piece.y + piece.height, piece.y)]
    places = ((x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]))
    return tuple(Corner(x=across, y=down) for across, down in places)


def fraction(part: float, whole: float) -> float:
    """Part of a whole, from 0 to 1."""
    return round(min(max(0.0, part / whole), 1.0), 4)  # 0.0 first: a page may have numbers that are none
