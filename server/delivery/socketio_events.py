"""Events of Socket.IO clients: which method of a namespace handles one, and what is answered.

Invariants: nothing but a method whose name begins with `on_` is called, and nothing that it raises gets further than
an answer that says so.
"""

import logging
from typing import Any

import socketio

from server.errors import Refused, Unavailable

WORDS = str.maketrans(".-", "__")  # how the names of events become those of methods
logger = logging.getLogger(__name__)


async def answer_event(namespace: socketio.AsyncNamespace, sid: str, event: list[Any]) -> list[Any]:
    """Has a namespace handle an event, its name and arguments; the arguments of the answer: what the handler returns,
    several as a tuple, or that it could not be handled."""
    name, *arguments = event
    handler = getattr(namespace, f"on_{name.translate(WORDS)}", None)
    if handler is None:
        return [failure("ERROR_UNKNOWN_EVENT", "There is no such event.")]
    try:
        answer = await handler(sid, *arguments)
    except Refused as error:
        return [failure(error.kind.code, error.detail)]
    except Unavailable as error:
        logger.warning("database unavailable: %s", error)
        return [failure("ERROR_UNAVAILABLE", "The database is not available just now.")]
    except Exception:
        logger.exception("the handler of an event failed")
        return [failure("ERROR_INTERNAL", "The server failed to answer this event.")]
    if isinstance(answer, tuple):
        return [*answer]
    return [] if answer is None else [answer]


def failure(code: str, message: Any) -> dict[str, Any]:
    """The answer to an event that was not handled; its code is that of the same failure of a request."""
    return {"ok": False, "error": code, "message": message}
