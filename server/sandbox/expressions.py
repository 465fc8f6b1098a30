"""The prefix expressions of field types (contract items.md): what a formatter makes of a value, what a validator
thinks of it.

An expression is `"VALUE"`, a literal (text, number, true, false) or a list of an operator and its arguments, which are
expressions: `["AND", ["REGEXP_MATCH", "^[A-Z]{3}$", "VALUE"], ["NOT", ["EQ", "VALUE", "XXX"]]]`. `["VALUE"]` means
`"VALUE"`. A formatter gives text, a validator, which sees the formatted value, gives true or false.

| operator | arguments | gives |
|---|---|---|
| REGEXP_MATCH | regex, text | whether the regex (of Python's `re`) is found anywhere in the text |
| REGEXP_REPLACE | regex, replacement, text | the text with each match replaced; `\\1`, `\\g<name>` stand for groups |
| UPPER, LOWER, TRIM | text | text |
| CONCAT | text, … | the texts together |
| LENGTH | text | number of characters |
| NUMBER | text, "." or "," | the number; without a decimal sign given, `1.234,50` and `1 234.5` are understood |
| FIXED | number, places | text with 0 to 10 decimal places, half rounded up |
| DATE | text, "DMY", "MDY" or "YMD" | the date as `YYYY-MM-DD`; the order, DMY if not given, is for years at the end |
| IS_NUMBER, IS_DATE | as NUMBER and DATE | whether it is one |
| LUHN | text | whether its digits end with the check digit of payment references and organisation numbers |
| MOD97 | text | whether its check digits are those of an IBAN |
| EQ, LT, LTE, GT, GTE | two texts or two numbers | comparison; texts by code point, so that dates compare |
| IN | text, text, … | whether the first is one of the others |
| AND, OR | true or false, … | as far as needed, from the left |
| NOT | true or false | the opposite |
| IF | true or false, x, y | x or y, and only that one is evaluated |

Where a text is no number or date, a formatter leaves the value as it was, and a validator says no; a formatter whose
result is too long, or has a NUL, leaves the value too. An empty value is valid: whether there must be one is the
field's `required`. Regexes and replacements are literals; `check` refuses at definition whatever could not be
evaluated, so that `evaluate` fails on no value.
"""

import re
from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, NamedTuple

from server.sandbox.readings import Unreadable, has_iban_digits, has_luhn_digit, read_date, read_number

MAX_DEPTH = 16
MAX_PARTS = 200  # operators, literals and values of one expression
MAX_LITERAL = 500  # characters
MAX_VALUE = 4096  # characters that a formatter may give
MAX_PLACES = 10
TEXT, NUMBER, BOOLEAN = "text", "number", "boolean"
VALUE = "VALUE"

Result = str | bool | Decimal


class Malformed(ValueError):
    """An expression that cannot be evaluated; the text says why, to whoever wrote it."""


def write_fixed(number: Decimal, places: Decimal) -> str:
    """The number with so many decimal places; raises Unreadable for more than 28 digits."""
    try:
        return str(number.quantize(Decimal(1).scaleb(-int(places)), ROUND_HALF_UP))
    except InvalidOperation:
        raise Unreadable from None


def is_readable(read: Callable[..., object]) -> Callable[..., bool]:
    """Whether a text can be read as something."""

    def readable(*arguments: Any) -> bool:
        try:
            read(*arguments)
        except Unreadable:
            return False
        return True

    return readable


class Operator(NamedTuple):
    """What an operator takes, a kind each (`?` may be absent, `*` at least once), and gives; `any` is one kind, the
    same wherever it stands."""

    takes: str
    gives: str
    run: Callable[..., Result]


OPERATORS = {
    "REGEXP_MATCH": Operator("regex text", BOOLEAN, lambda regex, text: re.search(regex, text) is not None),
    "REGEXP_REPLACE": Operator("regex replacement text", TEXT, re.sub),
    "UPPER": Operator("text", TEXT, str.upper),
    "LOWER": Operator("text", TEXT, str.lower),
    "TRIM": Operator("text", TEXT, str.strip),
    "CONCAT": Operator("text*", TEXT, lambda *texts: "".join(texts)),
    "LENGTH": Operator("text", NUMBER, lambda text: Decimal(len(text))),
    "NUMBER": Operator("text sign?", NUMBER, read_number),
    "FIXED": Operator("number places", TEXT, write_fixed),
    "DATE": Operator("text order?", TEXT, read_date),
    "IS_NUMBER": Operator("text sign?", BOOLEAN, is_readable(read_number)),
    "IS_DATE": Operator("text order?", BOOLEAN, is_readable(read_date)),
    "LUHN": Operator("text", BOOLEAN, has_luhn_digit),
    "MOD97": Operator("text", BOOLEAN, has_iban_digits),
    "EQ": Operator("any any", BOOLEAN, lambda one, other: one == other),
    "LT": Operator("any any", BOOLEAN, lambda one, other: one < other),
    "LTE": Operator("any any", BOOLEAN, lambda one, other: one <= other),
    "GT": Operator("any any", BOOLEAN, lambda one, other: one > other),
    "GTE": Operator("any any", BOOLEAN, lambda one, other: one >= other),
    "IN": Operator("text text*", BOOLEAN, lambda text, *others: text in others),
    "AND": Operator("boolean*", BOOLEAN, all),
    "OR": Operator("boolean*", BOOLEAN, any),
    "NOT": Operator("boolean", BOOLEAN, lambda truth: not truth),
    "IF": Operator("boolean any any", "any", lambda truth, one, other: one if truth else other),
}
LAZY = ("AND", "OR")  # take the results one by one, and no more of them than they need


