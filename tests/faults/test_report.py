"""The report adds up and is written where it belongs."""

from pathlib import Path

import pytest

from tests.faults.checker import Findings
from tests.faults.report import BEGIN, END, Report


def some_report() -> Report:
    report = Report()
    report.add("kill -9", "SQLite", 5, Findings(committed=1200, told=9000))
    report.add("kill -9", "SQLite", 5, Findings(committed=300, told=1000, missing=1, unwritten=1, disordered=3))
    return report


def test_the_same_fault_adds_up() -> None:
    assert some_report().table().splitlines()[2:] == ["| kill -9 | SQLite | 10 | 1,500 | 10,000 | 2 | 3 |"]


def test_the_table_replaces_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"# Reliability\n\n{BEGIN}\nold\n{END}\n\nMore.\n")
    some_report().write(page, "Seed 1.")
    text = page.read_text()
    assert text.startswith(f"# Reliability\n\n{BEGIN}\nSeed 1.\n\n| fault |") and text.endswith(f"|\n{END}\n\nMore.\n")
    assert "old" not in text
    some_report().write(page, "Seed 1.")
    assert page.read_text() == text


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "reliability.md"
    page.write_text("# Reliability\n")
    with pytest.raises(ValueError, match="lacks the marks"):
        some_report().write(page, "")
    assert page.read_text() == "# Reliability\n"
