"""Request bodies: the recorded bodies with their recorded refusals, and what holds for any bytes and any JSON."""

import json
from typing import Annotated, Any, Self

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, model_validator

from server.errors import INVALID_BODY, INVALID_QUERY
from server.rest.schema_types import Boolean, Char, Choice, Email, Integer, Invalid, Kind, Language, Password, problem
from server.rest.schemas import (
    Body,
    InvalidBody,
    Json,
    JsonObject,
    ListOf,
    Query,
    UnreadableBody,
    parse_form,
    parse_json,
)


class Workspace(Body):
    name: Annotated[str, Char(max_length=165)]


class Application(Body):
    name: Annotated[str, Char(max_length=160)]
    type: Annotated[str, Char()]

    @classmethod
    def read(cls, raw: object) -> Self:
        """With the quirk of the recording: where the name is missing, the type is called missing too."""
        return super().read({} if isinstance(raw, dict) and "name" not in raw else raw)


class SignUp(Body):
    name: Annotated[str, Char(min_length=2, max_length=150)]
    email: Annotated[str, Email()]
    password: Annotated[str, Password()]
    language: Annotated[str, Language()] = "en"
    authenticate: Annotated[bool, Boolean()] = False


class Account(Body):
    first_name: Annotated[str | None, Char(min_length=2, max_length=150)] = None
    language: Annotated[str | None, Language()] = None


class ChangePassword(Body):
    old_password: Annotated[str, Char()]
    new_password: Annotated[str, Password()]


class TokenAuth(Body):
    email: Annotated[str | None, Char()] = None
    username: Annotated[str | None, Char()] = None
    password: Annotated[str, Char()]


class Table(Body):
    name: Annotated[str, Char(max_length=255)]
    data: Annotated[list[Any] | None, ListOf(Json(), min_length=1)] = None


class NewField(Body):
    name: Annotated[str, Char(max_length=255)]
    type: Annotated[str, Choice(["text", "number"])]
    decimals: Annotated[int, Choice(range(11))] = 0


class RowUpdate(Body):
    model_config = ConfigDict(extra="allow")
    id: Annotated[int, Integer(min=1, missing_code="invalid")]


class UpdateRows(Body):
    items: Annotated[list[RowUpdate], ListOf(RowUpdate, max_length=200)]


class CreateRows(Body):
    items: Annotated[list[dict[str, Any]], ListOf(JsonObject(), max_length=200)]


class View(Body):
    filter_type: Annotated[str, Choice(["AND", "OR"])] = "AND"


class DatabaseToken(Body):
    name: Annotated[str, Char(max_length=100)]
    workspace: Annotated[int, Integer()]


class Settings(Body):
    on: Annotated[bool | None, Boolean(allow_null=True)] = None
    mode: Annotated[str | int | None, Choice(("a", 5), allow_null=True)] = None
    count: Annotated[int | None, Integer(min=0, max=5, allow_null=True)] = None
    free: Annotated[Any, Json(allow_null=True)] = None
    ids: Annotated[list[int], ListOf(Integer())] = Field([])
    email: Annotated[str | None, Email(allow_null=True)] = None
    is_read: Annotated[bool, Boolean()] = Field(False, alias="read")


REQUIRED = problem("This field is required.", "required")
BLANK = problem("This field may not be blank.", "blank")
NULL = problem("This field may not be null.", "null")
NO_STRING = problem("Not a valid string.", "invalid")
TWO_CHARACTERS = problem("Ensure this field has at least 2 characters.", "min_length")
SHORT = problem("This password is too short. It must contain at least 8 characters.", "password_validation_failed")
LONG = problem("This password is too long. It must not exceed 256 characters.", "password_validation_failed")
LANGUAGE = problem("Only the following language keys are valid: en,fr,nl,de,es,it,pl,ko", "invalid_language")
NO_EMAIL = problem("Enter a valid email address.", "invalid")
NO_INTEGER = problem("A valid integer is required.", "invalid")
NO_BOOLEAN = problem("Must be a valid boolean.", "invalid")
NUL = problem("Null characters are not allowed.", "null_characters_not_allowed")
NO_JSON = problem("Value must be valid JSON.", "invalid")
TOO_LONG = problem("Ensure this field has no more than 165 characters.", "max_length")
TOO_FEW = problem("Ensure this field has at least 1 elements.", "min_length")
TOO_MANY = problem("Ensure this field has no more than 200 elements.", "max_length")
NO_OBJECT = problem("Invalid data. Expected a dictionary, but got list.", "invalid")
NO_ID = problem("This field is required.", "invalid")
NEW = {"name": "Bad", "email": "w@example.com", "password": "password-1234"}


