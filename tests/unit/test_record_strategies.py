"""What PUT makes of two JSON values, stated as laws."""

import copy
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.actions.record_strategies import force, json_type, merge, replace, strategy_named
from server.errors import BAD_STRATEGY, Refused

keys = st.sampled_from(["a", "b", "c", ""])  # few, so that objects overlap
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda each: st.lists(each, max_size=3) | st.dictionaries(keys, each), max_leaves=12)
objects = st.dictionaries(keys, values)


@given(values, values)
def test_force_takes_what_is_given(stored: Any, given: Any) -> None:
    assert force(stored, given) == given


@given(objects, objects)
def test_merge_leaves_both_sides_as_they_were(stored: Any, given: Any) -> None:
    before = copy.deepcopy((stored, given))
    merge(stored, given)
    assert (stored, given) == before


@given(objects)
def test_merging_with_nothing_or_oneself_changes_nothing(value: Any) -> None:
    assert merge(value, {}) == merge({}, value) == merge(value, value) == value


@given(objects, objects)
def test_merging_twice_is_merging_once(stored: Any, given: Any) -> None:
    once = merge(stored, given)
    assert merge(once, given) == once


@given(objects, objects)
def test_merge_has_the_keys_of_both_and_stored_ones_first(stored: Any, given: Any) -> None:
    merged = merge(stored, given)
    assert list(merged) == list(dict.fromkeys([*stored, *given]))
    assert all(merged[key] == stored[key] for key in stored if key not in given)


@given(objects, objects)
def test_merge_is_deep_only_where_both_sides_are_objects(stored: Any, given: Any) -> None:
    merged = merge(stored, given)
    for key, value in given.items():
        both = isinstance(value, dict) and isinstance(stored.get(key), dict)
        assert merged[key] == (merge(stored[key], value) if both else value)


@given(values, values)
def test_merge_refuses_what_is_no_object(stored: Any, given: Any) -> None:
    assume(not (isinstance(stored, dict) and isinstance(given, dict)))
    with pytest.raises(Refused) as caught:
        merge(stored, given)
    assert caught.value.kind is BAD_STRATEGY


@given(values, values)
def test_replace_wants_the_same_type(stored: Any, given: Any) -> None:
    if json_type(stored) == json_type(given):
        assert replace(stored, given) == given
    else:
        with pytest.raises(Refused) as caught:
            replace(stored, given)
        assert caught.value.kind is BAD_STRATEGY


@pytest.mark.parametrize(
    ("text", "kind"),
    [("null", "null"), ("true", "boolean"), ("1", "number"), ("1.0", "number"), ('""', "string"), ("[]", "array"),
     ("{}", "object"), ("123456789012345678901234567890", "number")],
)  # fmt: skip
def test_types_are_those_of_json(text: str, kind: str) -> None:
    assert json_type(json.loads(text)) == kind


def test_unknown_strategies_are_refused() -> None:
    with pytest.raises(Refused) as caught:
        strategy_named("append")
    assert caught.value.detail == "The strategy must be force, merge or replace."
