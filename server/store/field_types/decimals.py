"""Exact decimals: reading them, showing them, and the text in which SQLite keeps them.

Invariants: all arithmetic is on integers (a number times 10^places), because a decimal context rounds at 28 digits
and floats at 16. The stored text has the same width for every number, so comparing texts compares numbers.
"""

from decimal import Decimal, InvalidOperation

from server.store.field_types.base import CellError

MAX_WHOLE_DIGITS = 50
MAX_PLACES = 10
_WIDTH = MAX_WHOLE_DIGITS + MAX_PLACES
_NINES = 10**_WIDTH - 1
_MAX_LENGTH = 1000  # characters, of the original; longer texts are refused unread


def read(value: object, max_digits: int, places: int) -> Decimal | None:
    """A number from JSON (number or text; blank text is None) within the limits. Raises CellError."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    number = _finite(value)
    _check_limits(number, max_digits, places)
    return number


def lenient(text: str) -> Decimal | None:
    """A finite number from any text, None when there is none in it."""
    try:
        return _finite(text)
    except CellError:
        return None


def scaled(number: Decimal, places: int) -> int:
    """The number times 10^places, halves rounded away from zero as PostgreSQL does."""
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    magnitude = _shift(int("".join(map(str, digits))), exponent + places)
    return -magnitude if sign else magnitude


def shown(value: int, places: int) -> str:
    """The inverse of `scaled`: 700 with 2 places is "7.00"."""
    digits = str(abs(value)).zfill(places + 1)
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def encode(number: Decimal) -> str:
    """The text for SQLite: a mark of the sign, then 60 digits of the number times 10^10, for negatives their nines'
    complement; so texts sort as the numbers do. More than 10 places are rounded."""
    value = scaled(number, MAX_PLACES)
    return f"0{value:0{_WIDTH}d}" if value >= 0 else f"-{_NINES + value:0{_WIDTH}d}"


def decode(text: str) -> Decimal:
    """The inverse of `encode`."""
    value = int(text) if text[0] == "0" else int(text[1:]) - _NINES
    return Decimal(shown(value, MAX_PLACES))


def _finite(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise CellError("A valid number is required.", "invalid")
    text = _text(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise CellError("A valid number is required.", "invalid") from None
    if not number.is_finite():
        raise CellError("A valid number is required.", "invalid")
    return number


def _text(value: str | int | float | Decimal) -> str:
    # The length of an int is estimated first (a digit has 3.3 bits): Python refuses to print very long ones.
    too_long = isinstance(value, int) and value.bit_length() > 4 * _MAX_LENGTH
    text = "" if too_long else str(value).strip()
    if too_long or len(text) > _MAX_LENGTH:
        raise CellError("String value too large.", "max_string_length")
    return text


def _check_limits(number: Decimal, max_digits: int, places: int) -> None:
    """Raises CellError. Zeros count as written: 1.500 has three decimal places."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    decimals = max(-exponent, 0)
    total = max(len(digits) + max(exponent, 0), decimals)
    if total > max_digits:
        raise CellError(f"Ensure that there are no more than {max_digits} digits in total.", "max_digits")
    if decimals > places:
        raise CellError(f"Ensure that there are no more than {places} decimal places.", "max_decimal_places")
    whole = max_digits - places
    if total - decimals > whole:
        problem = f"Ensure that there are no more than {whole} digits before the decimal point."
        raise CellError(problem, "max_whole_digits")


def _shift(magnitude: int, by: int) -> int:
    factor: int = 10 ** abs(by)
    return magnitude * factor if by >= 0 else (2 * magnitude + factor) // (2 * factor)
