"""Reading the values of items, which every change of an item does: by a statement written by hand."""

from collections.abc import Sequence
from typing import Any

import orjson

from server.store.sql import marks, run
from server.store.transaction import Transaction

NAMES = ("id", "value", "extracted", "count", "page_number", "location", "field_id", "valid", "column_index",
         "algorithm", "confidence")  # fmt: skip
VALUES = f"""
    SELECT v.item_id, {", ".join(f'v."{name}"' for name in NAMES)}, f.name AS field_name
    FROM item_value AS v JOIN item_field AS f ON f.id = v.field_id WHERE v.item_id IN (MARKS)
    ORDER BY f.created_at, f.id, coalesce(v.column_index, -1)
"""


def read_values(tx: Transaction, item_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The values of each item with the names of their fields, field by field, rows of line items in their order."""
    found: dict[str, list[dict[str, Any]]] = {item_id: [] for item_id in item_ids}
    if not found:
        return found
    for item_id, *row in run(tx, VALUES.replace("MARKS", marks(len(found))), list(found)):
        value = dict(zip((*NAMES, "field_name"), row, strict=True))
        value["location"] = None if value["location"] is None else orjson.loads(value["location"])
        value["valid"] = bool(value["valid"])  # SQLite knows no truth
        found[item_id].append(value)
    return found
