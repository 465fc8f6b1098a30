"""What can be run in a worker process, and with which limits.

A task is a plain function of JSON-able values and bytes that returns such a value; it raises `Refused` with a text for
the user. The module that holds it must import at its top all that it will ever need: a worker opens no file after its
start, unless it is not confined. Tasks with the same limits share their workers.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Limits(NamedTuple):
    """What one call may take."""

    seconds: float  # from when a worker begins it
    memory: int  # bytes above what a worker has before its first call; 0: any
    size: int  # bytes of what goes in, and of what comes out
    confined: bool = True  # False where the code is the operator's own: then only the time and the size count


class Task(NamedTuple):
    """A function by its `module:name`, so that the server need not import it."""

    function: str
    limits: Limits


# Contract records.md. Four million bytes of records are more than any expression gets through in the time.
EXPRESSION = Limits(seconds=0.25, memory=128 << 20, size=4 << 20)

TASKS: Mapping[str, Task] = {
    "jsonata": Task("server.sandbox.query:jsonata", EXPRESSION),
    "check_values": Task("server.sandbox.expressions:check_values", EXPRESSION),
    "find_faults": Task("server.sandbox.expressions:find_faults", EXPRESSION),
}