def no_choice(value: object) -> Any:
    return problem(f'"{value}" is not a valid choice.', "invalid_choice")


RECORDED: list[tuple[type[Body], Any, dict[str, Any]]] = [
    (Workspace, None, {"non_field_errors": [problem("No data provided", "null")]}),  # from source, not recorded
    (Workspace, {}, {"name": [REQUIRED]}),
    (Workspace, {"name": None}, {"name": [NULL]}),
    (Workspace, {"name": ["x"]}, {"name": [NO_STRING]}),
    (Workspace, {"name": "   "}, {"name": [BLANK]}),
    (Workspace, {"name": "x" * 166}, {"name": [TOO_LONG]}),
    (Workspace, [1, 2], {"non_field_errors": [NO_OBJECT]}),
    (Application, {"type": "database"}, {"name": [REQUIRED], "type": [REQUIRED]}),
    (Application, {"name": "", "type": "database"}, {"name": [BLANK]}),
    (SignUp, {**NEW, "name": "W", "password": "short"}, {"name": [TWO_CHARACTERS], "password": [SHORT]}),
    (SignUp, {**NEW, "password": "short"}, {"password": [SHORT]}),
    (SignUp, {**NEW, "password": "x" * 257}, {"password": [LONG]}),
    (SignUp, {}, {"name": [REQUIRED], "email": [REQUIRED], "password": [REQUIRED]}),
    (SignUp, {**NEW, "email": "not-an-email"}, {"email": [NO_EMAIL]}),
    (SignUp, {**NEW, "language": "xx"}, {"language": [LANGUAGE]}),
    (Account, {"first_name": "x", "language": "xx"}, {"first_name": [TWO_CHARACTERS], "language": [LANGUAGE]}),
    (ChangePassword, {"old_password": "password-1234", "new_password": "short"}, {"new_password": [SHORT]}),
    (Table, {}, {"name": [REQUIRED]}),
    (Table, {"name": "Empty data", "data": []}, {"data": [TOO_FEW]}),
    (NewField, {"name": "zz", "type": "nope"}, {"type": [no_choice("nope")]}),
    (NewField, {"type": "text"}, {"name": [REQUIRED]}),
    (NewField, {"name": "yy"}, {"type": [REQUIRED]}),
    (NewField, {"name": "n", "type": "text", "decimals": 99}, {"decimals": [no_choice(99)]}),
    (UpdateRows, {"items": [{"Name": "x"}]}, {"items": {"0": {"id": [NO_ID]}}}),
    (CreateRows, {"items": [{}] * 201}, {"items": [TOO_MANY]}),
    (View, {"filter_type": "XOR"}, {"filter_type": [no_choice("XOR")]}),
    (DatabaseToken, {}, {"name": [REQUIRED], "workspace": [REQUIRED]}),
]


@pytest.mark.parametrize(("model", "raw", "detail"), RECORDED)
def test_refuses_in_the_recorded_words(model: type[Body], raw: Any, detail: dict[str, Any]) -> None:
    with pytest.raises(InvalidBody) as refusal:
        model.read(raw)
    assert refusal.value.detail == detail
    assert list(refusal.value.detail) == list(detail)
    assert refusal.value.kind == INVALID_BODY


def test_reads_what_the_original_took() -> None:
    assert Workspace.read({"name": 123, "unknown": 1}).name == "123"
    account = SignUp.read({"name": " New Person ", "email": "NEW@EXAMPLE.COM", "password": "password-1234"})
    assert (account.name, account.email, account.authenticate) == ("New Person", "new@example.com", False)


@pytest.mark.parametrize("raw", [{}, {"email": "new@example.com"}])
def test_the_token_endpoints_answer_with_plain_texts(raw: dict[str, str]) -> None:
    with pytest.raises(InvalidBody) as refusal:
        TokenAuth.read(raw)
    assert refusal.value.plain() == {"password": ["This field is required."]}


