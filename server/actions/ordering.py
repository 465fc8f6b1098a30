"""Lists that users put into an order of their own: what the messages about it carry."""

import hashlib
from collections.abc import Iterable


def put_first(first: Iterable[int], known: Iterable[int]) -> list[int]:
    """`first` without repetitions, then whatever else is known."""
    return list(dict.fromkeys([*first, *known]))


def hashed(number: int) -> str:
    """An id as the messages about order name it: everybody in the workspace gets them, whatever they may see."""
    return hashlib.sha256(str(number).encode()).hexdigest()
