"""Rank-biased overlap against its definition and the values of its paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.evaluation.statistics.rank_biased_overlap import PERSISTENCE, rank_biased_overlap

ORDERS = st.lists(st.sampled_from("abcdefghij"), unique=True)


def test_by_hand() -> None:
    """Overlaps at 1 to 3: 0, 2, 2. (1 - p) / p * (2/2 p^2 + 2/3 p^3) + 2/3 p^3 with p = 0.5."""
    assert rank_biased_overlap("abc", "bad", persistence=0.5) == pytest.approx(1 / 4 + 1 / 12 + 1 / 12)
    assert rank_biased_overlap("abc", "bac", persistence=0.5) == pytest.approx(1 / 4 + 1 / 8 + 1 / 8)


def test_a_shorter_ranking_is_taken_to_go_on_as_it_began() -> None:
    """Equation 32 with S = ab, L = abc, p = 0.5: X is 1, 2, 2; the sums are 1/2 + 1/4 + 1/12 and 1/24."""
    expected = (1 / 2 + 1 / 4 + 1 / 12 + 1 / 24) + ((2 - 2) / 3 + 2 / 2) * 1 / 8

    assert rank_biased_overlap("ab", "abc", persistence=0.5) == pytest.approx(expected)
    assert rank_biased_overlap("abc", "ab", persistence=0.5) == pytest.approx(expected)


def test_the_first_ranks_count_most() -> None:
    whole = "abcdefghij"

    assert rank_biased_overlap(whole, "bacdefghij", persistence=PERSISTENCE) < rank_biased_overlap(
        whole, "abcdefghji", persistence=PERSISTENCE
    )


@given(ORDERS, ORDERS)
def test_it_lies_between_nothing_in_common_and_the_same(left: list[str], right: list[str]) -> None:
    found = rank_biased_overlap(left, right, persistence=PERSISTENCE)

    assert -1e-9 <= found <= 1 + 1e-9
    assert found == pytest.approx(rank_biased_overlap(right, left, persistence=PERSISTENCE))
    assert rank_biased_overlap(left, left, persistence=PERSISTENCE) == pytest.approx(1)
    if not set(left) & set(right):
        assert found == (0 if left or right else 1)
