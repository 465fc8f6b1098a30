"""The generated pages are those that `make docs` would write now, and what pages name exists."""

import re

import pytest

from docs.__main__ import HERE, PAGES

ROOT = HERE.parent


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == PAGES[name]()


@pytest.mark.parametrize("name", ["SECURITY.md", "THREAT_MODEL.md"])
def test_a_test_that_is_said_to_guard_exists(name: str) -> None:
    for file, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / name).read_text(encoding="utf-8")):
        source = ROOT / file
        assert source.exists() and f"def {test}(" in source.read_text(encoding="utf-8"), (file, test)