@pytest.mark.parametrize(
    ("kind", "values", "cleaned"),
    [
        (Char(), [1.5, " 1.5\n", "\u00a01.5"], "1.5"),
        (Char(allow_blank=True, min_length=3), ["  ", ""], ""),
        (Char(allow_null=True), [None], None),
        (Integer(min=0, max=12), [12, "12.0", " 12 ", 12.0], 12),
        (Integer(), [2**63 - 1, str(2**63 - 1)], 2**63 - 1),
        (Boolean(), ["Yes", 1, 1.0, "t", "1", "ON", True], True),
        (Boolean(), ["oFF", 0, "false", "n"], False),
        (Boolean(allow_null=True), ["null", "", None], None),
        (Choice(("a", 5)), ["5", 5], 5),
        (Choice(("", "a")), [""], ""),
        (Email(), [" A.b+c@Sub.Example.com ", "a.b+c@sub.example.com"], "a.b+c@sub.example.com"),
        (Email(), ['"a B"@example.com'], '"a b"@example.com'),
        (Email(), ["me@localhost"], "me@localhost"),
        (Email(), ["me@bücher.example"], "me@bücher.example"),
        (Password(), [" 12345678 ", 12345678], "12345678"),
        (Language(), ["ko"], "ko"),
        (ListOf(Char()), [[1, "a "]], ["1", "a"]),
        (JsonObject(), [{"a": [{"b": "\\u0000"}]}], {"a": [{"b": "\\u0000"}]}),
        (Json(), ["x"], "x"),
    ],
)
def test_cleans(kind: Kind, values: list[Any], cleaned: Any) -> None:
    for value in values:
        result = kind.clean(value)
        assert result == cleaned
        assert type(result) is type(cleaned)


@pytest.mark.parametrize(
    ("kind", "values", "found"),
    [
        (Char(), [True, {}, [], "\ud800"], NO_STRING),
        (Char(), ["é\0x"], NUL),
        (Integer(), [True, "", "1.5", 1.5, [1], {}, 1e20, "\ud800"], NO_INTEGER),
        (Integer(), ["1" * 1001], problem("String value too large.", "max_string_length")),
        (Integer(max=5), [6, "7"], problem("Ensure this value is less than or equal to 5.", "max_value")),
        (Integer(min=0), [-1], problem("Ensure this value is greater than or equal to 0.", "min_value")),
        (Integer(), [2**63], problem(f"Ensure this value is less than or equal to {2**63 - 1}.", "max_value")),
        (Boolean(), ["maybe", 2, [], {}, "", "null"], NO_BOOLEAN),
        (Choice(("a",)), [""], no_choice("")),
        (Choice(("a",)), [["a"]], no_choice("['a']")),
        (Choice(("a",)), ["\ud800{x}"], no_choice("?{x}")),
        (Choice(("a",)), ["x" * 1000], no_choice("x" * 200)),
        (Email(), ["a@b", "a@-b.example", "a..b@example.com", "a@example.com\n.x", "a@[127.0.0.1]", "a@."], NO_EMAIL),
        (Password(), ["\0" * 8], NUL),
        (Email(), ["", " "], BLANK),
        (Boolean(), [None], NULL),
        (ListOf(Char()), ["abc"], problem('Expected a list of items but got type "str".', "not_a_list")),
        (ListOf(Char()), [{}], problem('Expected a list of items but got type "dict".', "not_a_list")),
        (ListOf(Char(), max_length=200), [[True] * 201], TOO_MANY),
        (JsonObject(), [[]], problem('Expected a dictionary of items but got type "list".', "not_a_dict")),
        (JsonObject(), [{"a": [2**64]}, {"\ud800": 1}], NO_JSON),
        (JsonObject(), [{"a": {"\\\0": 1}}, {"a": ["\0"]}], NUL),
    ],
)
def test_refuses(kind: Kind, values: list[Any], found: Any) -> None:
    for value in values:
        with pytest.raises(Invalid) as refusal:
            kind.clean(value)
        assert refusal.value.problems == [found]


def test_tells_all_that_is_wrong_with_a_text() -> None:
    with pytest.raises(Invalid) as refusal:
        Char(max_length=165).clean("x" * 165 + "\0")
    assert refusal.value.problems == [TOO_LONG, NUL]


def test_errors_of_items_nest_by_index() -> None:
    items = [{"id": 1}, None, 3, {"id": "x", "\ud800": 1}, {"id": 0}]
    with pytest.raises(InvalidBody) as refusal:
        UpdateRows.read({"items": items})
    assert refusal.value.detail == {
        "items": {
            "1": [NULL],
            "2": {"non_field_errors": [problem("Invalid data. Expected a dictionary, but got int.", "invalid")]},
            "3": {"non_field_errors": [problem("Not a valid value.", "invalid")]},
            "4": {"id": [problem("Ensure this value is greater than or equal to 1.", "min_value")]},
        }
    }


def test_rows_keep_their_cells() -> None:
    row = UpdateRows.read({"items": [{"id": "7", "field_1": None, "read": 1, "model_dump": 2}]}).items[0]
    assert row.given() == {"id": 7, "field_1": None, "read": 1, "model_dump": 2}


def test_given_knows_null_from_absent() -> None:
    assert Settings.read({}).given() == {}
    assert Settings.read({"on": None, "read": "true"}).given() == {"on": None, "is_read": True}


