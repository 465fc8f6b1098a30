"""JSON that sockets bring: taken where all readers agree on it, and refused otherwise."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.encoding import MAX_DEPTH, decode

KEYS = st.text(st.characters(exclude_categories=["Cs"])).filter(lambda key: key != "__proto__")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | KEYS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
    max_leaves=30,
)


@given(VALUES, st.booleans(), st.none() | st.integers(0, 2))
def test_what_is_json_for_everybody_is_taken_however_it_is_written(value: Any, ascii: bool, indent: int | None) -> None:
    assert decode(json.dumps(value, ensure_ascii=ascii, indent=indent)) == value


@pytest.mark.parametrize("text", ["1e2", "-0", "1.50", '"\\u0061\\/"', " [1 , 2] ", '{"a":"__proto__"}', '{"proto":1}'])
def test_odd_spellings_are_taken(text: str) -> None:
    assert decode(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "NaN", "-Infinity", "1e999", "[1,]", "{1:2}", "'x'", "01", "\ufeff1",
        '"\\ud800"', '{"\\udc00":1}', "\ud800",
        "9" * 400, "9" * 5000, '{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"x":{"a":[],"a":[]}}]',
        '{"__proto__":1}', '{"\\u005f_proto__":1}', '[[{"a":{"__proto__":{}}}]]',
        "[" * 10_000, "[" * 10_000 + "]" * 10_000, "[" + "0," * 10_000 + "0]", "[" + "[]," * 10_000 + "0]",
    ],
)  # fmt: skip
def test_what_readers_would_not_agree_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_depth_is_bounded(opening: str, closing: str) -> None:
    times = MAX_DEPTH // (opening.count("[") + opening.count("{"))
    value = json.loads(allowed := opening * times + "1" + closing * times)
    assert decode(allowed) == value
    with pytest.raises(ValueError):
        decode(f"[{allowed}]")


def test_an_integer_beyond_64_bits_is_what_javascript_makes_of_it() -> None:
    assert decode(f"[{1 << 64},{(1 << 64) - 1},{-(1 << 70)}]") == [float(1 << 64), (1 << 64) - 1, -float(1 << 70)]
