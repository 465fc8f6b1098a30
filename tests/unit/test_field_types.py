"""Field types: recorded values and errors as tables, and what must hold for every cell."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from server.store.field_types import FIELD_TYPES, Cell, CellError, Dialect, FieldType, OptionsError, OptionValue

BAD_DATE = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD."
BAD_MOMENT = (
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
)
NULL = "This field may not be null."
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")
NINES = "9" * 50


def field(name: str, **given: object) -> tuple[FieldType, dict[str, OptionValue]]:
    kind = FIELD_TYPES[name]
    return kind, kind.parse_options(given, None)


TEXT = field("text")
LONG = field("long_text")
NUM = field("number", number_decimal_places=2)
INT = field("number", number_negative=True)
BOOL = field("boolean")
DATE = field("date", date_format="ISO")
MOMENT = field("date", date_include_time=True)
Field = tuple[FieldType, dict[str, OptionValue]]

RECORDED: list[tuple[Field, object, Cell]] = [
    (TEXT, "x", "x"),
    (TEXT, "", ""),
    (TEXT, None, None),
    (TEXT, 5, "5"),
    (TEXT, "y" * 300, "y" * 300),
    (LONG, "a\nb", "a\nb"),
    (LONG, None, None),
    (LONG, 1, "1"),
    (NUM, 1, "1.00"),
    (NUM, "2.5", "2.50"),
    (NUM, "1e3", "1000.00"),
    (NUM, None, None),
    (NUM, "", None),
    (NUM, "1234567890" * 5, "1234567890" * 5 + ".00"),
    (NUM, "12.50", "12.50"),
    (NUM, "8.25", "8.25"),
    (NUM, 7, "7.00"),
    (INT, 1, "1"),
    (INT, -5, "-5"),
    (INT, "7", "7"),
    (INT, None, None),
    (BOOL, True, True),
    (BOOL, "true", True),
    (BOOL, 1, True),
    (BOOL, "yes", True),
    (DATE, "2026-05-06", "2026-05-06"),
    (DATE, None, None),
    (MOMENT, "2026-05-06T10:11:12Z", "2026-05-06T10:11:12Z"),
    (MOMENT, "2026-05-06 10:11", "2026-05-06T10:11:00Z"),
    (MOMENT, "2026-05-06", "2026-05-06T00:00:00Z"),
    (MOMENT, None, None),
]
# Not recorded; as Django REST Framework does it.
DERIVED: list[tuple[Field, object, Cell]] = [
    (TEXT, "  x ", "x"),
    (TEXT, 1.5, "1.5"),
    (NUM, " ", None),
    (NUM, 0.1, "0.10"),
    (NUM, Decimal("1.25"), "1.25"),
    (NUM, "-0", "0.00"),
    (INT, "-0", "0"),
    (BOOL, "OFF", False),
    (BOOL, "checked", True),
    (BOOL, 0, False),
    (BOOL, 0.0, False),
    (DATE, "2026-5-6", "2026-05-06"),
    (DATE, "0001-01-01", "0001-01-01"),
    (MOMENT, "2026-05-06T10:11:12.5+02:00", "2026-05-06T08:11:12.500000Z"),
    (MOMENT, "2026-5-6 9:05", "2026-05-06T09:05:00Z"),
    (MOMENT, "2026-05-06T10:11:12,123456789Z", "2026-05-06T10:11:12.123456Z"),
]


@pytest.mark.parametrize(("of", "value", "cell"), RECORDED + DERIVED)
def test_accepted_values(of: Field, value: object, cell: Cell) -> None:
    kind, options = of
    parsed = kind.parse(value, options)
    assert (parsed, type(parsed)) == (cell, type(cell))


RECORDED_ERRORS: list[tuple[Field, object, str, str]] = [
    (TEXT, True, "Not a valid string.", "invalid"),
    (TEXT, ["a"], "Not a valid string.", "invalid"),
    (TEXT, "é\0x", "Null characters are not allowed.", "null_characters_not_allowed"),
    (NUM, 1.234, "Ensure that there are no more than 2 decimal places.", "max_decimal_places"),
    (NUM, -1, "Ensure this value is greater than or equal to 0.", "min_value"),
    (NUM, "abc", "A valid number is required.", "invalid"),
    (INT, 1.5, "Ensure that there are no more than 0 decimal places.", "max_decimal_places"),
    (BOOL, None, NULL, "null"),
    (BOOL, "x", "Must be a valid boolean.", "invalid"),
    (BOOL, "maybe", "Must be a valid boolean.", "invalid"),
    (DATE, "2026-05-06T10:00:00Z", BAD_DATE, "invalid"),
    (DATE, "06/05/2026", BAD_DATE, "invalid"),
    (DATE, "", BAD_DATE, "invalid"),
    (DATE, "2026-13-01", BAD_DATE, "invalid"),
    (MOMENT, "06/05/2026 10:11", BAD_MOMENT, "invalid"),
    (MOMENT, "x", BAD_MOMENT, "invalid"),
]
DERIVED_ERRORS: list[tuple[Field, object, str, str]] = [
    (TEXT, {}, "Not a valid string.", "invalid"),
    (LONG, "a\ud800", "Surrogate characters are not allowed: U+D800.", "surrogate_characters_not_allowed"),
    (NUM, "1.500", "Ensure that there are no more than 2 decimal places.", "max_decimal_places"),
    (NUM, "1e50", "Ensure that there are no more than 50 digits before the decimal point.", "max_whole_digits"),
    (INT, "1e50", "Ensure that there are no more than 50 digits in total.", "max_digits"),
    (INT, 10**2000, "String value too large.", "max_string_length"),
    (INT, "1" * 1001, "String value too large.", "max_string_length"),
    (INT, "1e999999999", "Ensure that there are no more than 50 digits in total.", "max_digits"),
    (NUM, "NaN", "A valid number is required.", "invalid"),
    (NUM, "-Infinity", "A valid number is required.", "invalid"),
    (NUM, float("inf"), "A valid number is required.", "invalid"),
    (NUM, True, "A valid number is required.", "invalid"),
    (NUM, [1], "A valid number is required.", "invalid"),
    (BOOL, "", "Must be a valid boolean.", "invalid"),
    (BOOL, [], "Must be a valid boolean.", "invalid"),
    (BOOL, 2, "Must be a valid boolean.", "invalid"),
    (DATE, 5, BAD_DATE, "invalid"),
    (DATE, "2026-02-29", BAD_DATE, "invalid"),
    (MOMENT, 5, BAD_MOMENT, "invalid"),
    (MOMENT, "2026-05-06T25:00", BAD_MOMENT, "invalid"),
    (MOMENT, "0001-01-01T00:00:00+02:00", "Datetime value out of range.", "overflow"),
]


@pytest.mark.parametrize(("of", "value", "text", "code"), RECORDED_ERRORS + DERIVED_ERRORS)
def test_refused_values(of: Field, value: object, text: str, code: str) -> None:
    kind, options = of
    with pytest.raises(CellError) as refused:
        kind.parse(value, options)
    assert refused.value.detail() == {"error": text, "code": code}


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("text", {"text_default": ""}),
        ("long_text", {"long_text_enable_rich_text": False}),
        (
            "number",
            {
                "number_decimal_places": 0,
                "number_negative": False,
                "number_prefix": "",
                "number_suffix": "",
                "number_separator": "",
                "number_default": None,
            },
        ),
        ("boolean", {"boolean_default": False}),
        (
            "date",
            {
                "date_format": "EU",
                "date_include_time": False,
                "date_time_format": "24",
                "date_show_tzinfo": False,
                "date_force_timezone": None,
            },
        ),
    ],
)
def test_options_have_the_recorded_defaults_in_the_recorded_order(name: str, keys: dict[str, OptionValue]) -> None:
    given = {"name": "x", "type": name, "no_such_option": 1}
    assert list(FIELD_TYPES[name].parse_options(given, None).items()) == list(keys.items())


@pytest.mark.parametrize(
    ("name", "option", "value", "parsed"),
    [
        ("text", "text_default", "abc", "abc"),
        ("number", "number_decimal_places", 2, 2),
        ("number", "number_decimal_places", "10", 10),
        ("number", "number_negative", "yes", True),
        ("number", "number_separator", "COMMA_PERIOD", "COMMA_PERIOD"),
        ("number", "number_default", "", None),  # sent so by the web client
        ("number", "number_default", 1.5, "1.50000000000000000000"),
        ("long_text", "long_text_enable_rich_text", None, None),
        ("date", "date_time_format", 12, "12"),
        ("date", "date_force_timezone", "Europe/Amsterdam", "Europe/Amsterdam"),
    ],
)
def test_accepted_options(name: str, option: str, value: object, parsed: OptionValue) -> None:
    assert FIELD_TYPES[name].parse_options({option: value}, None)[option] == parsed


@pytest.mark.parametrize(
    ("name", "option", "value", "text", "code"),
    [
        ("number", "number_decimal_places", 99, '"99" is not a valid choice.', "invalid_choice"),  # recorded
        ("number", "number_decimal_places", None, NULL, "null"),
        ("number", "number_decimal_places", True, '"True" is not a valid choice.', "invalid_choice"),
        ("number", "number_negative", "x", "Must be a valid boolean.", "invalid"),
        ("number", "number_prefix", "x" * 11, "Ensure this field has no more than 10 characters.", "max_length"),
        ("number", "number_separator", "\ud800", '"?" is not a valid choice.', "invalid_choice"),
        ("number", "number_default", "x", "A valid number is required.", "invalid"),
        ("text", "text_default", None, NULL, "null"),
        ("text", "text_default", "x" * 256, "Ensure this field has no more than 255 characters.", "max_length"),
        ("boolean", "boolean_default", None, NULL, "null"),
        ("date", "date_format", "XX", '"XX" is not a valid choice.', "invalid_choice"),
        ("date", "date_force_timezone", "", "This field may not be blank.", "blank"),
        ("date", "date_force_timezone", "Nowhere/Land", '"Nowhere/Land" is not a valid choice.', "invalid_choice"),
        ("date", "date_force_timezone", "../etc/passwd", '"../etc/passwd" is not a valid choice.', "invalid_choice"),
    ],
)
def test_refused_options(name: str, option: str, value: object, text: str, code: str) -> None:
    with pytest.raises(OptionsError) as refused:
        FIELD_TYPES[name].parse_options({option: value}, None)
    assert refused.value.detail() == {option: [{"error": text, "code": code}]}


def test_all_wrong_options_are_named_at_once() -> None:
    with pytest.raises(OptionsError) as refused:
        FIELD_TYPES["number"].parse_options({"number_negative": 7, "number_separator": "x"}, None)
    assert list(refused.value.detail()) == ["number_negative", "number_separator"]


def test_an_update_keeps_the_options_that_are_not_given() -> None:
    kind, current = field("number", number_decimal_places=2, number_negative=True)
    updated = kind.parse_options({"number_decimal_places": 0, "name": "f"}, current)
    assert updated == {**current, "number_decimal_places": 0}


@pytest.mark.parametrize(
    ("of", "empty", "blank"),
    [
        (TEXT, None, ""),
        (field("text", text_default="abc"), "abc", ""),
        (LONG, None, ""),
        (NUM, None, None),
        (field("number", number_default="1.005", number_decimal_places=2), "1.01", None),
        (field("number", number_default=-3), "0", None),
        (BOOL, False, False),
        (field("boolean", boolean_default=True), True, False),
        (DATE, None, None),
        (MOMENT, None, None),
    ],
)
def test_rows_without_a_value(of: Field, empty: Cell, blank: Cell) -> None:
    kind, options = of
    assert kind.empty(options) == empty
    assert kind.blank() == blank


def test_history_metadata_has_the_recorded_keys_in_order() -> None:
    kind, options = field("number")
    assert list(kind.history_metadata(387, options).items()) == [
        ("id", 387),
        ("type", "number"),
        ("number_prefix", ""),
        ("number_suffix", ""),
        ("number_negative", False),
        ("number_separator", ""),
        ("number_decimal_places", 0),
    ]
    assert list(TEXT[0].history_metadata(386, TEXT[1]).items()) == [("id", 386), ("type", "text")]


@pytest.mark.parametrize("kind", FIELD_TYPES.values(), ids=FIELD_TYPES)
def test_history_options_are_sorted_shortest_first(kind: FieldType) -> None:
    assert list(kind.history_options) == sorted(kind.history_options, key=lambda name: (len(name), name))
    assert set(kind.history_options) <= set(kind.options)


@pytest.mark.parametrize(
    ("of", "sqlite", "postgres"),
    [
        (TEXT, "TEXT", "TEXT"),
        (LONG, "TEXT", "TEXT"),
        (NUM, "TEXT", "NUMERIC"),
        (BOOL, "INTEGER", "BOOLEAN"),
        (DATE, "TEXT", "DATE"),
        (MOMENT, "TEXT", "TIMESTAMPTZ"),
    ],
)
def test_sql_types(of: Field, sqlite: str, postgres: str) -> None:
    kind, options = of
    assert (kind.sql_type(options, "sqlite"), kind.sql_type(options, "postgres")) == (sqlite, postgres)


@pytest.mark.parametrize(
    ("of", "cell", "dialect", "value"),
    [
        (NUM, "7.00", "postgres", Decimal("7.00")),
        (NUM, "7.00", "sqlite", "0" + "7".zfill(50) + "0" * 10),
        (INT, "-5", "sqlite", "-" + "9" * 49 + "4" + "9" * 10),
        (BOOL, True, "postgres", True),
        (BOOL, True, "sqlite", 1),
        (DATE, "2026-05-06", "postgres", date(2026, 5, 6)),
        (DATE, "2026-05-06", "sqlite", "2026-05-06"),
        (MOMENT, "2026-05-06T10:11:12Z", "postgres", datetime(2026, 5, 6, 10, 11, 12, tzinfo=UTC)),
        (MOMENT, "2026-05-06T10:11:12Z", "sqlite", "2026-05-06T10:11:12.000000Z"),
    ],
)
def test_column_values(of: Field, cell: Cell, dialect: Dialect, value: Any) -> None:
    kind, options = of
    column = kind.to_column(cell, options, dialect)
    assert (column, type(column)) == (value, type(value))


def test_a_moment_in_the_zone_of_the_database_session_is_shown_in_utc() -> None:
    local = datetime(2026, 5, 6, 12, 11, 12, tzinfo=timezone(timedelta(hours=2)))
    assert MOMENT[0].from_column(local, MOMENT[1], "postgres") == "2026-05-06T10:11:12Z"


NEW_YORK = field("date", date_include_time=True, date_force_timezone="America/New_York", date_time_format="12")


@pytest.mark.parametrize(
    ("of", "cell", "text"),
    [
        (TEXT, "abc", "abc"),
        (TEXT, None, ""),
        (NUM, "7.00", "7.00"),
        (BOOL, True, ""),
        (DATE, "2026-05-06", "2026-05-06"),
        (field("date"), "2026-05-06", "06/05/2026"),
        (field("date", date_format="US"), "2026-05-06", "05/06/2026"),
        (MOMENT, "2026-05-06T10:11:12Z", "06/05/2026 10:11"),
        (NEW_YORK, "2026-05-06T01:11:12Z", "05/05/2026 09:11PM"),
        (NEW_YORK, None, ""),
    ],
)
def test_search_sees_what_people_see(of: Field, cell: Cell, text: str) -> None:
    kind, options = of
    assert kind.search_text(cell, options) == text


@pytest.mark.parametrize(
    ("cell", "old", "new", "converted"),
    [
        ("zzz", TEXT, field("number"), None),
        ("12.345", TEXT, NUM, "12.35"),
        (" 1e3 ", TEXT, field("number"), "1000"),
        ("-4", TEXT, field("number"), "0"),
        ("-4", TEXT, INT, "-4"),
        ("NaN", TEXT, NUM, None),
        ("1e999999", TEXT, NUM, None),
        ("1e-999999", TEXT, NUM, "0.00"),
        (NINES + ".5", TEXT, INT, None),
        (None, TEXT, NUM, None),
        ("7.00", NUM, TEXT, "7.00"),
        (None, NUM, TEXT, None),
        ("2.50", NUM, INT, "3"),
        ("-5", INT, field("number"), "0"),
        ("5", INT, NUM, "5.00"),
        (None, INT, NUM, None),
        ("Yes", TEXT, BOOL, True),
        ("checked", LONG, BOOL, True),
        ("maybe", TEXT, BOOL, False),
        (None, TEXT, BOOL, False),
        ("1", INT, BOOL, True),
        (True, BOOL, TEXT, "true"),
        (True, BOOL, NUM, None),
        (True, BOOL, DATE, None),
        (True, BOOL, BOOL, True),
        ("a\nb", LONG, TEXT, "a\nb"),
        ("06/05/2026", TEXT, field("date"), "2026-05-06"),
        ("06/05/2026", TEXT, field("date", date_format="US"), "2026-06-05"),
        ("2026-05-06", TEXT, field("date"), "2026-05-06"),
        ("2026-05-06T10:11:12Z", TEXT, field("date"), "2026-05-06"),
        ("6.5.2026 9:05 pm", TEXT, MOMENT, "2026-05-06T21:05:00Z"),
        ("6/5/2026 12:05AM", TEXT, MOMENT, "2026-05-06T00:05:00Z"),
        ("6/5/2026 13:05PM", TEXT, MOMENT, None),
        ("31/02/2026", TEXT, field("date"), None),
        ("soon", TEXT, field("date"), None),
        (None, TEXT, field("date"), None),
        ("7", INT, field("date"), None),
        ("2026-05-06", DATE, TEXT, "2026-05-06"),
        ("2026-05-06", field("date"), TEXT, "06/05/2026"),
        ("2026-05-06", DATE, field("date"), "2026-05-06"),
        ("2026-05-06", DATE, MOMENT, "2026-05-06T00:00:00Z"),
        ("2026-05-06", DATE, NEW_YORK, "2026-05-06T04:00:00Z"),
        ("2026-05-06T01:11:12Z", MOMENT, DATE, "2026-05-06"),
        ("2026-05-06T01:11:12Z", NEW_YORK, DATE, "2026-05-05"),
        ("2026-05-06T01:11:12Z", NEW_YORK, MOMENT, "2026-05-06T01:11:12Z"),
        ("0001-01-01T00:00:00Z", NEW_YORK, DATE, "0001-01-01"),
        ("9999-12-31", DATE, NEW_YORK, "9999-12-31T05:00:00Z"),
        ("31/12/9999 11:00PM", TEXT, NEW_YORK, None),
        (None, MOMENT, DATE, None),
    ],
)
def test_conversions(cell: Cell, old: Field, new: Field, converted: Cell) -> None:
    assert new[0].convert(cell, old[0], old[1], new[1]) == converted
