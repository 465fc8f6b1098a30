"""The data that a new table can be made from."""

import pytest

from server.actions.table_content import DEFAULT, SAMPLE, TableContent, default_options, read_content
from server.errors import Refused
from server.store.field_types import FIELD_TYPES


@pytest.mark.parametrize(
    ("data", "header", "names", "rows"),
    [
        ([["a", "b"], ["c", "d"]], False, ["Field 1", "Field 2"], [("a", "b"), ("c", "d")]),
        ([["a", "b"], ["c", "d"]], True, ["a", "b"], [("c", "d")]),
        ([[" a "], ["c", "d"], []], True, ["a", "Field 2"], [("c", "d"), ("", "")]),
        ([["a"]], True, ["a"], []),
        ([[1, None, True, 1.5, "x\0y"]], False, [f"Field {n}" for n in range(1, 6)], [("1", "", "True", "1.5", "xy")]),
    ],
)
def test_a_grid_becomes_text_fields_and_rows(
    data: list[list[object]], header: bool, names: list[str], rows: list[tuple[str, ...]]
) -> None:
    assert read_content(data, header) == TableContent(dict.fromkeys(names, "text"), rows)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ([], "ERROR_INVALID_INITIAL_TABLE_DATA"),
        ([[]], "ERROR_INVALID_INITIAL_TABLE_DATA"),
        ([["a", "a"]], "ERROR_INITIAL_TABLE_DATA_HAS_DUPLICATE_NAMES"),
        ([["Field 2"], ["x", "y"]], "ERROR_INITIAL_TABLE_DATA_HAS_DUPLICATE_NAMES"),
        ([["order"]], "ERROR_RESERVED_BASEROW_FIELD_NAME"),
        ([[None]], "ERROR_INVALID_BASEROW_FIELD_NAME"),
        ([["x"]] * 5002, "ERROR_INITIAL_TABLE_DATA_LIMIT_EXCEEDED"),
        ([[str(number) for number in range(601)]], "ERROR_MAX_FIELD_COUNT_EXCEEDED"),
    ],
)
def test_what_cannot_be_a_table(data: list[list[object]], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_content(data, first_row_header=True)
    assert refusal.value.kind.code == code


@pytest.mark.parametrize("content", [DEFAULT, SAMPLE])
def test_ready_made_cells_are_what_their_fields_make_of_them(content: TableContent) -> None:
    for row in content.rows:
        for kind, cell in zip(content.fields.values(), row, strict=True):
            assert FIELD_TYPES[kind].parse(cell, default_options(kind)) == cell
