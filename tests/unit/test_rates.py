"""Token buckets: how often something may happen."""

import pytest

from server import rates
from server.rates import UNLIMITED, Rate, Rates, counted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that buckets see; a test may set it."""
    now = [1000.0]
    monkeypatch.setattr(rates, "monotonic", lambda: now[0])
    return now


def test_a_burst_may_be_taken_at_once_and_comes_back_token_by_token(clock: list[float]) -> None:
    buckets: Rates[str] = Rates(Rate.of(2, 5))
    assert [buckets.take("ann") for _ in range(5)] == [0.0] * 5
    assert buckets.take("ann") == buckets.take("ann") == 0.5  # what is refused costs nothing
    clock[0] += 0.5
    assert buckets.take("ann") == 0.0
    assert buckets.take("ann") == 0.5
    assert buckets.take("bob") == 0.0


def test_what_was_taken_can_be_given_back(clock: list[float]) -> None:
    buckets: Rates[str] = Rates(Rate.of(1, 1))
    assert buckets.take("ann") == 0.0
    buckets.give_back("ann")
    buckets.give_back("nobody")
    assert buckets.take("ann") == 0.0
    assert buckets.take("ann") == 1.0


def test_a_bucket_that_is_full_again_is_forgotten(clock: list[float]) -> None:
    buckets: Rates[int] = Rates(Rate.of(1, 10))
    for round_ in range(10):
        clock[0] += 2
        for key in range(1000):
            buckets.take(round_ * 1000 + key)
    assert len(buckets) <= 2 * rates.SWEEP


def test_no_rate_is_no_limit_and_keeps_nothing(clock: list[float]) -> None:
    buckets: Rates[str] = Rates(Rate.of(0, 1))
    assert [buckets.take("ann") for _ in range(100)] == [0.0] * 100
    assert len(buckets) == 0
    assert UNLIMITED.excess(UNLIMITED.take(0.0, 1.0), 1.0) == 0


def test_excess_grows_with_what_is_refused() -> None:
    rate, full_at, excess = Rate.of(10, 3), 0.0, []
    for _ in range(6):
        full_at = rate.take(full_at, 50.0)
        excess.append(rate.excess(full_at, 50.0))
    assert excess == [-2, -1, 0, 1, 2, 3]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3::4", "20010db800010002"),
        ("2001:db8:1:2:ffff::", "20010db800010002"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("", ""),
    ],
)
def test_the_networks_of_a_customer_count_as_one_and_the_machine_itself_as_none(address: str, name: str) -> None:
    assert counted(address) == name
