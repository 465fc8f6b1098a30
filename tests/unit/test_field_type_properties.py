"""Field types: what holds for every value, found by search."""

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store.field_types import Cell, CellError, Dialect
from server.store.field_types.decimals import encode
from tests.unit.test_field_types import BOOL, DATE, DIALECTS, LONG, MOMENT, NUM, TEXT, Field, field

PLACES = st.integers(min_value=0, max_value=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def number_fields(draw: st.DrawFn) -> Field:
    return field("number", number_decimal_places=draw(PLACES), number_negative=draw(st.booleans()))


@st.composite
def date_fields(draw: st.DrawFn) -> Field:
    zone = draw(st.sampled_from([None, "UTC", "America/New_York", "Asia/Kathmandu"]))
    return field(
        "date",
        date_format=draw(st.sampled_from(["EU", "US", "ISO"])),
        date_include_time=draw(st.booleans()),
        date_time_format=draw(st.sampled_from(["24", "12"])),
        date_force_timezone=zone,
    )


FIELDS = st.sampled_from([TEXT, LONG, BOOL]) | number_fields() | date_fields()


@st.composite
def cells(draw: st.DrawFn, fields: st.SearchStrategy[Field] = FIELDS) -> tuple[Field, Cell]:
    kind, options = of = draw(fields)
    if kind.name == "boolean":
        return of, draw(st.booleans())
    if kind.name == "date":
        moment = draw(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
        return of, kind.parse(moment.isoformat() if options["date_include_time"] else str(moment.date()), options)
    if kind.name == "number":
        places = int(options["number_decimal_places"] or 0)
        most = 10 ** (50 + places) - 1
        scaled = draw(st.integers(min_value=-most if options["number_negative"] else 0, max_value=most))
        return of, kind.parse(f"{scaled}e-{places}", options)
    return of, kind.parse(draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))), options)


@given(FIELDS, JSON)
def test_any_json_is_parsed_or_refused(of: Field, value: object) -> None:
    kind, options = of
    try:
        cell = kind.parse(value, options)
    except CellError as error:
        assert error.text and error.code
    else:
        assert kind.parse(cell, options) == cell


@given(cells())
def test_parse_keeps_its_own_output(of_cell: tuple[Field, Cell]) -> None:
    (kind, options), cell = of_cell
    assert kind.parse(cell, options) == cell


@given(cells(), st.sampled_from(DIALECTS))
def test_columns_give_back_the_cell(of_cell: tuple[Field, Cell], dialect: Dialect) -> None:
    (kind, options), cell = of_cell
    assert kind.from_column(kind.to_column(cell, options, dialect), options, dialect) == cell


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("of", [TEXT, LONG, NUM, DATE, MOMENT])
def test_null_columns(of: Field, dialect: Dialect) -> None:
    kind, options = of
    assert kind.from_column(kind.to_column(None, options, dialect), options, dialect) is None


@given(cells(number_fields()), cells(number_fields()))
def test_numbers_sort_in_sqlite_as_they_are(one: tuple[Field, Cell], other: tuple[Field, Cell]) -> None:
    first, second = Decimal(str(one[1])), Decimal(str(other[1]))
    assert (encode(first) < encode(second), encode(first) == encode(second)) == (first < second, first == second)


@given(st.datetimes(), st.datetimes())
def test_moments_sort_in_sqlite_as_they_are(one: datetime, other: datetime) -> None:
    kind, options = MOMENT
    first, second = (
        kind.to_column(kind.parse(moment.isoformat(), options), options, "sqlite") for moment in (one, other)
    )
    assert (first < second) == (one < other)


@given(cells(), FIELDS)
def test_every_conversion_gives_a_cell_of_the_new_type(of_cell: tuple[Field, Cell], new: Field) -> None:
    (kind, options), cell = of_cell
    converted = new[0].convert(cell, kind, options, new[1])
    assert converted is None or isinstance(converted, bool if new[0].name == "boolean" else str)
    if new[0].name not in ("text", "long_text"):
        assert new[0].parse(converted, new[1]) == converted


@given(cells())
def test_a_way_through_text_and_back_keeps_what_text_shows(of_cell: tuple[Field, Cell]) -> None:
    (kind, options), cell = of_cell
    shown = kind.as_text(cell, options)
    there = TEXT[0].convert(cell, kind, options, TEXT[1])
    back = kind.convert(there, TEXT[0], TEXT[1], options)
    assert back is None or kind.as_text(back, options) == shown
