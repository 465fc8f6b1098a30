"""Field type `number`: an exact decimal of up to 50 whole digits with 0 to 10 decimal places, or null.

Its cell is a text with exactly the decimal places of the field: "7.00".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from server.store.field_types import checks
from server.store.field_types.base import Cell, CellError, Dialect, FieldType, Option, Options
from server.store.field_types.decimals import (
    MAX_PLACES,
    MAX_WHOLE_DIGITS,
    decode,
    encode,
    lenient,
    read,
    scaled,
    shown,
)

_SEPARATORS = ("", "SPACE_COMMA", "SPACE_PERIOD", "COMMA_PERIOD", "PERIOD_COMMA")


@dataclass(frozen=True)
class NumberType(FieldType):
    """A number; prefix, suffix and separator are for the client to show."""

    name: ClassVar[str] = "number"
    options: ClassVar[Mapping[str, Option]] = {
        "number_decimal_places": Option(0, checks.choice(*range(MAX_PLACES + 1))),
        "number_negative": Option(False, checks.boolean),
        "number_prefix": Option("", checks.short_text(10)),
        "number_suffix": Option("", checks.short_text(100)),
        "number_separator": Option("", checks.choice(*_SEPARATORS)),
        "number_default": Option(None, checks.decimal_option(max_digits=50, places=20)),
    }
    history_options = (
        "number_prefix",
        "number_suffix",
        "number_negative",
        "number_separator",
        "number_decimal_places",
    )

    def sql_type(self, options: Options, dialect: Dialect) -> str:
        return "TEXT" if dialect == "sqlite" else "NUMERIC"

    def parse(self, value: object, options: Options) -> Cell:
        places = _places(options)
        number = read(value, MAX_WHOLE_DIGITS + places, places)
        if number is None:
            return None
        if number < 0 and not options["number_negative"]:
            raise CellError("Ensure this value is greater than or equal to 0.", "min_value")
        return shown(scaled(number, places), places)

    def to_column(self, cell: Cell, options: Options, dialect: Dialect) -> Any:
        if cell is None:
            return None
        number = Decimal(str(cell))
        return encode(number) if dialect == "sqlite" else number

    def from_column(self, value: Any, options: Options, dialect: Dialect) -> Cell:
        if value is None:
            return None
        number = decode(value) if dialect == "sqlite" else Decimal(value)
        return shown(scaled(number, _places(options)), _places(options))

    def empty(self, options: Options) -> Cell:
        default = options["number_default"]
        return None if default is None else _nearest(Decimal(str(default)), options)

    def as_text(self, cell: Cell, options: Options) -> str | None:
        return None if cell is None else str(cell)

    def from_text(self, text: str | None, options: Options) -> Cell:
        number = None if text is None else lenient(text)
        return None if number is None else _nearest(number, options)

    def adapt(self, cell: Cell, from_options: Options, options: Options) -> Cell:
        return None if cell is None else _nearest(Decimal(str(cell)), options)


def _places(options: Options) -> int:
    return int(options["number_decimal_places"] or 0)


def _nearest(number: Decimal, options: Options) -> str | None:
    """The number rounded to the places of the field; 0 for a forbidden negative; None when it has too many digits."""
    places = _places(options)
    if number.adjusted() > MAX_WHOLE_DIGITS:
        return None
    # Cut before rounding: shifting a text like 1e-999999 would build an integer of a million digits.
    value = 0 if number.adjusted() < -places - 1 else scaled(number, places)
    if abs(value) >= 10 ** (MAX_WHOLE_DIGITS + places):
        return None
    return shown(value if options["number_negative"] else max(value, 0), places)
