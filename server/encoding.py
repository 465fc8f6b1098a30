"""The one JSON encoder of the server, the one decoder of what clients send, and how times are written.

A value is encoded once, when its event is recorded; from there on it is bytes. What is decoded can be encoded again,
and every client can read it: no NaN or infinity, no lone surrogate, no key twice, no endless depth, no endless text.
"""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

MAX_DEPTH = 64
MAX_VALUES = 10_000  # in the lists and objects of one message: more is no message but an import
MAX_TEXT = 4 << 20  # bytes of one string: what aiohttp's client takes as one message, unless told otherwise
EXACT = 2**63 - 1  # a float above it may be an integer that orjson rounded
PROTOTYPE = "__proto__"  # a key that changes what an object is in JavaScript, where a receiver merges it
RECURSION = "depth limit"  # what orjson says of 1,024 levels
_SURVEYED = (dict, list, float)
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class NotJson(ValueError):
    """A text that is not JSON as we take it; `limit` is true where it is too deep or too long, and nothing else."""

    def __init__(self, text: str, *, limit: bool = False) -> None:
        super().__init__(text)
        self.limit = limit


def encode(value: Any) -> bytes:
    """Compact UTF-8 JSON. Integers beyond 64 bit, which orjson refuses, take the standard library's way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode(text: str | bytes, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a message of a client, on which all readers agree: of integers beyond 64 bits what
    JavaScript knows of them, a float. Raises NotJson, also for more than 10,000 values."""
    try:
        raw = text.encode() if isinstance(text, str) else text
        value = orjson.loads(raw)
        if _survey(value, raw, max_depth, most=MAX_VALUES):
            json.dumps(value, allow_nan=False)  # raises for infinities
        return value
    except NotJson:
        raise
    except RecursionError:
        raise too_deep(max_depth) from None
    except ValueError as error:
        raise NotJson(str(error), limit=RECURSION in str(error)) from None


def decode_exactly(raw: bytes, max_depth: int = MAX_DEPTH, *, fractions: bool = False) -> Any:
    """The value of a request body, of any size. Integers keep every digit; so do fractions, as Decimal, when they are
    asked for. Raises NotJson, in the words of the standard parser where that refuses it."""
    try:
        return _decode_exactly(raw, max_depth, fractions)
    except RecursionError:
        raise too_deep(max_depth) from None
    except UnicodeEncodeError:
        raise NotJson("Lone surrogates are not allowed") from None
    except InvalidOperation:
        raise NotJson("The exponent of a number is out of range") from None
    except NotJson:
        raise
    except ValueError as error:
        text = str(error).partition(": value has")[0]  # Python's advice about endless integers is not for clients
        raise NotJson(text) from None


def _decode_exactly(raw: bytes, max_depth: int, fractions: bool) -> Any:
    """By orjson; what it refuses or rounds by the standard parser, whose words the original answers with."""
    with suppress(orjson.JSONDecodeError):
        value = orjson.loads(raw)
        if not _survey(value, raw, max_depth, fractions=fractions):
            return value
    value = json.loads(raw.decode(), parse_float=Decimal if fractions else None)
    _survey(value, raw, max_depth)
    # raises for lone surrogates, NaN and infinities
    json.dumps(value, ensure_ascii=False, allow_nan=False, default=str).encode()
    return value


def too_deep(max_depth: int) -> NotJson:
    return NotJson(f"Nested more than {max_depth} levels deep", limit=True)


def _survey(value: object, raw: bytes, max_depth: int, *, fractions: bool = False, most: int | None = None) -> bool:
    """Whether a float (with `fractions`: any) is as large as an integer that orjson rounds. Raises RecursionError when
    nested too deeply, NotJson for keys that are forbidden or stand twice in an object, and for more values, or longer
    texts, than there may be."""
    level: list[Any] = [value] if type(value) in _SURVEYED else []
    rounded, keys, depth = False, 0, 0
    while level:
        kinds = set(map(type, level))
        if float in kinds and not rounded:
            rounded = any(type(each) is float and (fractions or abs(each) > EXACT) for each in level)
        objects = [each for each in level if type(each) is dict] if dict in kinds else []
        lists = [each for each in level if type(each) is list] if list in kinds else []
        if not objects and not lists:
            break
        keys += sum(map(len, objects))
        if any(PROTOTYPE in each for each in objects):
            raise NotJson(f"The key {PROTOTYPE} is not allowed")
        if most is not None and (most := most - sum(map(len, objects)) - sum(map(len, lists))) < 0:
            raise NotJson("Too many values", limit=True)
        if (depth := depth + 1) > max_depth:
            raise RecursionError
        level = [each for one in objects for each in one.values() if type(each) in _SURVEYED]
        level += [each for one in lists for each in one if type(each) in _SURVEYED]
    _check_strings(raw, keys)
    return rounded


def _check_strings(raw: bytes, keys: int) -> None:
    """Compares the keys of all objects with the colons outside of strings, of which each key has one."""
    if keys != raw.count(b":") and keys != _STRING.sub(b"", raw).count(b":"):
        raise NotJson("A key stands twice in an object")
    if len(raw) > MAX_TEXT and max(map(len, _STRING.findall(raw)), default=0) > MAX_TEXT:
        raise NotJson(f"A text is longer than {MAX_TEXT} bytes", limit=True)


def now() -> datetime:
    """The current time as it is stored: UTC without a zone, microseconds."""
    return datetime.now(UTC).replace(tzinfo=None)


def iso(moment: datetime) -> str:
    """A stored time as the database API shows it: `2026-11-21T02:20:46.484180Z`, no fraction when it is zero."""
    return moment.isoformat() + "Z"
