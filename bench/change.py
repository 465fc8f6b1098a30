"""The change that every server tells: one row that was created, 200 bytes of JSON.

A text field of it carries `seq=N at=T`, its number and the nanoseconds of the monotonic clock at which it was due,
so it passes through every server unharmed.
"""

import json
from typing import Any

SIZE = 200  # bytes of a change in JSON
MARKER = "seq={:09d} at={:019d}"
PLACE = "{marker}"  # stands for a marker in templates


def text(marker: str) -> str:
    """The text field, padded so that the change has its size."""
    return marker + PADDING


def body(table_id: int, number: int, at: int) -> dict[str, Any]:
    """The change as an object."""
    return of_text(table_id, text(MARKER.format(number, at)))


def of_text(table_id: int, content: str) -> dict[str, Any]:
    row = {"id": 1, "order": "1.00000000000000000000", "field_1": content}
    return {"type": "rows_created", "table_id": table_id, "rows": [row], "metadata": {}, "before_row_id": None}


def encoded(table_id: int, number: int, at: int) -> bytes:
    """The change as JSON."""
    return compact(body(table_id, number, at))


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


PADDING = " " + "x" * (SIZE - 1 - len(compact(of_text(1, MARKER.format(0, 0)))))
TEMPLATE = compact(of_text(1, text(PLACE))).decode()
SOCKETIO_TEMPLATE = f'42/core,["rows_created",{TEMPLATE}]'
