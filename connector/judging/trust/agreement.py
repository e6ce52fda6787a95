"""How far two judges agree on the same pairs: a table, weighted kappa with an interval, and which way they differ.

A judge is anybody who gave grades: a person, a language model, a model of clicks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.judging.pairs import PairKey

GRADES = (0, 1, 2, 3)
SAMPLES = 2_000
SEED = 13
LOW, HIGH = 2.5, 97.5  # the percentiles of an interval that holds 95 of 100 samples

GradesByPair = Mapping[PairKey, int]
Table = NDArray[np.float64]
ConfidenceInterval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """What two judges made of the pairs that both judged.

    `table` counts pairs, [4, 4]: the first judge's grade by row, the second's by column. `kappa` is None where it says
    nothing: there are no pairs, or both gave one and the same grade throughout."""

    first: str
    second: str
    table: Table
    queries: int
    kappa: float | None
    interval: ConfidenceInterval | None

    @property
    def pairs(self) -> int:
        return int(self.table.sum())

    @property
    def same(self) -> float:
        """The share of pairs with the same grade."""
        return float(np.trace(self.table) / self.pairs)

    @property
    def within_one(self) -> float:
        """The share of pairs whose grades are at most one apart."""
        return float(self.table[_distances() <= 1].sum() / self.pairs)

    @property
    def lean(self) -> float:
        """By how much the second judge's mean grade lies above the first one's."""
        steps = np.subtract.outer(np.array(GRADES), np.array(GRADES))
        return float(-(self.table * steps).sum() / self.pairs)


def compare_judges(
    first: tuple[str, GradesByPair], second: tuple[str, GradesByPair], *, samples: int = SAMPLES, seed: int = SEED
) -> JudgeAgreement:
    """The agreement of two judges, each a name and grades, on the pairs that both judged.

    The interval is a percentile bootstrap over queries, since the pairs of one query are not independent of each
    other. There is none for fewer than two queries."""
    tables = _tables_by_query(first[1], second[1])
    stacked = np.array([*tables.values()]).reshape(-1, len(GRADES), len(GRADES))
    whole: Table = stacked.sum(axis=0)
    interval = None
    if len(stacked) > 1:
        counts = draw_queries(len(stacked), samples=samples, seed=seed)
        interval = percentiles(_kappas(np.tensordot(counts, stacked, axes=1)))
    return JudgeAgreement(first[0], second[0], whole, len(stacked), weighted_kappa(whole), interval)


def weighted_kappa(table: Table) -> float | None:
    """Cohen's kappa with quadratic weights of a table of counts [n, n]; None where chance alone could not differ.

    1 less the weighted disagreement seen over the one that chance gives. J. Cohen, Psychological Bulletin 70, 1968."""
    value = float(_kappas(np.asarray(table, dtype=np.float64)[None])[0])
    return None if np.isnan(value) else value


def draw_queries(count: int, *, samples: int, seed: int) -> NDArray[np.float64]:
    """How often each query is in each bootstrap sample of as many queries [samples, count]."""
    shares = np.full(count, 1 / count)
    return np.random.default_rng(seed).multinomial(count, shares, size=samples).astype(np.float64)


def percentiles(values: NDArray[np.float64]) -> ConfidenceInterval | None:
    """The interval that holds 95 of 100 of the values that are numbers; None where none is."""
    numbers = values[~np.isnan(values)]
    if not len(numbers):
        return None
    low, high = np.percentile(numbers, [LOW, HIGH])
    return float(low), float(high)


def _tables_by_query(first: GradesByPair, second: GradesByPair) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for pair in _in_both(first, second):
        table = tables.setdefault(pair[0], np.zeros((len(GRADES), len(GRADES))))
        table[first[pair], second[pair]] += 1
    return tables


def _in_both(first: GradesByPair, second: GradesByPair) -> Iterable[PairKey]:
    return (pair for pair in first if pair in second)


def _kappas(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of tables [m, n, n]; NaN where chance gives no disagreement."""
    weights = _distances(tables.shape[-1]) ** 2
    totals = tables.sum(axis=(1, 2))
    by_chance = tables.sum(axis=2)[:, :, None] * tables.sum(axis=1)[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = (by_chance * weights).sum(axis=(1, 2)) / totals
        values: NDArray[np.float64] = 1 - (tables * weights).sum(axis=(1, 2)) / expected
    values[~(expected > 0)] = np.nan
    return values


def _distances(count: int = len(GRADES)) -> NDArray[np.float64]:
    """How far grades lie apart [n, n]."""
    steps = np.arange(count, dtype=np.float64)
    return np.abs(np.subtract.outer(steps, steps))
