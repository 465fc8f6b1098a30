"""Kinds of fields of request bodies: what each accepts, what it becomes, and the words with which it refuses.

A kind is put beside the Python type, `name: Annotated[str, Char(max_length=160)]`, and does the whole validation;
pydantic only carries it. Invariants: the words and codes are those of the recorded API (contract database.md (c));
`clean` raises nothing but `Invalid`, whatever JSON value it gets; a cleaned text holds neither NUL nor lone
surrogates, a cleaned integer fits into 64 bits, so that every store can keep it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_INTEGER_TEXT = 1000  # as in the original: int() of a long text costs quadratic time
MAX_EMAIL = 254  # the longest path that SMTP can carry
PASSWORD_CODE = "password_validation_failed"
LANGUAGES = ("en", "fr", "nl", "de", "es", "it", "pl", "ko")

_TRUE, _FALSE = {"t", "y", "yes", "true", "on", "1"}, {"f", "n", "no", "false", "off", "0"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_ZERO_DECIMALS = re.compile(r"\.0*\s*\Z")
_ATOM = r"[-!#$%&'*+/=?^_`{}|~0-9A-Za-z]+"
_MAILBOX = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"(?:[ !#-\[\]-~]|\\[ -~])*"')
_DOMAIN = re.compile(r"(?:[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?\.)+[0-9a-z-]{2,63}(?<!-)")


class Problem(TypedDict):
    """One refusal: a text for people and a code for programs."""

    error: str
    code: str


Detail = dict[str, "Detail | list[Problem]"]


class Invalid(ValueError):
    """A refused value: its problems, or for a list or an object the details by index or field."""

    def __init__(self, problems: list[Problem] | Detail) -> None:
        super().__init__("invalid value")
        self.problems = problems


def problem(text: str, code: str) -> Problem:
    return {"error": text, "code": code}


def refuse(text: str, code: str) -> Invalid:
    return Invalid([problem(text, code)])


@dataclass(frozen=True)
class Kind:
    """What all kinds share: null is refused unless `allow_null`; `missing_code` is the code for an absent field."""

    allow_null: bool = field(default=False, kw_only=True)
    missing_code: str = field(default="required", kw_only=True)

    def clean(self, value: Any, /) -> Any:
        """The value in its Python type, or `Invalid`."""
        if value is not None:
            return self.convert(value)
        if not self.allow_null:
            raise refuse("This field may not be null.", "null")
        return None

    def convert(self, value: Any) -> Any:
        raise NotImplementedError

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        """What the JSON Schema shall say of the kind; it validates nothing."""
        return core_schema.any_schema()

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        shape = core_schema.nullable_schema(self.shape(handler)) if self.allow_null else self.shape(handler)
        return core_schema.no_info_plain_validator_function(self.clean, json_schema_input_schema=shape)


@dataclass(frozen=True)
class Char(Kind):
    """Trimmed text; a number counts as its text. Lengths are in characters."""

    min_length: int | None = None
    max_length: int | None = None
    allow_blank: bool = False
    format: ClassVar[str | None] = None

    def convert(self, value: Any) -> str:
        text = _as_text(value)
        if not text and not self.allow_blank:
            raise refuse("This field may not be blank.", "blank")
        if text and (problems := self.problems(text)):
            raise Invalid(problems)
        return text

    def problems(self, text: str) -> list[Problem]:
        """All that is wrong with a text that is not blank, in the order in which the original says it."""
        found = []
        if self.max_length is not None and len(text) > self.max_length:
            found.append(problem(f"Ensure this field has no more than {self.max_length} characters.", "max_length"))
        if self.min_length is not None and len(text) < self.min_length:
            found.append(problem(f"Ensure this field has at least {self.min_length} characters.", "min_length"))
        if "\0" in text:
            found.append(problem("Null characters are not allowed.", "null_characters_not_allowed"))
        return found

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        shortest = None if self.allow_blank else max(self.min_length or 1, 1)
        updates = {"pydantic_js_updates": {"format": self.format}} if self.format else None
        return core_schema.str_schema(min_length=shortest, max_length=self.max_length, metadata=updates)


@dataclass(frozen=True)
class Email(Char):
    """An email address, in lower case, because accounts are found by it whatever the case."""

    max_length: int | None = MAX_EMAIL
    format = "email"

    def convert(self, value: Any) -> str:
        return super().convert(value).lower()

    def problems(self, text: str) -> list[Problem]:
        return super().problems(text) + (
            [] if _is_email(text) else [problem("Enter a valid email address.", "invalid")]
        )


@dataclass(frozen=True)
class Password(Char):
    """A new password. For a password that is only compared use `Char()`: it trims the same way."""

    min_length: int | None = 8
    max_length: int | None = 256
    format = "password"

    def problems(self, text: str) -> list[Problem]:
        words = {
            "min_length": f"This password is too short. It must contain at least {self.min_length} characters.",
            "max_length": f"This password is too long. It must not exceed {self.max_length} characters.",
        }
        found = [(each["error"], each["code"]) for each in super().problems(text)]
        return [problem(words.get(code, text), PASSWORD_CODE if code in words else code) for text, code in found]


@dataclass(frozen=True)
class Integer(Kind):
    """An integer, also as text or as 1.0; without bounds of its own anything of 64 bits."""

    min: int = INT64_MIN
    max: int = INT64_MAX

    def convert(self, value: Any) -> int:
        number = _as_integer(value)
        if number > self.max:
            raise refuse(f"Ensure this value is less than or equal to {self.max}.", "max_value")
        if number < self.min:
            raise refuse(f"Ensure this value is greater than or equal to {self.min}.", "min_value")
        return number

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        low, high = (None if bound in (INT64_MIN, INT64_MAX) else bound for bound in (self.min, self.max))
        return core_schema.int_schema(ge=low, le=high, metadata={"pydantic_js_updates": {"format": "int64"}})


@dataclass(frozen=True)
class Boolean(Kind):
    """True or false, also 1 and 0 and the words that the original takes, in any case."""

    def convert(self, value: Any) -> bool | None:
        word = value.lower() if isinstance(value, str) else str(int(value)) if value in (0, 1) else None
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        if self.allow_null and word in ("null", ""):
            return None
        raise refuse("Must be a valid boolean.", "invalid")

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.bool_schema()


@dataclass(frozen=True)
class Choice(Kind):
    """One of `values`, compared as text: of the choice 5 both 5 and "5" are spellings. List "" to allow blank."""

    values: Sequence[str | int]

    def convert(self, value: Any) -> str | int:
        text = _shown(value)
        for choice in self.values:
            if str(choice) == text:
                return choice
        raise self.refusal(_SURROGATE.sub("?", text[:200]))  # an answer need not quote a megabyte

    def refusal(self, text: str) -> Invalid:
        return refuse(f'"{text}" is not a valid choice.', "invalid_choice")

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.literal_schema(list(self.values))


@dataclass(frozen=True)
class Language(Choice):
    """One of the languages that the web client knows."""

    values: Sequence[str | int] = LANGUAGES

    def refusal(self, text: str) -> Invalid:
        return refuse(f"Only the following language keys are valid: {','.join(LANGUAGES)}", "invalid_language")


def _as_text(value: Any) -> str:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = _shown(value).strip()
        if not _SURROGATE.search(text):
            return text
    raise refuse("Not a valid string.", "invalid")


def _as_integer(value: Any) -> int:
    if isinstance(value, str) and len(value) > MAX_INTEGER_TEXT:
        raise refuse("String value too large.", "max_string_length")
    try:
        return int(_ZERO_DECIMALS.sub("", _shown(value)))
    except ValueError:
        raise refuse("A valid integer is required.", "invalid") from None


def _shown(value: Any) -> str:
    """The value as Python shows it; its type for what Python cannot show: endless numbers, endless nesting."""
    try:
        return str(value)
    except (ValueError, RecursionError):
        return type(value).__name__


def _is_email(text: str) -> bool:
    """As Django sees it, but without address literals (`user@[127.0.0.1]`) and control characters in quotes."""
    mailbox, _, domain = text.rpartition("@")
    if len(text) > MAX_EMAIL or not _MAILBOX.fullmatch(mailbox):
        return False
    try:
        return domain == "localhost" or bool(_DOMAIN.fullmatch(domain.encode("idna").decode().lower()))
    except UnicodeError:
        return False
