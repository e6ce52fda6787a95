"""The smallest difference that queries can show, against simulated evaluations and the exact t test."""

from __future__ import annotations

import math

import numpy as np
import pytest

from connector.evaluation.statistics.power import POWER, queries_needed, smallest_difference
from connector.evaluation.statistics.significance import randomisation_test

TRIALS = 600


def gains_of_a_search(count: int) -> np.ndarray:
    """Differences of nDCG as two pipelines have them: many are 0, the others far from normal; their mean is 0."""
    random = np.random.default_rng(2)
    gains = np.where(random.random(count) < 0.4, 0.0, random.beta(0.6, 1.4, count) * random.choice([-1, 1], count))
    return gains - gains.mean()


@pytest.mark.parametrize("queries", [30, 120])
def test_simulated_evaluations_show_the_difference_as_often_as_promised(queries: int) -> None:
    population = gains_of_a_search(5_000)
    difference = smallest_difference(float(population.std()), queries)
    assert difference is not None
    random = np.random.default_rng(3)
    samples = random.choice(population, (TRIALS, queries)) + difference
    share = np.mean([randomisation_test(gains, resamples=500, seed=at) < 0.05 for at, gains in enumerate(samples)])

    assert share == pytest.approx(POWER, abs=3 * math.sqrt(POWER * (1 - POWER) / TRIALS))


def test_it_is_the_exact_t_test_within_a_query() -> None:
    from scipy.stats import nct, t

    for deviation, difference in ((0.3, 0.1), (0.25, 0.02), (0.2, 0.15)):
        needed = queries_needed(deviation, difference)
        powers = {}
        for count in (needed - 2, needed + 1):
            bound = t.ppf(0.975, count - 1)
            powers[count] = nct.sf(bound, count - 1, difference / deviation * math.sqrt(count))

        assert powers[needed - 2] < POWER <= powers[needed + 1]


def test_each_is_the_others_inverse() -> None:
    difference = smallest_difference(0.3, 75)
    assert difference is not None

    assert queries_needed(0.3, difference + 1e-9) == 75
    assert queries_needed(0.3, difference, alpha=0.01) > 75
    assert queries_needed(0.3, difference, power=0.9) > 75


def test_a_handful_of_queries_shows_nothing() -> None:
    assert smallest_difference(0.3, 2) is None
    assert smallest_difference(0.0, 50) == 0
    assert queries_needed(0.0, 0.1) == 2
