"""Validators that cells and field options share, with the texts and codes of the original.

Recorded where a recording exists, else those of Django REST Framework, which the original uses.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from zoneinfo import available_timezones

from server.store.field_types.base import CellError, OptionValue
from server.store.field_types.decimals import read, scaled, shown

_TRUE = frozenset({"t", "y", "yes", "true", "on", "1", "checked"})
_FALSE = frozenset({"f", "n", "no", "false", "off", "0", "unchecked"})


def text(value: object) -> str:
    """A string without surrounding white space; numbers are taken as their text. Raises CellError."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise CellError("Not a valid string.", "invalid")
    stripped = str(value).strip()
    if "\0" in stripped:
        raise CellError("Null characters are not allowed.", "null_characters_not_allowed")
    try:
        stripped.encode()
    except UnicodeEncodeError as error:
        problem = f"Surrogate characters are not allowed: U+{ord(stripped[error.start]):X}."
        raise CellError(problem, "surrogate_characters_not_allowed") from None
    return stripped


def boolean(value: object) -> bool:
    """True or false in one of the accepted spellings, in any case. Raises CellError."""
    _refuse_null(value)
    if isinstance(value, int | float | Decimal) and value in (0, 1):
        return bool(value)
    word = value.lower() if isinstance(value, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise CellError("Must be a valid boolean.", "invalid")


def reads_as_true(word: str) -> bool:
    """Whether a text means true; anything else is false."""
    return word.lower() in _TRUE


def nullable_boolean(value: object) -> bool | None:
    """As `boolean`, or None."""
    return None if value is None else boolean(value)


def choice(*allowed: str | int) -> Callable[[object], OptionValue]:
    """One of some values, which may also be given as text."""
    by_text = {str(value): value for value in allowed}

    def parse(value: object) -> OptionValue:
        _refuse_null(value)
        if str(value) not in by_text:
            raise _not_a_choice(value)
        return by_text[str(value)]

    return parse


def short_text(max_length: int) -> Callable[[object], OptionValue]:
    """A text of limited length, possibly empty."""

    def parse(value: object) -> OptionValue:
        _refuse_null(value)
        result = text(value)
        if len(result) > max_length:
            raise CellError(f"Ensure this field has no more than {max_length} characters.", "max_length")
        return result

    return parse


def decimal_option(max_digits: int, places: int) -> Callable[[object], OptionValue]:
    """A decimal shown with all its places, or None."""

    def parse(value: object) -> OptionValue:
        number = read(value, max_digits, places)
        return None if number is None else shown(scaled(number, places), places)

    return parse


def time_zone(value: object) -> OptionValue:
    """The name of a time zone, or None. The original stores any text and fails when it is used; ours refuses it."""
    if value is None:
        return None
    name = text(value)
    if not name:
        raise CellError("This field may not be blank.", "blank")
    if name not in known_zones():
        raise _not_a_choice(value)
    return name


@cache
def known_zones() -> frozenset[str]:
    """Zones that every database of zones knows alike; not those that stand for what a machine is set to."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


def _refuse_null(value: object) -> None:
    if value is None:
        raise CellError("This field may not be null.", "null")


def _not_a_choice(value: object) -> CellError:
    sendable = str(value).encode("utf-8", "replace").decode()
    return CellError(f'"{sendable}" is not a valid choice.', "invalid_choice")
