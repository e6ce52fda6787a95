"""How small a difference between two pipelines so many queries can show, and how many queries a difference needs.

A difference is shown where a test at `alpha` finds it; `power` is how often it does so over samples of queries. The
formula is that of the paired t test, Nagata's approximation: Sakai, Information Retrieval Journal 19, 2016 (topic set
size design). The paired randomisation test of an evaluation comes to the same, as simulations show."""

from __future__ import annotations

import math
from statistics import NormalDist

ALPHA = 0.05
POWER = 0.8


def smallest_difference(deviation: float, queries: int, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The mean difference that so many queries show, where the differences of single queries have that standard
    deviation; None where the queries are too few to show any."""
    both, correction = _quantiles(alpha, power)
    return deviation * both / math.sqrt(queries - correction) if queries > correction + 1 else None


def queries_needed(deviation: float, difference: float, *, alpha: float = ALPHA, power: float = POWER) -> int:
    """How many queries show a mean difference above 0."""
    both, correction = _quantiles(alpha, power)
    return math.ceil((both * deviation / difference) ** 2 + correction)


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    """The sum of the normal quantiles of a two-sided test and its power, and what the t test needs beyond them."""
    of_test, of_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    return of_test + of_power, of_test**2 / 2
