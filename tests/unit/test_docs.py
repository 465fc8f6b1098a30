"""The generated pages are those that `make docs` would write now, and what pages name exists."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from docs.__main__ import HERE, PAGES
from server.rest.failures import is_items, is_records
from server.rest.resources import SERVED

ROOT = HERE.parent


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize("name", ["SECURITY.md", "THREAT_MODEL.md"])
def test_a_test_that_is_said_to_guard_exists(name: str) -> None:
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / name).read_text(encoding="utf-8")):
        source = ROOT / file
        assert source.exists() and f"def {test}(" in source.read_text(encoding="utf-8"), (file, test)


def links() -> list[tuple[Path, str]]:
    """The relative links of all pages, without what they name within a page."""
    pages = [*ROOT.glob("*.md"), *HERE.rglob("*.md"), *(ROOT / "examples").rglob("README.md")]
    found = [(page, re.findall(r"\]\(([^)#:\s]+)[^):]*\)", page.read_text(encoding="utf-8"))) for page in pages]
    return [(page, name) for page, names in found for name in names]


def test_what_pages_link_to_exists() -> None:
    assert [(str(page), name) for page, name in links() if not (page.parent / name).exists()] == []


@pytest.mark.parametrize(("page", "serves"), [("items.md", is_items), ("records.md", is_records)])
def test_a_protocol_page_names_every_path(page: str, serves: Callable[[str], bool]) -> None:
    text = (HERE / "protocols" / page).read_text(encoding="utf-8")
    served = {route.path for table in SERVED for route in table if isinstance(route, web.RouteDef)}
    paths = {re.sub(r"{\w+?(?:_id)?(?::[^}]+)?}", "{id}", path) for path in served if serves(path)}
    named = set(re.findall(r"(?<=[ `])/[^\s`?]*", re.sub(r"{\w+}|<[^>\n]+>", "{id}", text)))
    assert paths - named == set()
