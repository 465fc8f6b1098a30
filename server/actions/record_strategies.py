"""What PUT makes of a stored and a given JSON value. Pure: neither value is changed.

`force` takes the given value whatever it is; `merge` unites two objects, deeply, and takes the given value wherever
one side is no object, so arrays are replaced; `replace` takes the given value when it is of the stored one's type."""

from collections.abc import Callable, Mapping
from typing import Any

from server.errors import BAD_STRATEGY, Refused

JsonObject = Mapping[str, Any]
FILE_KEYS = ("fileName", "mimeType", "size")  # of the data of a record of a file


def force(stored: Any, given: Any) -> Any:
    """The given value."""
    return given


def merge(stored: Any, given: Any) -> Any:
    """Both objects in one; raises Refused unless both are objects."""
    if not isinstance(stored, dict) or not isinstance(given, dict):
        raise Refused(BAD_STRATEGY, "The strategy merge needs an object in the record and in the request.")
    return united(stored, given)


def united(stored: JsonObject, given: JsonObject) -> dict[str, Any]:
    """The keys of both, the given values where both have one; objects on both sides are united in turn."""
    result = dict(stored)
    for key, value in given.items():
        old = result.get(key)
        result[key] = united(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def replace(stored: Any, given: Any) -> Any:
    """The given value; raises Refused unless both are of one JSON type."""
    if json_type(stored) != json_type(given):
        text = f"The strategy replace needs the same type: {json_type(stored)}, not {json_type(given)}."
        raise Refused(BAD_STRATEGY, text)
    return given


def json_type(value: Any) -> str:
    """The JSON type of a value; whole numbers and fractions are both numbers."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def with_file(data: Any, stored: JsonObject) -> dict[str, Any]:
    """New data of a record of a file: what describes the file stays. Raises Refused unless they are an object."""
    if not isinstance(data, dict):
        raise Refused(BAD_STRATEGY, "The data of a record of a file must be an object.")
    return {name: stored[name] for name in FILE_KEYS} | {"metadata": {}} | data | {n: stored[n] for n in FILE_KEYS}


STRATEGIES: dict[str, Callable[[Any, Any], Any]] = {"force": force, "merge": merge, "replace": replace}


def strategy_named(name: str) -> Callable[[Any, Any], Any]:
    """A strategy by its name in a request; raises Refused."""
    if name not in STRATEGIES:
        raise Refused(BAD_STRATEGY, "The strategy must be force, merge or replace.")
    return STRATEGIES[name]
