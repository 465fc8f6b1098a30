"""The demonstration's reckoning: what it would call missing, out of order or unexpected."""

import pytest

from server.cli.demo.report import holds, reckon

A, B, C = ({"type": name, "n": number} for number, name in enumerate("abc"))


@pytest.mark.parametrize(
    ("received", "missing", "out_of_order", "surplus"),
    [
        ([A, B, C], 0, 0, 0),
        ([A, C], 1, 0, 0),
        ([], 3, 0, 0),
        ([A, C, B], 0, 1, 0),
        ([C, B, A], 0, 2, 0),
        ([A, B, B, C], 0, 0, 1),
        ([A, B, C, {"type": "d"}], 0, 0, 1),
        ([C, A], 1, 1, 0),
    ],
)
def test_received_is_reckoned_against_expected(
    received: list[dict[str, object]], missing: int, out_of_order: int, surplus: int
) -> None:
    account = reckon(received, [A, B, C])
    assert (account.missing, account.out_of_order, len(account.surplus)) == (missing, out_of_order, surplus)


def test_the_same_message_expected_twice_must_come_twice() -> None:
    assert reckon([A], [A, A]).missing == 1
    assert reckon([A, A], [A, A]).missing == 0


@pytest.mark.parametrize(
    ("expected", "fits"),
    [
        ({"type": "x"}, True),
        ({"type": "y"}, False),
        ({"rows": [{"id": 1}, {"id": 2}]}, True),
        ({"rows": [{"id": 1}]}, False),
        ({"rows": [{"id": 2}, {"id": 1}]}, False),
        ({"other": None}, False),
    ],
)
def test_a_message_may_say_more_than_is_expected_but_nothing_else(expected: dict[str, object], fits: bool) -> None:
    assert holds({"type": "x", "rows": [{"id": 1, "a": 1}, {"id": 2}]}, expected) is fits
