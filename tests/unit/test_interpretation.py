"""What is read in documents: which text belongs into which field, and where it stands."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from pypdf import PdfReader, PdfWriter

from server.actions.shared_field_types import EXPRESSIONS
from server.interpretation.documents import Document, Interpretation, Reading, Unreadable, WantedField
from server.interpretation.filling import ALONE, BEHIND, BELOW, Line, fill
from server.interpretation.pdf import MAX_PAGES, NO_TEXT, read_pdf
from server.interpretation.registry import PDF, find_interpreters
from tests.support.pdfs import encrypted, pdf


def field(name: str, kind: str = "Text") -> WantedField:
    return WantedField(name, name, kind, False, *EXPRESSIONS[kind])


def found(lines: list[str], *fields: WantedField) -> dict[str, tuple[str, float]]:
    """The texts that were found and how sure that is, by field."""
    readings = fill([Line(1, line) for line in lines], fields)
    return {each.field_id: (each.value, each.confidence or 0.0) for each in readings}


CASES: list[tuple[list[str], list[WantedField], dict[str, tuple[str, float]]]] = [
    (["Invoice number: 17"], [field("invoice_number")], {"invoice_number": ("17", BEHIND)}),
    (["INVOICE NUMBER   17"], [field("Invoice Number")], {"Invoice Number": ("17", BEHIND)}),
    (["Date     Total", "1.11.26  5,00"], [field("Date", "Date"), field("Total", "Amount")],
     {"Date": ("1.11.26", BELOW), "Total": ("5,00", BELOW)}),
    (["Total  5,00 EUR due"], [field("Total", "Amount")], {"Total": ("5,00", BEHIND)}),
    (["VAT 25 %  VAT number: SE12"], [field("VAT"), field("VAT number")],
     {"VAT": ("25 %", BEHIND), "VAT number": ("SE12", BEHIND)}),
    (["Date: soon", "Date: 2026-11-01"], [field("Date", "Date")], {"Date": ("2026-11-01", BEHIND)}),
    (["Subtotal 9", "the total of", "Total 10"], [field("Total", "Amount")], {"Total": ("10", BEHIND)}),
    (["pay to SE35 5000 0000 0549 1000 0003 please"], [field("Account", "IBAN")],
     {"Account": ("SE35 5000 0000 0549 1000 0003", ALONE)}),
    (["write to a@b.example or c@d.example"], [field("Mail", "E-mail Address")], {}),
    (["a@b.example", "a@b.example"], [field("Mail", "E-mail Address")], {"Mail": ("a@b.example", ALONE)}),
    (["a@b.example"], [field("Mail", "E-mail Address"), field("Other", "E-mail Address")], {}),
    (["Name:", "", "nothing near"], [field("Name")], {}),
    (["ACME Ltd"], [field("Supplier"), field("!?")], {}),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "fields", "values"), CASES, ids=[case[0][0] for case in CASES])
def test_a_field_is_filled_by_its_label_or_by_the_only_text_that_it_takes(
    lines: list[str], fields: list[WantedField], values: dict[str, tuple[str, float]]
) -> None:
    assert found(lines, *fields) == values


def read(data: bytes, *fields: WantedField) -> Interpretation:
    return read_pdf(Document("invoice.pdf", PDF, data, fields))


def test_a_value_has_its_place_on_its_page() -> None:
    data = pdf(["nothing"], [(72, 700, "Total: 5,00"), (300, 100, "5,00 again")])
    (total,) = read(data, field("Total", "Amount")).values
    assert (total.value, total.extracted, total.count, total.page_number) == ("5,00", "5,00", 2, 2)
    assert total.location is not None
    left, right = total.location[0].x, total.location[1].x
    upper, lower = total.location[0].y, total.location[2].y
    assert 72 / 595 < left < right < 0.4
    assert 1 - 720 / 842 < upper < lower < 1 - 690 / 842


def test_pages_that_are_turned_or_many_are_read_as_far_as_they_can_be() -> None:
    writer, turned = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["Total: 5,00"])))), io.BytesIO()
    writer.pages[0].rotate(90)
    writer.write(turned)
    assert [each.location for each in read(turned.getvalue(), field("Total", "Amount")).values] in ([None], [])
    long = read(pdf(*[["x"]] * (MAX_PAGES + 1)))
    assert (long.page_count, len(long.status_messages)) == (MAX_PAGES + 1, 1)
    assert read(pdf([])).status_messages == (NO_TEXT,)


def test_what_is_no_pdf_or_encrypted_is_unreadable() -> None:
    for data in (b"", b"x", b"%PDF-1.7", pdf(["x"])[:200], encrypted(pdf(["x"]), "secret")):
        with pytest.raises(Unreadable):
            read(data)
    assert read(encrypted(pdf(["Total: 1"]), ""), field("Total")).values[0].value == "1"


WRONG: list[dict[str, Any]] = [
    {"value": None}, {"value": "x" * 5000}, {"value": "\0"}, {"confidence": 2}, {"column_index": -1},
    {"location": [{"x": 0, "y": 0}]}, {"page_number": 2**31}, {"other": 1}, {"extracted": "a\0"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=map(str, range(len(WRONG))))
def test_what_no_database_takes_is_no_reading(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Reading.model_validate({"field_id": "x", "value": "y"} | wrong)


def test_pdf_is_ours_where_nobody_else_reads_it() -> None:
    assert find_interpreters()[PDF].task == "pdf"


def test_the_interpreter_of_the_guide_works() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "protocols" / "items-files.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    data = b"Article,Total,Colour\nScrews,5.00,red\nNails,,"
    made = names["interpret"](Document("a.csv", "text/csv", data, [field("article"), field("total", "Amount")]))
    assert [(each.field_id, each.column_index, each.value) for each in made.values] == [
        ("article", 0, "Screws"), ("total", 0, "5.00"), ("article", 1, "Nails"),
    ]  # fmt: skip
    with pytest.raises(Unreadable):
        names["interpret"](Document("a.csv", "text/csv", b"\xff", []))
