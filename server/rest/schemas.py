"""Request bodies and query parameters: read bytes, check them against a class, refuse in the recorded words.

`parse_json` or `parse_form` turn bytes into values, a `Body` subclass turns values into typed fields. Invariants:
nothing but `UnreadableBody` leaves the parsers and nothing but `InvalidBody` leaves `Body.read`, whatever the client
sent; every field of a body carries a `Kind`, so that no wording of pydantic reaches a client. A wire name that is a
method here (`read`) becomes a field by alias: `is_read: Annotated[bool, Boolean()] = Field(alias="read")`.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails, core_schema

from server.encoding import MAX_DEPTH, NotJson, decode_exactly
from server.errors import INVALID_BODY, INVALID_QUERY, ErrorCode, Refused
from server.metrics import Limit, met
from server.rest.schema_types import Detail, Invalid, Kind, Problem, problem, refuse

MAX_FORM_FIELDS = 1000
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # in JSON text: an escape that is not itself escaped


class UnreadableBody(Refused):
    """Bytes that are not JSON or not a form; `detail` is a text, the whole answer is `{"detail": text}`."""

    def __init__(self, text: str) -> None:
        super().__init__(ErrorCode("", 400), text)


class InvalidBody(Refused):
    """A body with refused fields; `detail` maps each field to its problems, or to details by index."""

    def __init__(self, detail: Detail, kind: ErrorCode = INVALID_BODY) -> None:
        super().__init__(kind, detail)
        self.detail: Detail = detail

    @classmethod
    def of(cls, name: str, text: str, code: str) -> Self:
        """One problem of one field, for what only the store can tell (`does_not_exist`)."""
        return cls({name: [problem(text, code)]})

    def plain(self) -> dict[str, list[str]]:
        """`{field: [text]}`, the shape of token-auth and token-verify, whose bodies are flat."""
        flat = {name: found for name, found in self.detail.items() if isinstance(found, list)}
        return {name: [each["error"] for each in found] for name, found in flat.items()}


@dataclass(frozen=True)
class ListOf(Kind):
    """A list whose items are of one kind or of one `Body` class; errors nest by index."""

    item: "Kind | type[Body]"
    min_length: int | None = None
    max_length: int | None = None

    def convert(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise refuse(f'Expected a list of items but got type "{type(value).__name__}".', "not_a_list")
        self._check_length(len(value))  # before the items (the original: after), so that a huge list costs nothing
        cleaned: list[Any] = []
        wrong: Detail = {}
        for index, item in enumerate(value):
            try:
                cleaned.append(self.item.clean(item))
            except Invalid as refusal:
                wrong[str(index)] = refusal.problems
        if wrong:
            raise Invalid(wrong)
        return cleaned

    def _check_length(self, length: int) -> None:
        if self.max_length is not None and length > self.max_length:
            raise refuse(f"Ensure this field has no more than {self.max_length} elements.", "max_length")
        if self.min_length is not None and length < self.min_length:
            raise refuse(f"Ensure this field has at least {self.min_length} elements.", "min_length")

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = Annotated[Any, self.item] if isinstance(self.item, Kind) else self.item
        return core_schema.list_schema(
            handler.generate_schema(item), min_length=self.min_length, max_length=self.max_length
        )


@dataclass(frozen=True)
class Json(Kind):
    """Any JSON value that every store and the log can keep: no NUL, no integer that orjson cannot write; `max_size` is
    in bytes."""

    max_size: int | None = field(default=None, kw_only=True)

    def convert(self, value: Any) -> Any:
        try:
            text = orjson.dumps(value)
        except orjson.JSONEncodeError:
            raise refuse("Value must be valid JSON.", "invalid") from None
        if _NUL.search(text):
            raise refuse("Null characters are not allowed.", "null_characters_not_allowed")
        if self.max_size is not None and len(text) > self.max_size:
            raise refuse(f"Ensure this value has no more than {self.max_size} bytes.", "max_length")
        return value


@dataclass(frozen=True)
class JsonObject(Json):
    """A JSON object whose content is free, or checked by whoever knows its fields."""

    def convert(self, value: Any) -> Any:
        if isinstance(value, dict):
            return super().convert(value)
        raise refuse(f'Expected a dictionary of items but got type "{type(value).__name__}".', "not_a_dict")

    def shape(self, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.dict_schema()


class Body(BaseModel):
    """A request body: subclasses list its fields, each with a kind; unknown keys are ignored.

    A field with a default may be absent. For PATCH give every field the default None and look at `given()`.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    refusal: ClassVar[ErrorCode] = INVALID_BODY

    @classmethod
    def read(cls, raw: object) -> Self:
        """The checked body. Raises `InvalidBody` with every problem, in the order of the fields."""
        if isinstance(raw, dict):
            try:
                return cls.model_validate(raw)
            except ValidationError as error:
                raise InvalidBody(cls._detail(error), cls.refusal) from None
        found = problem(f"Invalid data. Expected a dictionary, but got {type(raw).__name__}.", "invalid")
        if raw is None:
            found = problem("No data provided", "null")
        raise InvalidBody({"non_field_errors": [found]}, cls.refusal)

    @classmethod
    def clean(cls, value: Any, /) -> Self:
        """The same for an item of a list. Raises `Invalid`."""
        if value is None:
            raise refuse("This field may not be null.", "null")
        try:
            return cls.read(value)
        except InvalidBody as refusal:
            raise Invalid(refusal.detail) from None

    def given(self) -> dict[str, Any]:
        """The fields that the client sent, by name; what it left out is not in it."""
        return {name: value for name, value in self if name in self.model_fields_set}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: object) -> None:
        for name, info in cls.model_fields.items():
            if _kind(info) is None:
                raise TypeError(f"{cls.__name__}.{name} needs a kind: Annotated[…, Char()] or the like")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core)
        for each in handler.resolve_ref_schema(schema).get("properties", {}).values():
            if each.get("default", ...) is None and "anyOf" not in each:
                del each["default"]  # None stands for "not given"; the client may not send null
        return schema

    @classmethod
    def _detail(cls, error: ValidationError) -> Detail:
        detail: Detail = {}
        for found in error.errors(include_url=False, include_input=False):
            name = str(found["loc"][0]) if found["loc"] else "non_field_errors"
            problems = cls._problems(name, found)
            detail |= {name: problems} if found["loc"] or isinstance(problems, list) else problems
        return detail

    @classmethod
    def _problems(cls, name: str, found: ErrorDetails) -> Detail | list[Problem]:
        cause = found.get("ctx", {}).get("error")
        if isinstance(cause, Invalid):
            return cause.problems
        if found["type"] != "missing":
            return [problem("Not a valid value.", "invalid")]
        kinds = (_kind(info) for key, info in cls.model_fields.items() if (info.alias or key) == name)
        return [problem("This field is required.", next((kind.missing_code for kind in kinds if kind), "required"))]


class Query(Body):
    """Query parameters: a body whose refusal has the error code of query parameters."""

    refusal = INVALID_QUERY


def _kind(info: FieldInfo) -> Kind | None:
    return next((each for each in info.metadata if isinstance(each, Kind)), None)


def parse_json(raw: bytes, max_depth: int = MAX_DEPTH, *, exact: bool = False) -> Any:
    """The value of a JSON text, its fractions as Decimal when `exact`; no bytes at all count as `{}`, as recorded.
    Raises UnreadableBody for what `encoding` does not take."""
    try:
        return decode_exactly(raw, max_depth, fractions=exact) if raw else {}
    except NotJson as error:
        if error.limit:
            met(Limit.JSON_DEPTH)
        raise UnreadableBody(f"JSON parse error - {error}") from None


def parse_form(raw: bytes) -> dict[str, str]:
    """The fields of an `application/x-www-form-urlencoded` body; of repeated names the last wins.

    Raises `UnreadableBody` for more than 1,000 fields; whatever else is odd is read as Django reads it.
    """
    try:
        pairs = parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise UnreadableBody("Too many form fields") from None
    return dict(pairs)
