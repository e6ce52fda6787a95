"""The pair that can change the difference of pipelines most comes next: minimal test collections. Carterette, Allan,
Sitaraman, "Minimal test collections for retrieval evaluation", SIGIR 2006.

Their measure is average precision. Here it is nDCG, by which pipelines are compared here. A document adds to the
difference of two pipelines its gain times the difference of its two discounts, over the query's ideal DCG, which grows
with its gain as well. One that both have at the same rank makes a difference only by the latter.

How much of the difference is still open is a matter of chance: each ungraded document is relevant with a probability,
which is learnt from the grades of its query and of documents as prominent in the runs. So the difference has a mean and
a variance, and from these comes how sure its sign is. The next pair is the one with the largest part of the open
variance, over all pairs of pipelines, each by how open its sign is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import erfc

import numpy as np
from numpy.typing import NDArray

from connector.evaluation.statistics.measures import Run
from connector.judging.pairs import PairKey
from connector.judging.pooling.depth import best_ranks, lot

_Floats = NDArray[np.float64]
_Flags = NDArray[np.bool_]
# before any grade is known: which share of the pool is relevant, how much more that is where more runs have a document
# higher up, the gain of a relevant one, and how many grades such a guess is worth
PRIOR_RATE, PRIOR_SLOPE, PRIOR_GAIN, PRIOR_WEIGHT = 0.3, 1.0, 0.7, 3.0
NEWTON_STEPS = 6
LEAST_OPEN = 1e-6  # so that pairs are named in a sensible order when every sign is sure


@dataclass(frozen=True, slots=True)
class ExpectedDifference:
    """By how much of nDCG the pipeline that is `ahead` is expected to be better than the one `behind`, and how probable
    it is that it is better at all once the whole pool is graded, from 0.5 to 1."""

    ahead: str
    behind: str
    difference: float
    certainty: float


class Decide:
    """The state is arrays over the pairs of the pool; a grade changes one of their entries."""

    def __init__(
        self, keys: Sequence[PairKey], runs: Mapping[str, Run], *, depth: int, seed: int, highest: int
    ) -> None:
        self._keys = sorted(keys, key=lambda key: lot(seed, *key))  # argmax takes the first of equals
        self._place = {key: at for at, key in enumerate(self._keys)}
        query_ids = {query_id: at for at, query_id in enumerate(sorted({key[0] for key in keys}))}
        self._query = np.array([query_ids[key[0]] for key in self._keys], dtype=np.intp)
        discounts = np.array([self._discounts(run, depth) for run in runs.values()]).reshape(len(runs), len(keys))
        pairs = [*combinations(range(len(runs)), 2)]
        self.pairs = tuple((list(runs)[left], list(runs)[right]) for left, right in pairs)
        self._prominence = _standardised(discounts.sum(axis=0))
        self._apart = np.array([discounts[left] - discounts[right] for left, right in pairs]).reshape(-1, len(keys))
        self._grades = np.full(len(keys), np.nan)
        self._highest = highest
        self._depth = depth
        self._queries = len(query_ids)

    def tell(self, key: PairKey, grade: int | None) -> None:
        self._grades[self._place[key]] = np.nan if grade is None else max(min(grade, self._highest), 0)

    def next(self, count: int, without: Collection[PairKey]) -> list[PairKey]:
        value = np.where(np.isnan(self._grades), self._open_variance(), -1.0)
        value[[self._place[key] for key in without if key in self._place]] = -1.0
        best = (
            [int(value.argmax())] if count == 1 and len(value) else np.argsort(-value, kind="stable")[:count].tolist()
        )
        return [self._keys[at] for at in best if value[at] >= 0]

    def differences(self) -> tuple[ExpectedDifference, ...]:
        """What is to be expected of each two pipelines when all pairs are graded."""
        _, means, variances = self._differences()
        return tuple(
            ExpectedDifference(
                *(pair if mean >= 0 else pair[::-1]), abs(mean) / self._queries, 1 - _open(mean, variance) / 2
            )
            for pair, mean, variance in zip(self.pairs, means.tolist(), variances.tolist(), strict=True)
        )

    def _discounts(self, run: Run, depth: int) -> list[float]:
        """What a gain counts at the rank that the run gives to each pair; 0 below the depth [n]."""
        ranks = best_ranks({"": run}, depth)
        return [1 / np.log2(1 + ranks[key]) if key in ranks else 0.0 for key in self._keys]

    def _open_variance(self) -> _Floats:
        """What each pair adds to the variances of the differences, each by how open its sign is [n]."""
        parts, means, variances = self._differences()
        weights = [max(_open(mean, variance), LEAST_OPEN) for mean, variance in zip(means, variances, strict=True)]
        return np.asarray(weights @ parts) if len(weights) else self._prominence - self._prominence.min()

    def _differences(self) -> tuple[_Floats, _Floats, _Floats]:
        """Of each two pipelines: the variance that each ungraded pair adds to their difference [m, n], and the mean and
        the variance of this, in sums over the queries [m]."""
        graded = ~np.isnan(self._grades)
        gains = np.where(graded, self._grades, 0.0) / self._highest
        relevant = gains > 0
        gain = (gains.sum() + PRIOR_GAIN * PRIOR_WEIGHT) / (relevant.sum() + PRIOR_WEIGHT)
        probable = np.where(graded, 0.0, self._probabilities(graded, relevant))
        expected = np.where(graded, gains, probable * gain)
        ideals = np.maximum(self._ideals(expected), gain)
        sums = np.array([np.bincount(self._query, apart * expected, self._queries) for apart in self._apart])
        sums = sums.reshape(-1, self._queries)
        effects = self._effects(sums, ideals, gain, probable, relevant)
        parts = np.square(effects) * probable * (1 - probable)
        return parts, (sums / ideals).sum(axis=1), parts.sum(axis=1)

    def _effects(self, sums: _Floats, ideals: _Floats, gain: float, probable: _Floats, relevant: _Flags) -> _Floats:
        """How much larger each difference is where a pair is found relevant than where it is not [m, n]: by its own
        part of the sum, and since a query's ideal grows with every relevant document."""
        count = np.bincount(self._query, relevant + probable, self._queries)
        growth = (gain / np.log2(2 + np.minimum(count, self._depth - 1)))[self._query]
        ideal, part = ideals[self._query], self._apart * gain
        found = (sums[:, self._query] + part * (1 - probable)) / (ideal + growth * (1 - probable))
        missed = (sums[:, self._query] - part * probable) / np.maximum(ideal - growth * probable, gain / 2)
        return np.asarray(found - missed)

    def _probabilities(self, graded: _Flags, relevant: _Flags) -> _Floats:
        """That each pair is relevant: by what its place in the runs has told so far, drawn to what its query has shown
        [n]."""
        expected = _sigmoid(_fit(self._prominence[graded], relevant[graded]), self._prominence)
        rate = expected.mean() if len(expected) else PRIOR_RATE
        found = np.bincount(self._query, relevant, self._queries)
        foreseen = np.bincount(self._query, np.where(graded, expected, 0.0), self._queries)
        lift = (found + PRIOR_WEIGHT * rate) / (foreseen + PRIOR_WEIGHT * rate)
        return np.clip(expected * lift[self._query], 0.01, 0.95)

    def _ideals(self, gains: _Floats) -> _Floats:
        """The ideal DCG of each query by these gains [queries]."""
        order = np.lexsort((-gains, self._query))
        queries = self._query[order]
        starts = np.searchsorted(queries, np.arange(self._queries))
        ranks = np.arange(len(order)) - starts[queries] + 1
        discounts = np.where(ranks <= self._depth, 1 / np.log2(1 + ranks), 0.0)
        return np.asarray(np.bincount(queries, gains[order] * discounts, self._queries), dtype=np.float64)


def _fit(feature: _Floats, relevant: _Flags) -> _Floats:
    """The two coefficients of a logistic regression, most probable after a prior: by Newton's steps [2]."""
    prior = np.array([np.log(PRIOR_RATE / (1 - PRIOR_RATE)), PRIOR_SLOPE])
    design = np.stack([np.ones_like(feature), feature], axis=1)
    found = prior.copy()
    for _ in range(NEWTON_STEPS):
        rates = _sigmoid(found, feature)
        slope = design.T @ (relevant - rates) - (found - prior)
        curve = (design * (rates * (1 - rates))[:, None]).T @ design + np.eye(2)
        found = found + np.linalg.solve(curve, slope)
    return found


def _standardised(values: _Floats) -> _Floats:
    spread = values.std() if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def _sigmoid(coefficients: _Floats, feature: _Floats) -> _Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(coefficients[0] + coefficients[1] * feature, -30, 30))))


def _open(mean: float, variance: float) -> float:
    """How open the sign of a difference is: 1 where either is as likely, 0 where it is sure."""
    return erfc(abs(mean) / (2 * variance) ** 0.5) if variance > 0 else 0.0
