"""JSONata over JSON text, as the records API takes it (contract records.md)."""

import re
from datetime import datetime

import orjson
from jsonata import Jsonata
from jsonata.jexception import JException

from server.encoding import encode
from server.errors import EXPRESSION_FAILED, Refused

MAX_TEXT = 300  # characters of an error: it may quote the data
SPEAKING = (ArithmeticError, ValueError, re.error)  # errors of Python whose texts say what was wrong with the values

datetime.strptime("1970", "%Y")  # imports what it needs when it is first called, and later it could not


def jsonata(expression: str, data: bytes) -> bytes:
    """The result as JSON text; `null` where the expression matches nothing. Numbers are those of JavaScript, 64-bit
    floats. Raises Refused with what the user should know."""
    if not expression.strip():
        raise Refused(EXPRESSION_FAILED, "The expression is empty.")
    try:
        value = orjson.loads(data)
    except ValueError:
        raise Refused(EXPRESSION_FAILED, "An integer in the data is larger than any float.") from None
    result = evaluate(expression, value)
    try:
        return encode(result)
    except (TypeError, ValueError, RecursionError):  # a function, half of a character, more than 254 levels
        raise Refused(EXPRESSION_FAILED, "The result of the expression is not JSON.") from None


def evaluate(expression: str, value: object) -> object:
    try:
        query = Jsonata(expression)
        query.set_validate_input(False)  # it comes from a JSON parser; looking at it again takes most of the time
        return query.evaluate(value)
    except MemoryError:
        raise
    except RecursionError:
        raise Refused(EXPRESSION_FAILED, "The expression calls itself too often.") from None
    except JException as error:
        raise Refused(EXPRESSION_FAILED, shown(f"JSONata {error.error}: {error}")) from None
    except SPEAKING as error:
        raise Refused(EXPRESSION_FAILED, shown(f"The expression cannot be evaluated: {error}")) from None
    except Exception:  # the evaluator meets what it does not expect with any error
        raise Refused(EXPRESSION_FAILED, "The expression cannot be evaluated.") from None


def shown(text: str) -> str:
    """A text that can be encoded and is no longer than it should be."""
    whole = text.encode(errors="replace").decode()
    return whole if len(whole) <= MAX_TEXT else whole[:MAX_TEXT] + "…"
