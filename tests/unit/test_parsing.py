"""Bytes of request bodies become values, or are refused in the words of the original."""

import json
from typing import Any

import pytest

from server.rest.schemas import UnreadableBody, parse_form, parse_json


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"", {}),
        (b' {"a": 1, "b": {"a": ":"}} ', {"a": 1, "b": {"a": ":"}}),
        (b"[9223372036854775808, -9223372036854775809]", [2**63, -(2**63) - 1]),
        (b'{"a": [{"b": 123456789012345678901234567890}]}', {"a": [{"b": 123456789012345678901234567890}]}),
        (b"18446744073709551616", 2**64),
        (b"1e30", 1e30),
        ('"\\ud83d\\ude00é"'.encode(), "😀é"),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
)
def test_parses_json(raw: bytes, value: Any) -> None:
    parsed = parse_json(raw)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"{not json", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),  # recorded
        (b" ", "Expecting value: line 1 column 2 (char 1)"),
        (b"[1] 2", "Extra data: line 1 column 5 (char 4)"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM (decode using utf-8-sig): line 1 column 1 (char 0)"),
        (b'"\xff"', "'utf-8' codec can't decode byte 0xff in position 1: invalid start byte"),
        (b' {"a": 1, "a": 2} ', "A key stands twice in an object"),
        (b'[{"\\"": 1, "b": [{"x": ":", "\\u0078": 2}]}]', "A key stands twice in an object"),
        (b'{"a": [{"__proto__": {"x": 1}}]}', "The key __proto__ is not allowed"),
        (b'{"\\u005f_proto__": 18446744073709551616}', "The key __proto__ is not allowed"),
        (b'{"a": 18446744073709551616, "a": 1}', "A key stands twice in an object"),
        (b'{"a": "\\ud800"}', "Lone surrogates are not allowed"),
        (b'{"\\udc00": 1}', "Lone surrogates are not allowed"),
        (b"[1" + b"0" * 5000 + b"]", "Exceeds the limit (4300 digits) for integer string conversion"),
        (b"[" * 65 + b"]" * 65, "Nested more than 64 levels deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "Nested more than 64 levels deep"),
        (b"[" * 65 + b"18446744073709551616" + b"]" * 65, "Nested more than 64 levels deep"),
        (b"[" * 100_000 + b"]" * 100_000, "Nested more than 64 levels deep"),
        (b'[{"a":' * 100_000, "Nested more than 64 levels deep"),
    ],
)
def test_refuses_what_is_not_json(raw: bytes, detail: str) -> None:
    with pytest.raises(UnreadableBody) as refusal:
        parse_json(raw)
    assert refusal.value.detail == f"JSON parse error - {detail}"
    assert refusal.value.kind.status == 400


@pytest.mark.parametrize("raw", [b"NaN", b"[-Infinity]", b'{"a": Infinity}', b"1e999", b"[-1e999]"])
def test_refuses_numbers_without_a_value(raw: bytes) -> None:
    with pytest.raises(UnreadableBody) as refusal:
        parse_json(raw)
    assert refusal.value.detail.startswith("JSON parse error - Out of range float values are not JSON compliant")


def test_the_depth_limit_is_the_callers() -> None:
    assert parse_json(b"[[1]]", max_depth=2) == [[1]]
    with pytest.raises(UnreadableBody):
        parse_json(b"[[1]]", max_depth=1)


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b"name=x", {"name": "x"}),  # recorded
        (b"", {}),
        (b"name=&b=a%20c+d&b=%C3%A9", {"name": "", "b": "é"}),
        (b"a=%FF\xff&%zz", {"a": "\ufffd\ufffd", "%zz": ""}),
    ],
)
def test_parses_forms(raw: bytes, fields: dict[str, str]) -> None:
    assert parse_form(raw) == fields


def test_refuses_forms_of_too_many_fields() -> None:
    with pytest.raises(UnreadableBody):
        parse_form(b"&".join(b"a=1" for _ in range(1001)))
