"""Whether a pipeline differs from the baseline by more than chance would make it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connector.evaluation.files.weights import MeanWeights

RESAMPLES = 10_000
SEED = 13
BLOCK = 1_000  # resamples drawn at a time
ROUNDING = 1e-12  # sums of the same numbers in another order differ by that


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pipeline against the baseline by one measure, over the judged queries: the mean difference and its standard
    error, the queries that are better, worse and the same, and the probability of such a difference by chance: alone
    (`p`), and corrected for all pipelines of the comparison (`p_holm`)."""

    difference: float
    standard_error: float
    better: int
    worse: int
    same: int
    p: float
    p_holm: float


def compare(
    values: Mapping[str, Mapping[str, float]], baseline: str, weights: MeanWeights | None = None
) -> dict[str, Comparison]:
    """Every other pipeline against the baseline, of pipeline -> query_id -> value; all have the same queries, each of
    which counts by its weight."""
    names = [name for name in values if name != baseline]
    gains = {name: differences(values[name], values[baseline]) for name in names}
    shares = np.array([weights[query_id] if weights else 1.0 for query_id in values[baseline]], dtype=np.float64)
    ps = [randomisation_test(gains[name] * shares) for name in names]
    return {
        name: Comparison(
            difference=float((gains[name] * shares).mean()),
            standard_error=standard_error(gains[name], shares),
            better=int((gains[name] > 0).sum()),
            worse=int((gains[name] < 0).sum()),
            same=int((gains[name] == 0).sum()),
            p=p,
            p_holm=corrected,
        )
        for name, p, corrected in zip(names, ps, holm(ps), strict=True)
    }


def differences(values: Mapping[str, float], baseline: Mapping[str, float]) -> NDArray[np.float64]:
    """The gain of each query of the baseline [n]."""
    return np.array([values[query_id] - baseline[query_id] for query_id in baseline], dtype=np.float64)


def standard_error(gains: NDArray[np.float64], weights: NDArray[np.float64] | float = 1.0) -> float:
    """Of their mean, each by its weight [n], which is 1 on average; 0 for fewer than two. The linearised variance of a
    ratio: Cochran, Sampling Techniques, 1977."""
    deviations = weights * (gains - (weights * gains).mean())
    return float((np.square(deviations).sum() / (len(gains) - 1) / len(gains)) ** 0.5) if len(gains) > 1 else 0.0


def randomisation_test(gains: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED) -> float:
    """The two-sided p of Fisher's paired randomisation test: how often a mean difference at least as large comes about
    where each query's two values are swapped by the toss of a coin. Smucker, Allan, Carterette, CIKM 2007.

    All swaps are tried where they are no more than `resamples`; else that many are drawn, and the one seen counts as
    one of them, so that p is never 0 (Phipson, Smyth 2010)."""
    telling = gains[gains != 0]
    bound = abs(telling.sum()) - ROUNDING
    if len(telling) < 64 and 2 ** len(telling) <= resamples:
        every = np.arange(2 ** len(telling))[:, None] >> np.arange(len(telling)) & 1
        return float(np.mean(_as_large(telling, every, bound)))
    random = np.random.default_rng(seed)
    found = 0
    for drawn in range(0, resamples, BLOCK):
        swaps = random.integers(0, 2, size=(min(BLOCK, resamples - drawn), len(telling)), dtype=np.int8)
        found += int(_as_large(telling, swaps, bound).sum())
    return (found + 1) / (resamples + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """The p values corrected for their number, in the order given. Holm, Scandinavian Journal of Statistics 1979."""
    corrected = [0.0] * len(ps)
    highest = 0.0
    for place, position in enumerate(sorted(range(len(ps)), key=lambda at: ps[at])):
        highest = max(highest, min(1.0, ps[position] * (len(ps) - place)))
        corrected[position] = highest
    return corrected


def _as_large(gains: NDArray[np.float64], swaps: NDArray[np.integer[Any]], bound: float) -> NDArray[np.bool_]:
    """Which rows of swaps [m, n] of 0 and 1 give a sum as large as the bound, either way."""
    return np.asarray(np.abs((1 - 2 * swaps.astype(np.float64)) @ gains) >= bound)
