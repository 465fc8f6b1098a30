"""Positions of rows: a row's place in its table is a float, shown as a decimal with 20 places.

Invariants: a new position is strictly between its neighbours, as a float, or there is none and the table has to be
renumbered to 1, 2, 3…; it is the simplest fraction in between (highest in the Stern-Brocot tree), so positions stay
short however often rows are moved. Source: contract database.md (c), "Rows", and the recorded values.
"""

import math

# As in the original. Two fractions with denominators up to 10^7 differ by at least 10^-14, which a float near 1 can
# still tell apart; beyond, positions only get longer.
MAX_DENOMINATOR = 10_000_000


def between(left: float, right: float) -> float | None:
    """The position of a row put between two neighbours (`left` is 0 for the first row).

    None: no float fits or the fraction grew too long; renumber the table and ask again.
    """
    if not left < right:
        return None
    numerator, denominator = _simplest(*_fraction(left), *_fraction(right))
    if denominator > MAX_DENOMINATOR:
        return None
    order = numerator / denominator
    return order if left < order < right else None


def spread(left: float, right: float, count: int) -> list[float] | None:
    """Rising positions for `count` rows put before one row: each between its predecessor and that row.

    None as for `between`, as soon as one of them has no place.
    """
    orders: list[float] = []
    for _ in range(count):
        order = between(orders[-1] if orders else left, right)
        if order is None:
            return None
        orders.append(order)
    return orders


def after(last: float) -> float:
    """The position of an appended row, given the highest one of the table (0 when it is empty): a whole number."""
    return float(math.ceil(last) + 1)


def show(order: float) -> str:
    """The position as the API shows it: all 20 places of the exact value of the float."""
    return f"{order:.20f}"


def _fraction(order: float) -> tuple[int, int]:
    """The simplest fraction that rounds to this float: 0.6666666666666666 is 2/3."""
    if order == math.floor(order):
        return int(order), 1
    below = _midpoint(math.nextafter(order, -math.inf), order)
    above = _midpoint(order, math.nextafter(order, math.inf))
    return _simplest(*below, *above)


def _midpoint(low: float, high: float) -> tuple[int, int]:
    p1, q1 = low.as_integer_ratio()
    p2, q2 = high.as_integer_ratio()
    return p1 * q2 + p2 * q1, 2 * q1 * q2


def _simplest(p1: int, q1: int, p2: int, q2: int) -> tuple[int, int]:
    """The fraction with the smallest denominator, then numerator, strictly between p1/q1 < p2/q2 (q2 = 0: infinity).

    By continued fractions, so that the depth is logarithmic where walking down the tree would be linear.
    """
    whole = p1 // q1
    if (whole + 1) * q2 < p2:
        return whole + 1, 1
    denominator, numerator = _simplest(q2, p2 - whole * q2, q1, p1 - whole * q1)
    return whole * denominator + numerator, denominator
