"""Who interprets what: functions that other packages register as entry points of `roomcast.interpreters`, each under
the content type that it takes, and our own for PDF where nobody else does it.

Invariant: the server imports nothing of other packages; only the processes do in which their interpreters run.
"""

import logging
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import NamedTuple

from server.interpretation.tasks import GROUP
from server.sandbox.tasks import Limits, Task

PDF = "application/pdf"
DOCUMENT_SIZE = 32 << 20  # bytes; what a document takes in memory, twice, while it is on its way to its interpreter
PDF_MEMORY = 512 << 20  # bytes
CONFINED, FREE = "pdf", "registered"
logger = logging.getLogger(__name__)


class Way(NamedTuple):
    """How documents of a type are interpreted: the task, and what it is given before the document."""

    task: str
    arguments: tuple[str, ...] = ()


def tasks(seconds: float) -> dict[str, Task]:
    """The tasks of worker processes, which have so much time for a document. Our own reads what strangers send and can
    touch nothing; those that an operator has installed may do what they need."""
    confined = Limits(seconds, PDF_MEMORY, DOCUMENT_SIZE)
    free = Limits(seconds, 0, DOCUMENT_SIZE, confined=False)
    return {
        CONFINED: Task("server.interpretation.pdf:interpret_pdf", confined),
        FREE: Task("server.interpretation.tasks:interpret_with", free),
    }


def find_interpreters() -> Mapping[str, Way]:
    """How each content type is interpreted; of several for one the first by its value."""
    found = {PDF: Way(CONFINED)}
    for entry in sorted(entry_points(group=GROUP), key=lambda each: each.value, reverse=True):
        logger.info("%s is interpreted by %s", entry.name, entry.value)
        found[entry.name.lower()] = Way(FREE, (entry.value,))
    return found
