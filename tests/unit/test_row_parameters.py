"""Parameters of row lists and pages, and bodies whose numbers stay exact."""

from decimal import Decimal
from typing import Any

import pytest
from multidict import MultiDict

from server.actions.pages import page_id
from server.actions.row_lists import split_names
from server.rest.paging import numbered_links
from server.rest.schemas import UnreadableBody, parse_json
from server.store.row_search import pattern


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b c,-d", ["a", "b c", "-d"]),
        ('"a,b", c', ["a,b", "c"]),
        ('a\\"b', ['a"b']),
        (",,", []),
        ('"open', ["open"]),
        ("a\r\nb,c", ["a\r\nb", "c"]),
    ],
)
def test_names_are_split_at_commas_outside_of_quotes(text: str, names: list[str]) -> None:
    assert split_names(text) == names


@pytest.mark.parametrize(
    ("query", "count", "page", "size", "after", "before"),
    [
        ({}, 100, 1, 100, None, None),
        ({}, 101, 1, 100, "?page=2", None),
        ({"page": "2"}, 201, 2, 100, "?page=3", ""),
        ({"size": "3", "page": "2"}, 6, 2, 3, None, "?size=3"),
        ({"b": "1,2", "a": "é"}, 9, 2, 3, "?a=%C3%A9&b=1%2C2&page=3", "?a=%C3%A9&b=1%2C2"),
    ],
)
def test_links_to_neighbouring_pages(
    query: dict[str, str], count: int, page: int, size: int, after: str | None, before: str | None
) -> None:
    expected = {"next": after and f"http://x/{after}", "previous": before if before is None else f"http://x/{before}"}
    assert numbered_links("http://x/", MultiDict(query), count, page, size) == expected


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (6, 6), ("6", 6), ("06", 6), (2**31 - 1, 2**31 - 1),
        (0, None), (-1, None), (2**31, None), ("", None), ("-6", None), ("6.0", None), ("٦", None), ("9" * 5000, None),
        (6.0, None), (True, None), (None, None), ([6], None), ({}, None),
    ],
)  # fmt: skip
def test_ids_of_pages(value: Any, number: int | None) -> None:
    assert page_id(value) == number


@pytest.mark.parametrize(("word", "found"), [("a", "%a%"), ("50%", "%50\\%%"), ("a_b", "%a\\_b%"), ("\\", "%\\\\%")])
def test_a_pattern_means_its_word_literally(word: str, found: str) -> None:
    assert pattern(word) == found


def test_fractions_keep_every_digit_where_cells_are_read() -> None:
    text = b'{"a": [1.10, 1e400, 2], "b": 12345678901234567890.5, "c": true}'
    assert parse_json(text, exact=True) == {
        "a": [Decimal("1.10"), Decimal("1e400"), 2],
        "b": Decimal("12345678901234567890.5"),
        "c": True,
    }
    assert parse_json(b'{"a": 1}', exact=True) == {"a": 1}
    for wrong in (b'{"a": NaN}', b'{"a": 1.5, "b": "\\ud800"}', b'{"a": 1.5'):
        with pytest.raises(UnreadableBody):
            parse_json(wrong, exact=True)
