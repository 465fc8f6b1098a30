"""The one JSON encoder of the server, and how times are written.

A value is encoded once, when its event is recorded; from there on it is bytes.
"""

import json
from datetime import UTC, datetime
from typing import Any

import orjson


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON. Integers beyond 64 bit, which orjson refuses, take the standard library's way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def now() -> datetime:
    """The current time as it is stored: UTC without a zone, microseconds."""
    return datetime.now(UTC).replace(tzinfo=None)


def iso(moment: datetime) -> str:
    """A stored time as the database API shows it: `2026-11-21T02:20:46.484180Z`, no fraction when it is zero."""
    return moment.isoformat() + "Z"
