"""The randomisation test against exhaustive enumeration and SciPy's, and Holm's correction."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.evaluation.statistics.significance import compare, holm, randomisation_test

GAINS = st.lists(st.integers(-4, 4).map(lambda eighths: eighths / 8), min_size=1, max_size=9)


@given(GAINS)
def test_few_queries_are_tried_in_every_way(gains: list[float]) -> None:
    ways = [
        abs(sum(sign * gain for sign, gain in zip(signs, gains, strict=True)))
        for signs in product((1, -1), repeat=len(gains))
    ]
    exact = sum(way >= abs(sum(gains)) - 1e-12 for way in ways) / len(ways)

    assert randomisation_test(np.array(gains)) == pytest.approx(exact)


def scipys(now: np.ndarray, before: np.ndarray, **options: Any) -> float:
    """What SciPy gives; imported here, since that takes a second."""
    from scipy.stats import permutation_test

    found = permutation_test(
        (now, before), lambda first, two: np.mean(first - two), permutation_type="samples", **options
    )
    return float(found.pvalue)


def test_it_is_scipys_where_all_ways_are_tried() -> None:
    before, now = np.random.default_rng(3).random((2, 11))

    assert randomisation_test(now - before) == pytest.approx(scipys(now, before, n_resamples=np.inf))


def test_many_queries_are_sampled_close_to_scipys() -> None:
    random = np.random.default_rng(5)
    before = random.random(150)
    now = before + random.normal(0.02, 0.1, 150)
    theirs = scipys(now, before, n_resamples=20_000, rng=1)
    ours = randomisation_test(now - before)

    assert 0.001 < theirs < 0.2  # so that there is something to agree on
    assert ours == pytest.approx(theirs, abs=0.01)
    assert ours == randomisation_test(now - before)


def test_a_sampled_p_is_never_zero() -> None:
    assert randomisation_test(np.full(200, 0.3), resamples=999) == pytest.approx(1 / 1000)


@pytest.mark.parametrize("gains", [[], [0.0, 0.0]])
def test_no_difference_is_no_evidence(gains: list[float]) -> None:
    assert randomisation_test(np.array(gains)) == 1.0


def test_chance_is_found_as_often_as_it_should_be() -> None:
    random = np.random.default_rng(7)
    found = [randomisation_test(random.normal(size=20), resamples=400, seed=at) < 0.05 for at in range(400)]

    assert 0.02 < np.mean(found) < 0.09


@pytest.mark.parametrize(
    ("ps", "corrected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # the example of many textbooks
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm(ps: list[float], corrected: list[float]) -> None:
    assert holm(ps) == pytest.approx(corrected)


def test_pipelines_are_compared_query_by_query() -> None:
    values = {
        "base": {"a": 0.5, "b": 0.5, "c": 0.0, "d": 1.0},
        "good": {"d": 1.0, "c": 0.5, "b": 1.0, "a": 0.25},  # in another order
        "same": {"a": 0.5, "b": 0.5, "c": 0.0, "d": 1.0},
    }
    found = compare(values, "base")

    assert list(found) == ["good", "same"]
    assert (found["good"].better, found["good"].worse, found["good"].same) == (2, 1, 1)
    assert found["good"].difference == pytest.approx(0.1875)
    assert found["good"].standard_error == pytest.approx(np.std([-0.25, 0.5, 0.5, 0], ddof=1) / 2)
    assert found["good"].p == 0.5  # of 8 ways, 4 are as large
    assert found["good"].p_holm == 1.0
    assert found["same"].p == 1.0