def test_query_parameters_have_an_error_code_of_their_own() -> None:
    class Move(Query):
        before_id: Annotated[int | None, Integer()] = None

    assert Move.read({"before_id": "3"}).before_id == 3
    with pytest.raises(InvalidBody) as refusal:
        Move.read({"before_id": "x"})
    assert refusal.value.kind == INVALID_QUERY
    assert refusal.value.detail == {"before_id": [NO_INTEGER]}


def test_what_only_the_store_can_tell() -> None:
    refusal = InvalidBody.of("workspace", 'Invalid pk "9" - object does not exist.', "does_not_exist")
    assert refusal.detail["workspace"] == [problem('Invalid pk "9" - object does not exist.', "does_not_exist")]


def test_a_rule_across_fields_names_the_fields_it_refuses() -> None:
    class Range(Body):
        low: Annotated[int, Integer()]
        high: Annotated[int, Integer()]

        @model_validator(mode="after")
        def in_order(self) -> Self:
            if self.low > self.high:
                raise Invalid({"high": [problem("Too low.", "invalid")]})
            return self

    with pytest.raises(InvalidBody) as refusal:
        Range.read({"low": 2, "high": 1})
    assert refusal.value.detail == {"high": [problem("Too low.", "invalid")]}


def test_every_field_needs_a_kind() -> None:
    with pytest.raises(TypeError, match="name needs a kind"):

        class Wrong(Body):
            name: str


def test_json_schema_says_what_is_accepted() -> None:
    schema = SignUp.model_json_schema()
    assert schema["required"] == ["name", "email", "password"]
    assert schema["properties"]["name"] == {"title": "Name", "type": "string", "minLength": 2, "maxLength": 150}
    assert schema["properties"]["email"]["format"] == "email"
    assert schema["properties"]["language"]["enum"][0] == "en"
    assert Account.model_json_schema()["properties"]["first_name"].keys() == {"title", "type", "minLength", "maxLength"}
    settings = Settings.model_json_schema()["properties"]
    count = {"type": "integer", "format": "int64", "minimum": 0, "maximum": 5}
    assert settings["count"]["anyOf"] == [count, {"type": "null"}]
    assert settings["read"]["type"] == "boolean"
    rows = UpdateRows.model_json_schema()
    items = {"title": "Items", "type": "array", "items": {"$ref": "#/$defs/RowUpdate"}, "maxItems": 200}
    assert rows["properties"]["items"] == items
    assert rows["$defs"]["RowUpdate"]["required"] == ["id"]
    assert CreateRows.model_json_schema()["properties"]["items"]["items"]["type"] == "object"


TEXTS = st.text(st.characters(codec=None, exclude_categories=()))
NAMES = st.sampled_from([*SignUp.model_fields, *Settings.model_fields, "items", "id", "data", "type", "read"]) | TEXTS
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20)
BODIES = st.dictionaries(NAMES, VALUES) | VALUES
MODELS = st.sampled_from([SignUp, Settings, Table, NewField, UpdateRows, CreateRows, TokenAuth])


@given(MODELS, BODIES)
def test_read_raises_nothing_but_its_own_error(model: type[Body], raw: Any) -> None:
    try:
        body = model.read(raw)
    except InvalidBody as refusal:
        json.dumps(refusal.detail)
    else:
        assert body.given().keys() <= set(model.model_fields) | set(body.model_extra or {})


def test_read_survives_what_python_cannot_show() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"a": deep}, 10**5000):
        with pytest.raises(InvalidBody) as refusal:
            Settings.read(dict.fromkeys(["on", "mode", "count", "free", "email"], value))
        assert refusal.value.detail.keys() == {"on", "mode", "count", "free", "email"}
    with pytest.raises(InvalidBody):
        Settings.read({"email": f"a@{'x.' * 100_000}com"})


@given(st.binary() | TEXTS.map(lambda text: text.encode(errors="surrogatepass")))
def test_parsers_raise_nothing_but_their_own_error(raw: bytes) -> None:
    for parse in (parse_json, parse_form):
        try:
            parse(raw)
        except UnreadableBody as refusal:
            assert isinstance(refusal.detail, str)


@given(VALUES)
@example([{"__proto__": None}])
def test_what_is_parsed_is_what_the_standard_parser_reads(value: Any) -> None:
    raw = json.dumps(value)
    try:
        parsed = parse_json(raw.encode())
    except UnreadableBody:
        assert any(refused in raw for refused in ("\\ud", "NaN", "Infinity", '"__proto__":'))
    else:
        assert json.dumps(parsed) == raw
