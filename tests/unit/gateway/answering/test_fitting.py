"""How many searches of an `_msearch` fit into the deadline: learned from what was in time."""

from __future__ import annotations

import pytest

from connector.gateway.answering.fitting import FIRST, MOST, FittingSearches


@pytest.mark.parametrize(
    ("tried", "found", "took_s", "then"),
    [
        (FIRST, FIRST, 0.3, FIRST + FIRST // 2 + 1),  # time to spare
        (FIRST, FIRST, 0.45, FIRST),  # just in time
        (FIRST - 1, FIRST - 1, 0.1, FIRST),  # more than came may fit, or not
        (FIRST, 20, 0.9, 20),
        (FIRST, 0, 0.9, FIRST // 2),
        (FIRST, 0, 0.1, FIRST),  # something broke: that is no matter of time
        (1, 0, 2.0, 1),
    ],
)
def test_it_follows_what_was_in_time(tried: int, found: int, took_s: float, then: int) -> None:
    fitting = FittingSearches()
    fitting.learn(tried=tried, found=found, took_s=took_s, deadline_s=1.0)

    assert fitting.count == then


def test_it_comes_to_all_of_them_and_back_to_few() -> None:
    fitting = FittingSearches()
    for _ in range(10):
        fitting.learn(tried=fitting.count, found=fitting.count, took_s=0.1, deadline_s=1.0)
    assert fitting.count == MOST
    for _ in range(10):
        fitting.learn(tried=fitting.count, found=0, took_s=1.0, deadline_s=1.0)

    assert fitting.count == 1
