"""Positions of rows: the recorded values, and what must hold after any number of insertions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store.order import after, between, show, spread

ORDERS = st.floats(min_value=0, max_value=1e6, allow_subnormal=False)


@pytest.mark.parametrize(
    ("left", "right", "shown"),
    [
        (0, 1, "0.50000000000000000000"),  # recorded: created before the first row
        (0.5, 1, "0.66666666666666662966"),  # recorded: moved before row 1, after the one at 0.5
        (2 / 3, 1, "0.75000000000000000000"),
        (0.5, 2 / 3, "0.59999999999999997780"),
        (1, 2, "1.50000000000000000000"),
        (1, 3, "2.00000000000000000000"),
        (1, 10, "2.00000000000000000000"),
        (2.5, 3, "2.66666666666666651864"),
    ],
)
def test_between_is_the_simplest_fraction(left: float, right: float, shown: str) -> None:
    order = between(left, right)
    assert order is not None
    assert show(order) == shown


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (0, "1.00000000000000000000"),
        (3, "4.00000000000000000000"),  # recorded: moved to the end of three rows
        (4, "5.00000000000000000000"),  # recorded: first of a batch
        (2 / 3, "2.00000000000000000000"),
    ],
)
def test_an_appended_row_gets_a_whole_number(last: float, shown: str) -> None:
    assert show(after(last)) == shown


@given(ORDERS, ORDERS)
def test_between_is_strictly_between_or_none(one: float, other: float) -> None:
    left, right = sorted((one, other))
    order = between(left, right)
    assert order is None or left < order < right


@pytest.mark.parametrize(("left", "right"), [(1, 1), (2, 1), (2.0**53, 2.0**53 + 2), (0, 1e-8)])
def test_no_place_left(left: float, right: float) -> None:
    assert between(left, right) is None


def test_several_rows_before_one_rise_evenly() -> None:
    assert spread(0, 1, 4) == [1 / 2, 2 / 3, 3 / 4, 4 / 5]
    assert spread(7, 8, 0) == []
    assert spread(0, 1e-8, 2) is None


@pytest.mark.parametrize(("left", "right"), [(0, 1), (1, 2), (999, 1000), (999_999, 1_000_000)])
def test_a_thousand_insertions_before_the_same_row_stay_in_order(left: float, right: float) -> None:
    orders = spread(left, right, 1000)
    assert orders is not None
    assert [left, *orders, right] == sorted({left, *orders, right})


@given(st.integers(min_value=0, max_value=100_000), st.lists(st.booleans(), max_size=80))
def test_any_sequence_of_insertions_stays_in_order_until_there_is_no_place(first: int, sides: list[bool]) -> None:
    left, right = float(first), float(first + 1)
    for before_the_new_one in sides:
        order = between(left, right)
        if order is None:
            return
        assert left < order < right
        left, right = (left, order) if before_the_new_one else (order, right)


def test_insertions_after_the_first_row_reach_their_end_with_none() -> None:
    """The other extreme: every row goes between the two newest ones, so fractions grow fastest (Fibonacci)."""
    left, right, count = 0.0, 1.0, 0
    while (order := between(left, right)) is not None:
        assert left < order < right
        left, right = (order, right) if count % 2 else (left, order)
        count += 1
    assert count >= 30
