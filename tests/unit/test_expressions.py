"""Prefix expressions of field types: what each operator gives, what is refused, and what holds for every expression."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.actions.shared_field_types import SHARED, id_of
from server.sandbox.expressions import (
    BOOLEAN,
    MAX_DEPTH,
    OPERATORS,
    TEXT,
    VALUE,
    Malformed,
    Unreadable,
    check,
    check_value,
    check_values,
    evaluate,
    find_faults,
)

LIKE_A_DATE = ["REGEXP_MATCH", "^[0-9]{4}", VALUE]
GIVES: list[tuple[Any, str, Any]] = [
    (VALUE, "x", "x"),
    ([VALUE], "x", "x"),
    ("literal", "x", "literal"),
    (["REGEXP_MATCH", "b+", VALUE], "abbc", True),
    (["REGEXP_MATCH", "^b+$", VALUE], "abbc", False),
    (["REGEXP_REPLACE", "([0-9]+) *kr", r"\1 SEK", VALUE], "12 kr", "12 SEK"),
    (["UPPER", VALUE], "åb", "ÅB"),
    (["LOWER", VALUE], "ÅB", "åb"),
    (["TRIM", VALUE], " \t x \n", "x"),
    (["CONCAT", VALUE, "-", ["UPPER", VALUE]], "a", "a-A"),
    (["EQ", ["LENGTH", VALUE], 3], "åäö", True),
    (["FIXED", ["NUMBER", VALUE], 2], "1 234,505", "1234.51"),
    (["FIXED", ["NUMBER", VALUE, ","], 0], "1.234", "1234"),
    (["FIXED", ["NUMBER", VALUE, "."], 3], "1.234", "1.234"),
    (["DATE", VALUE], "21.11.2026", "2026-11-21"),
    (["DATE", VALUE, "MDY"], "11/21/26", "2026-11-21"),
    (["DATE", VALUE, "YMD"], "26-11-21", "2026-11-21"),
    (["IS_NUMBER", VALUE], "12,5", True),
    (["IS_NUMBER", VALUE], "12,5 kr", False),
    (["IS_DATE", VALUE], "31.02.2026", False),
    (["LUHN", VALUE], "4539 1488 0343 6467", True),
    (["LUHN", VALUE], "4539 1488 0343 6468", False),
    (["LUHN", VALUE], "x", False),
    (["MOD97", VALUE], "GB82 WEST 1234 5698 7654 32", True),
    (["MOD97", VALUE], "GB83 WEST 1234 5698 7654 32", False),
    (["MOD97", VALUE], "GB8", False),
    (["LT", ["DATE", VALUE], "2027-01-01"], "21.11.2026", True),
    (["LTE", ["NUMBER", VALUE], 0.1], "0,1", True),
    (["GT", ["NUMBER", VALUE], 10], "9", False),
    (["GTE", ["NUMBER", VALUE], 9], "9", True),
    (["IN", VALUE, "SEK", "EUR"], "EUR", True),
    (["IN", VALUE, "SEK", "EUR"], "EU", False),
    (["AND", True, ["NOT", ["EQ", VALUE, "x"]]], "y", True),
    (["OR", False, ["EQ", VALUE, "x"]], "y", False),
    (["AND", LIKE_A_DATE, ["LT", ["DATE", VALUE], "2027"]], "no date", False),
    (["OR", ["NOT", LIKE_A_DATE], ["LT", ["DATE", VALUE], "2027"]], "no date", True),
    (["IF", ["IS_NUMBER", VALUE], ["FIXED", ["NUMBER", VALUE], 1], "none"], "x", "none"),
]


@pytest.mark.parametrize(("expression", "value", "result"), GIVES)
def test_what_an_operator_gives(expression: Any, value: str, result: Any) -> None:
    check(expression, BOOLEAN if isinstance(result, bool) else TEXT)
    assert evaluate(expression, value) == result


def test_every_operator_is_tried() -> None:
    assert {name for name in OPERATORS if f"'{name}'" not in str(GIVES)} == set()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1.234,50", "1234.50"),
        ("1,234.50", "1234.50"),
        ("1 234.5", "1234.50"),
        ("1'234'567", "1234567.00"),
        ("1.234.567,8", "1234567.80"),
        ("1.234", "1234.00"),
        ("0.125", "0.13"),
        ("1234,5", "1234.50"),
        (",5", "0.50"),
        ("-12", "-12.00"),
        ("12-", "-12.00"),
        ("−12", "-12.00"),
    ],
)
def test_amounts_as_people_write_them(written: str, meant: str) -> None:
    kind = SHARED[id_of("Amount")]
    assert check_value(kind.formatter, kind.validator, written) == (meant, True)


@pytest.mark.parametrize("written", ["abc", "21.11.2026", "1,23,4", "1.2.3", "1,2.3,4", "--1", "-1-", "1e9", "9" * 40])
def test_what_is_no_amount_stays_and_is_not_valid(written: str) -> None:
    kind = SHARED[id_of("Amount")]
    assert check_value(kind.formatter, kind.validator, written) == (written, False)


@pytest.mark.parametrize(
    ("name", "written", "kept", "valid"),
    [
        ("Text", "  Acme Inc. ", "Acme Inc.", True),
        ("Number", " 12,5 ", "12,5", True),
        ("Percentage", "25 %", "25.00", True),
        ("Percentage", "125 %", "125.00", False),
        ("Date", "2026-11-21", "2026-11-21", True),
        ("Date", "1/2/26", "2026-02-01", True),
        ("Date", "tomorrow", "tomorrow", False),
        ("Currency", " sek", "SEK", True),
        ("Currency", "kronor", "KRONOR", False),
        ("Country", "se", "SE", True),
        ("VAT Number", "se 556677-8899 01", "SE556677889901", True),
        ("VAT Number", "556677", "556677", False),
        ("IBAN", "gb82 west 1234 5698 7654 32", "GB82WEST12345698765432", True),
        ("BIC", "nedszajj", "NEDSZAJJ", True),
        ("Payment Reference", "12 3455", "123455", True),
        ("Payment Reference", "123456", "123456", False),
        ("E-mail Address", "ann@example.com", "ann@example.com", True),
        ("E-mail Address", "ann", "ann", False),
    ],
)
def test_shared_field_types(name: str, written: str, kept: str, valid: bool) -> None:
    kind = SHARED[id_of(name)]
    assert check_values([(kind.formatter, kind.validator, written)]) == [(kept, valid)]


def test_shared_field_types_can_be_evaluated() -> None:
    for kind in SHARED.values():
        assert find_faults(kind.formatter, kind.validator) == {}, kind.name
    assert len(SHARED) == 12


def test_ids_of_shared_field_types_stay() -> None:
    assert id_of("E-mail Address") == "3334fe76-5e70-4256-8bb2-1dfe6bdc0eb0"
    assert id_of("Amount") == "96863417-9928-52b3-8cd9-39e95e854066"


def test_an_empty_value_is_valid_and_a_formatter_that_gives_too_much_is_passed_over() -> None:
    assert check_value(["TRIM", VALUE], ["LUHN", VALUE], "  ") == ("", True)
    tenfold = ["REGEXP_REPLACE", ".", "x" * 500, VALUE]
    assert check_value(tenfold, None, "y" * 10) == ("y" * 10, True)
    assert check_value(None, None, "x") == ("x", True)


def test_a_formatter_that_writes_nul_is_passed_over() -> None:
    """No expression has one, but a replacement may write it in octal digits, and PostgreSQL takes no text with it."""
    for replacement in (r"\0", r"\000", r"\g<0>\0"):
        formatter = ["REGEXP_REPLACE", "a", replacement, VALUE]
        assert find_faults(formatter, None) == {}
        assert check_value(formatter, ["EQ", VALUE, "abc"], "abc") == ("abc", True)


def nested(depth: int) -> Any:
    return VALUE if depth == 0 else ["TRIM", nested(depth - 1)]


REFUSED: list[tuple[Any, str]] = [
    ([], "An expression is"),
    ({}, "An expression is"),
    ([["TRIM", VALUE]], "An expression is"),
    ([5, VALUE], "An expression is"),
    (["EVAL", VALUE], 'There is no operator "EVAL".'),
    ([VALUE, VALUE], 'There is no operator "VALUE".'),
    (["TRIM"], "TRIM takes text, not 0 arguments."),
    (["TRIM", VALUE, VALUE], "TRIM takes text, not 2 arguments."),
    (["CONCAT"], "CONCAT takes text*, not 0 arguments."),
    (["TRIM", 5], "Argument 1 of TRIM is number, not text."),
    (["CONCAT", VALUE, True], "Argument 2 of CONCAT is boolean, not text."),
    (["IF", VALUE, VALUE, VALUE], "Argument 1 of IF is text, not boolean."),
    (["IF", True, VALUE, 5], "Argument 3 of IF is number, not text."),
    (["EQ", VALUE, 5], "Argument 2 of EQ is number, not text."),
    (["LENGTH", VALUE], "It must give text, not number."),
    (["IS_DATE", VALUE], "It must give text, not boolean."),
    (["REGEXP_REPLACE", "(", "", VALUE], "The regex cannot be used: missing ), unterminated subpattern"),
    (["REGEXP_REPLACE", "a{99999999999}", "", VALUE], "The regex cannot be used"),
    (["REGEXP_REPLACE", ["TRIM", VALUE], "", VALUE], "Argument 1 of REGEXP_REPLACE is no regex."),
    (["REGEXP_REPLACE", "x" * 501, "", VALUE], "Argument 1 of REGEXP_REPLACE is no regex."),
    (["REGEXP_REPLACE", "a", r"\1", VALUE], "Argument 2 of REGEXP_REPLACE is no replacement."),
    (["REGEXP_REPLACE", "a", r"\g<b>", VALUE], "Argument 2 of REGEXP_REPLACE is no replacement."),
    (["FIXED", 1, 11], "Argument 2 of FIXED is no places."),
    (["FIXED", 1, True], "Argument 2 of FIXED is no places."),
    (["DATE", VALUE, "DDD"], "Argument 2 of DATE is no order."),
    (["DATE", VALUE, ["DMY"]], "Argument 2 of DATE is no order."),
    ("x" * 501, "A text has more than 500 characters."),
    (nested(MAX_DEPTH + 1), "It is nested more than 16 levels deep."),
    (["CONCAT", *[VALUE] * 200], "It has more than 200 parts."),
    (None, "An expression is"),
]


@pytest.mark.parametrize(("expression", "words"), REFUSED)
def test_what_cannot_be_evaluated_is_refused(expression: Any, words: str) -> None:
    with pytest.raises(Malformed) as refusal:
        check(expression, TEXT)
    assert str(refusal.value).startswith(words)
    if expression is not None:
        assert find_faults(expression, None) == {"formatter": str(refusal.value)}


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.sampled_from([*OPERATORS, VALUE, ".", ",", "DMY", "MDY", "[0-9]+", r"\1", "12", "2026-11-21", "(a)"])
EXPRESSIONS = st.recursive(
    WORDS | TEXTS | st.booleans() | st.integers(-3, 20) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(st.sampled_from([*OPERATORS]), inner, inner).map(list),
    max_leaves=12,
)


@given(EXPRESSIONS, TEXTS | st.sampled_from(["12,50", "21.11.2026", "", "x"]))
def test_what_check_accepts_evaluates_on_every_value(expression: Any, value: str) -> None:
    for gives, kind in ((TEXT, str), (BOOLEAN, bool)):
        try:
            check(expression, gives)
        except Malformed as refusal:
            assert str(refusal)
            continue
        with contextlib.suppress(Unreadable):
            assert isinstance(evaluate(expression, value), kind)