def check_values(questions: list[tuple[Any, Any, str]]) -> list[tuple[str, bool]]:
    """The answers to many questions, each of a formatter, a validator and a value: a task for a worker process."""
    return [check_value(*question) for question in questions]


def check_value(formatter: Any, validator: Any, value: str) -> tuple[str, bool]:
    """What the formatter makes of a value, and whether the validator takes that; None stands for no expression."""
    formatted = value
    if formatter is not None:
        try:
            made = evaluate(formatter, value)
        except Unreadable:
            made = value
        formatted = made if isinstance(made, str) and can_be_kept(made) else value
    if validator is None or not formatted:
        return formatted, True
    try:
        return formatted, evaluate(validator, formatted) is True
    except Unreadable:
        return formatted, False


def can_be_kept(text: str) -> bool:
    """Whether a text is short enough and every database takes it: a replacement may write NUL as `\\0`."""
    return len(text) <= MAX_VALUE and "\0" not in text


def evaluate(expression: Any, value: str) -> Result:
    """What a checked expression gives for a value; raises Unreadable. Its time and memory depend on the regexes that
    users wrote: to be called in a worker process, unless the expression is ours."""
    if not isinstance(expression, list):
        return value if expression == VALUE else literal(expression)
    name, *arguments = expression
    if name == VALUE:
        return value
    if name == "IF":
        return evaluate(arguments[1] if evaluate(arguments[0], value) else arguments[2], value)
    results = (evaluate(each, value) for each in arguments)
    run = OPERATORS[name].run
    return run(results) if name in LAZY else run(*results)


def literal(value: Any) -> Result:
    return value if isinstance(value, str | bool) else Decimal(str(value))


def find_faults(formatter: Any, validator: Any) -> dict[str, str]:
    """What is wrong with the expressions of a field type, by name: a task for a worker process too, because a short
    regex can take long to compile."""
    found = {}
    for name, expression, gives in (("formatter", formatter, TEXT), ("validator", validator, BOOLEAN)):
        try:
            if expression is not None:
                check(expression, gives)
        except Malformed as error:
            found[name] = str(error)
    return found


def check(expression: Any, gives: str) -> None:
    """Raises Malformed unless the expression can be evaluated and gives `text` or `boolean`."""
    if sum(1 for _ in _parts(expression, 0)) > MAX_PARTS:
        raise Malformed(f"It has more than {MAX_PARTS} parts.")
    if (found := _kind_of(expression)) != gives:
        raise Malformed(f"It must give {gives}, not {found}.")


def _parts(expression: Any, depth: int) -> Iterator[Any]:
    """All parts of an expression; raises Malformed when it is nested too deeply."""
    if depth > MAX_DEPTH:
        raise Malformed(f"It is nested more than {MAX_DEPTH} levels deep.")
    yield expression
    if isinstance(expression, list):
        for each in expression:
            yield from _parts(each, depth + 1)


def _kind_of(expression: Any) -> str:
    """What an expression gives; raises Malformed."""
    if isinstance(expression, bool):
        return BOOLEAN
    if isinstance(expression, int | float):
        return NUMBER
    if isinstance(expression, str):
        if len(expression) > MAX_LITERAL:
            raise Malformed(f"A text has more than {MAX_LITERAL} characters.")
        return TEXT
    if expression == [VALUE]:
        return TEXT
    if not (isinstance(expression, list) and expression and isinstance(expression[0], str)):
        raise Malformed("An expression is a text, a number, true, false or a list that begins with an operator.")
    name, *arguments = expression
    if name not in OPERATORS:
        raise Malformed(f'There is no operator "{name[:40]}".')
    return _check_arguments(name, arguments)


def _check_arguments(name: str, arguments: list[Any]) -> str:
    """Checks the arguments of an operator and says what it then gives."""
    operator, bound = OPERATORS[name], ""
    for place, (wanted, argument) in enumerate(zip(_wanted(name, len(arguments)), arguments, strict=True), 1):
        if wanted in LITERALS:
            if not LITERALS[wanted](argument, arguments):
                raise Malformed(f"Argument {place} of {name} is no {wanted}.")
            continue
        found = _kind_of(argument)
        if wanted == "any":
            wanted = bound = bound or found
        if found != wanted:
            raise Malformed(f"Argument {place} of {name} is {found}, not {wanted}.")
    return bound if operator.gives == "any" else operator.gives


def _wanted(name: str, count: int) -> list[str]:
    """The kinds of so many arguments; raises Malformed when the operator takes another number."""
    kinds = OPERATORS[name].takes.split()
    least = sum(not kind.endswith("?") for kind in kinds)
    if count < least or (count > len(kinds) and not kinds[-1].endswith("*")):
        raise Malformed(f"{name} takes {' '.join(kinds)}, not {count} arguments.")
    kinds += [kinds[-1]] * (count - len(kinds))
    return [kind.rstrip("?*") for kind in kinds[:count]]


def _is_regex(argument: Any, _: list[Any]) -> bool:
    if not isinstance(argument, str) or len(argument) > MAX_LITERAL:
        return False
    try:
        re.compile(argument)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise Malformed(f"The regex cannot be used: {error}.") from None
    return True


def _is_replacement(argument: Any, arguments: list[Any]) -> bool:
    """Whether all groups that the replacement names are in the regex before it."""
    if not isinstance(argument, str) or len(argument) > MAX_LITERAL:
        return False
    try:
        re.sub(arguments[0], argument, "")
    except (re.error, IndexError):
        return False
    return True


LITERALS: dict[str, Callable[[Any, list[Any]], bool]] = {
    "regex": _is_regex,
    "replacement": _is_replacement,
    "places": lambda given, _: type(given) is int and 0 <= given <= MAX_PLACES,
    "sign": lambda given, _: given in (".", ","),
    "order": lambda given, _: given in ("DMY", "MDY", "YMD"),
}
