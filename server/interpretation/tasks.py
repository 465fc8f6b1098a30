"""What worker processes do with documents: a document and what is wanted of it go in, an interpretation comes out."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any

from server.errors import EXPRESSION_FAILED, Refused
from server.interpretation.documents import Document, Interpretation, Interpreter, Unreadable, WantedField

Head = dict[str, Any]  # all of a document but its bytes
GROUP = "roomcast.interpreters"


def interpret_with(value: str, head: Head, data: bytes) -> dict[str, Any]:
    """What the interpreter of an entry point's value (`module:function`) makes of a document; raises Refused."""
    return interpret(load(value), head, data)


@cache
def load(value: str) -> Interpreter:
    """The interpreter, loaded once in each process."""
    found: Interpreter = EntryPoint("", value, GROUP).load()
    return found


def interpret(interpreter: Callable[[Document], Interpretation], head: Head, data: bytes) -> dict[str, Any]:
    """The same for one that is known."""
    document = Document(head["name"], head["content_type"], data, [WantedField(**each) for each in head["fields"]])
    try:
        return interpreter(document).model_dump()
    except Unreadable as error:
        raise Refused(EXPRESSION_FAILED, str(error)) from None
