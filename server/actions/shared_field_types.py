"""The field types that all workspaces share (contract items.md). Their ids stay what they are."""

import uuid
from datetime import datetime
from typing import Any

from server.store.models import FieldType

BEGINNING = datetime(2026, 11, 21)
EMAIL_ADDRESS = "3334fe76-5e70-4256-8bb2-1dfe6bdc0eb0"  # documented; the others are made of it and their names
VALUE = "VALUE"
TRIMMED = ["TRIM", VALUE]
COMPACT = ["UPPER", ["REGEXP_REPLACE", r"[\s.-]", "", VALUE]]


def shape(pattern: str) -> list[Any]:
    return ["REGEXP_MATCH", pattern, VALUE]


EXPRESSIONS: dict[str, tuple[list[Any], list[Any]]] = {
    "Text": (TRIMMED, shape(r"\S")),
    "Number": (TRIMMED, ["IS_NUMBER", VALUE]),
    "Amount": (["FIXED", ["NUMBER", VALUE], 2], shape(r"^-?\d+\.\d{2}$")),
    "Percentage": (
        ["FIXED", ["NUMBER", ["REGEXP_REPLACE", r"\s*%\s*$", "", VALUE]], 2],
        ["AND", ["GTE", ["NUMBER", VALUE], 0], ["LTE", ["NUMBER", VALUE], 100]],
    ),
    "Date": (["DATE", VALUE], ["IS_DATE", VALUE]),
    "Currency": (["UPPER", TRIMMED], shape("^[A-Z]{3}$")),
    "Country": (["UPPER", TRIMMED], shape("^[A-Z]{2}$")),
    "VAT Number": (COMPACT, shape("^[A-Z]{2}[0-9A-Z+*]{2,13}$")),
    "IBAN": (COMPACT, ["MOD97", VALUE]),
    "BIC": (COMPACT, shape("^[A-Z]{6}[0-9A-Z]{2}([0-9A-Z]{3})?$")),
    "Payment Reference": (["REGEXP_REPLACE", r"\s", "", VALUE], ["LUHN", VALUE]),
    "E-mail Address": (["VALUE"], shape(r"^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$")),
}


def id_of(name: str) -> str:
    return EMAIL_ADDRESS if name == "E-mail Address" else str(uuid.uuid5(uuid.UUID(EMAIL_ADDRESS), name))


SHARED = {
    id_of(name): FieldType(
        id=id_of(name), name=name, formatter=formatter, validator=validator, created_at=BEGINNING, updated_at=BEGINNING
    )
    for name, (formatter, validator) in EXPRESSIONS.items()
}
