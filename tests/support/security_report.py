"""The tables of docs/security.md, written by the run: `pytest tests/security tests/conformance --write-security`.

A plugin of tests/conftest.py. A test module is a section, headed by its docstring, which says what must come of the
faults; a test is a line, named by its docstring or its own name; its cases are the faults. Nothing is listed by hand.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from tests.support.marked_page import put_between

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
BEGIN, END = "<!-- security:begin -->", "<!-- security:end -->"
FOLDERS = ("tests/security/", "tests/conformance/")
ELSEWHERE = "tests/conformance/test_recorded.py"  # compares with a recorded server; its README shows what
SHOWN = 40  # cases that a line names
TESTS = pytest.StashKey[list[pytest.Function]]()
OUTCOMES = pytest.StashKey[dict[str, bool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("security")
    group.addoption("--write-security", action="store_true", help="write the tables into docs/security.md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TESTS], config.stash[OUTCOMES] = [], {}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Notes the tests that the page is about, in their order."""
    session.config.stash[TESTS] = [
        item
        for item in session.items
        if isinstance(item, pytest.Function)
        and item.nodeid.startswith(FOLDERS)
        and not item.nodeid.startswith(ELSEWHERE)
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A test has passed when each of its phases has."""
    report = yield
    outcomes = item.config.stash[OUTCOMES]
    outcomes[item.nodeid] = outcomes.get(item.nodeid, True) and report.passed
    return report


def pytest_terminal_summary(config: pytest.Config) -> None:
    """Writes the page where it was asked for."""
    if config.getoption("--write-security"):
        put_between(PAGE, BEGIN, END, sections(config.stash[TESTS], config.stash[OUTCOMES]))


def sections(tests: Iterable[pytest.Function], outcomes: dict[str, bool]) -> str:
    """Markdown: for each file its docstring and a table."""
    return "\n".join(
        section(path, list(found), outcomes)
        for path, found in groupby(tests, lambda test: test.nodeid.partition("::")[0])
    )


def section(path: str, tests: list[pytest.Function], outcomes: dict[str, bool]) -> str:
    told = (tests[0].module.__doc__ or "").strip().partition("\n\n")[0]
    head = f"\n## {path}\n\n{told}\n\n| test | cases | result |\n|---|---|---|\n"
    by_function = groupby(tests, lambda test: test.originalname)
    return head + "".join(line(list(cases), outcomes) for _, cases in by_function)


def line(cases: list[pytest.Function], outcomes: dict[str, bool]) -> str:
    """One test with its cases."""
    told = (cases[0].function.__doc__ or "").strip().partition("\n")[0]
    name = told or cases[0].originalname.removeprefix("test_").replace("_", " ")
    faults = [case.callspec.id for case in cases if hasattr(case, "callspec")]
    more = [f"and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
    failed = sum(not outcomes.get(case.nodeid, False) for case in cases)
    result = f"{failed} of {len(cases)} FAILED" if failed else f"{len(cases)} passed"
    return f"| {cell(name)} | {cell('; '.join(faults[:SHOWN] + more))} | {result} |\n"


def cell(text: str) -> str:
    """A text that leaves the table whole."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    for mark in ("\\", "|", "<", "*", "_", "`", "["):
        shown = shown.replace(mark, f"\\{mark}")
    return shown
