"""What a new table holds: its fields and first rows, as default, as sample, or from data that a client sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.errors import (
    BLANK_FIELD_NAME,
    DUPLICATE_HEADER,
    INVALID_TABLE_DATA,
    LONG_FIELD_NAME,
    RESERVED_FIELD_NAME,
    TABLE_DATA_TOO_LONG,
    TOO_MANY_FIELDS,
    Refused,
)
from server.store.field_types import FIELD_TYPES, Cell, OptionValue

MAX_ROWS = 5000  # of data given at creation: as many as one short transaction can take
MAX_FIELDS = 600  # as in the original; a PostgreSQL table has at most 1,600 columns
MAX_NAME = 255
RESERVED = ("id", "order")


@dataclass(frozen=True)
class TableContent:
    """Fields in order, by name with their type, the first one primary; and rows of one cell per field."""

    fields: Mapping[str, str]
    rows: Sequence[tuple[Cell, ...]]


def default_options(kind: str) -> dict[str, OptionValue]:
    """The options of a new field for which none are given."""
    return FIELD_TYPES[kind].parse_options({}, None)


COMMON = {"Name": "text", "Notes": "long_text", "Active": "boolean"}
BLANK = tuple(FIELD_TYPES[kind].blank() for kind in COMMON.values())
DEFAULT = TableContent(COMMON, [BLANK, BLANK])
SAMPLE = TableContent(
    COMMON,
    [
        ("Northwind Coffee", "Renews in March", True),
        ("Harbour Books", "Asked for an invoice by post", True),
        ("Atlas Cycles", "Paused until the new shop opens", False),
        ("Juniper Studio", "", True),
    ],
)


def read_content(data: Sequence[Sequence[object]], first_row_header: bool) -> TableContent:
    """Text fields and rows for a grid of JSON values; without a header the fields are named Field 1, Field 2, ….

    Short rows are filled up with "". Raises Refused in the words of the original."""
    width = max(map(len, data), default=0)
    header, rows = (data[0], data[1:]) if first_row_header and data else ([], data)
    if not width:
        raise Refused(INVALID_TABLE_DATA)
    if len(rows) > MAX_ROWS:
        text = f"The initial table data limit has been exceeded. You can provide a maximum of {MAX_ROWS} rows."
        raise Refused(TABLE_DATA_TOO_LONG, text)
    if width > MAX_FIELDS:
        raise Refused(TOO_MANY_FIELDS)
    names = [as_text(name).strip() for name in header] + [
        f"Field {place}" for place in range(len(header) + 1, width + 1)
    ]
    for name in names:
        check_name(name)
    if len(set(names)) < len(names):
        raise Refused(DUPLICATE_HEADER)
    cells = [(*map(as_text, row), *[""] * (width - len(row))) for row in rows]
    return TableContent(dict.fromkeys(names, "text"), cells)


def as_text(value: object) -> str:
    """A value of the data as text; null is empty, and no database keeps NUL."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    return text.replace("\0", "")


def check_name(name: str) -> None:
    """Raises Refused for a name that no field may have."""
    if not name:
        raise Refused(BLANK_FIELD_NAME)
    if len(name) > MAX_NAME:
        raise Refused(LONG_FIELD_NAME)
    if name in RESERVED:
        raise Refused(RESERVED_FIELD_NAME)
