"""The generated pages are those that `make docs` would write now."""

import pytest

from docs.__main__ import HERE, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert (HERE / name).read_text(encoding="utf-8") == PAGES[name]()
