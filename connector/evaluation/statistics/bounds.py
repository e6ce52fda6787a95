"""Between which values a measure lies, whatever grades the documents have that nobody judged.

The bounds are reached by some grades, so none are narrower, but for the difference of two APs: there they are those of
each by itself, and may be wider."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf, log2

import numpy as np
from numpy.typing import NDArray

from connector.extras import needs

with needs("evaluate", "measuring rankings"):
    import ir_measures

ROUNDING = 1e-12
EVERY = 10**9  # the cutoff of a measure that reads the whole ranking

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Extremes:
    """From `low` to `high`, both among the values that are possible."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Case:
    """One query: two rankings of ids, the grades that are known, the `missing` ones, which may be 0 to `top`.

    `before` is empty where one ranking alone is measured: by every measure that is 0."""

    now: Sequence[str]
    before: Sequence[str]
    grades: Mapping[str, int]
    missing: Collection[str]
    top: int


FindBounds = Callable[[Case], Extremes]


def bounds_of(name: str) -> FindBounds | None:
    """What finds the bounds of a measure's value, or of its difference between two rankings; None for a measure whose
    bounds are not known here."""
    measure = ir_measures.parse_measure(name)
    params = dict(measure.params)
    cutoff, level = params.pop("cutoff", EVERY), params.pop("rel", 1)
    if params or level < 1:  # other gains or discounts, condensed lists
        return None
    known: Mapping[str, FindBounds] = {
        "nDCG": lambda case: _ndcg(case, cutoff),
        "P": lambda case: _precision(case, cutoff, level),
        "R": lambda case: _recall(case, cutoff, level),
        "RR": lambda case: _first(case, cutoff, level, lambda rank: 1 / rank),
        "Success": lambda case: _first(case, cutoff, level, lambda rank: 1.0 if rank < inf else 0.0),
        "AP": lambda case: _average_precision(case, cutoff, level),
    }
    return known.get(measure.NAME)


def _ndcg(case: Case, cutoff: int) -> Extremes:
    """A grade is a sum of levels, each worth 1, and so are the gain of a ranking and of the ideal one."""
    gains = _weights(case, cutoff, lambda rank: 1 / log2(rank + 1))
    ranks = min(cutoff, len(case.missing) + len(case.grades))
    ideal = np.array([0.0, *accumulate(1 / log2(rank + 1) for rank in range(1, ranks + 1))])
    levels = range(1, max(case.top, *case.grades.values(), 1) + 1)
    return _ratio(case, gains, ideal, levels)


def _precision(case: Case, cutoff: int, level: int) -> Extremes:
    gains = _weights(case, cutoff, lambda rank: 1 / cutoff)
    return _ratio(case, gains, np.ones(1), [level])


def _recall(case: Case, cutoff: int, level: int) -> Extremes:
    relevant = np.arange(len(case.missing) + len(case.grades) + 1, dtype=np.float64)
    return _ratio(case, _weights(case, cutoff, lambda rank: 1.0), relevant, [level])


def _weights(case: Case, cutoff: int, weight: Callable[[int], float]) -> dict[str, float]:
    """What each document adds to the difference for each level of its grade."""
    weights = {doc_id: weight(rank) for rank, doc_id in enumerate(case.now[:cutoff], start=1)}
    for rank, doc_id in enumerate(case.before[:cutoff], start=1):
        weights[doc_id] = weights.get(doc_id, 0.0) - weight(rank)
    return weights


def _ratio(case: Case, weights: Mapping[str, float], ideal: Floats, levels: Sequence[int]) -> Extremes:
    """The bounds of (sum of weights of the documents of each level) / (`ideal` of their number at each level). `ideal`
    has a value for each number of documents, the last one for all numbers above."""
    known = [[doc_id for doc_id, grade in case.grades.items() if grade >= level] for level in levels]
    counts = [len(doc_ids) for doc_ids in known]
    gained = [sum(weights.get(doc_id, 0.0) for doc_id in doc_ids) for doc_ids in known]
    free = sum(level <= case.top for level in levels)  # levels that a missing grade can reach: the first ones
    missing = np.array([weights.get(doc_id, 0.0) for doc_id in case.missing])

    def highest(sign: float) -> float:
        sums = np.concatenate([[0.0], np.cumsum(-np.sort(-sign * missing))])
        divisors = [ideal[np.minimum(np.arange(len(sums)) + count, len(ideal) - 1)] for count in counts]
        return _highest_ratio([sign * gains + sums for gains in gained], divisors, free)

    return Extremes(-highest(-1.0), highest(1.0))


def _highest_ratio(gains: Sequence[Floats], divisors: Sequence[Floats], free: int) -> float:
    """The highest ratio of sums over the levels, where each level counts the first n of the missing documents: as many
    as the level below it at most, and none above the first `free` levels. A ratio without a divisor is 0.

    Dinkelbach, Management Science 1967: a ratio is the highest where no choice makes gain - ratio * divisor more than
    0."""
    start = 0 if divisors[0][0] > 0 else 1  # where nothing relevant is known, the divisor needs a document
    if start and (not free or len(gains[0]) == 1):
        return 0.0
    chosen = [start if level == 0 else 0 for level in range(len(gains))]
    while True:
        ratio = sum(gain[at] for gain, at in zip(gains, chosen, strict=True)) / sum(
            divisor[at] for divisor, at in zip(divisors, chosen, strict=True)
        )
        found, value = _best_choice(
            [gain - ratio * divisor for gain, divisor in zip(gains, divisors, strict=True)], free, start
        )
        if value <= ROUNDING or found == chosen:
            return max(float(ratio), 0.0) if start else float(ratio)
        chosen = found


def _best_choice(values: Sequence[Floats], free: int, start: int) -> tuple[list[int], float]:
    """The numbers, none above that of the level before, whose values have the highest sum; the first is at least
    `start`."""
    sums: list[Floats] = []  # from the last free level down to the first: its value and the best of those after it
    after: Floats = np.zeros_like(values[0])
    for value in reversed(values[:free]):
        sums.append(value + after)
        after = np.maximum.accumulate(sums[-1])
    chosen = [start + int(np.argmax(sums[-1][start:]))] if free else []
    for level in reversed(sums[:-1]):
        chosen.append(int(np.argmax(level[: chosen[-1] + 1])))
    chosen += [0] * (len(values) - free)
    return chosen, sum(float(value[at]) for value, at in zip(values, chosen, strict=True))


def _first(case: Case, cutoff: int, level: int, worth: Callable[[float], float]) -> Extremes:
    """The bounds where the first relevant document counts alone: that is the first one known, or one missing before
    it. A second one could only help the other ranking."""
    relevant = {doc_id for doc_id, grade in case.grades.items() if grade >= level}
    missing = set(case.missing) if level <= case.top else set()

    def highest(of: Sequence[str], against: Sequence[str]) -> float:
        ours, theirs = ({doc_id: rank for rank, doc_id in enumerate(ids[:cutoff], start=1)} for ids in (of, against))
        known, rival = (
            min((ranks[doc_id] for doc_id in relevant & ranks.keys()), default=inf) for ranks in (ours, theirs)
        )
        chosen = (
            worth(ours[doc_id]) - worth(min(rival, theirs.get(doc_id, inf)))
            for doc_id in missing & ours.keys()
            if ours[doc_id] < known
        )
        return max([worth(known) - worth(rival), *chosen])

    return Extremes(-highest(case.before, case.now), highest(case.now, case.before))


def _average_precision(case: Case, cutoff: int, level: int) -> Extremes:
    relevant = {doc_id for doc_id, grade in case.grades.items() if grade >= level}
    missing = set(case.missing) if level <= case.top else set()
    now, before = (_average_precision_of(ranking[:cutoff], relevant, missing) for ranking in (case.now, case.before))
    return Extremes(now.low - before.high, now.high - before.low)


def _average_precision_of(ranking: Sequence[str], relevant: Collection[str], missing: Collection[str]) -> Extremes:
    """Of one ranking. For a number of missing documents that are relevant, the best is the first ones of the ranking,
    and the worst all that it lacks and the last ones."""
    known = np.array([doc_id in relevant for doc_id in ranking], dtype=np.float64)
    free = np.array([at for at, doc_id in enumerate(ranking) if doc_id in missing], dtype=np.intp)
    counts = len(relevant) + np.arange(len(free) + 1)
    best = _sums_of_precisions(known, free) / np.maximum(counts, 1)
    worst = _sums_of_precisions(known, free[::-1]) / np.maximum(counts + len(missing) - len(free), 1)
    return Extremes(float(worst.min()), float(best.max()))


def _sums_of_precisions(known: Floats, added: NDArray[np.intp]) -> Floats:
    """The sum over the relevant ranks of their precisions, with the first n of `added` made relevant too [n]. These
    are places from 0, rising or falling.

    One more adds its own precision, and to that of each relevant one after it the inverse of this one's rank."""
    inverse = 1 / np.arange(1, len(known) + 1)
    before, after = np.cumsum(known), np.cumsum((known * inverse)[::-1])[::-1]
    so_far = np.arange(len(added))
    is_rising = len(added) < 2 or added[0] < added[1]
    others = np.concatenate([[0.0], np.cumsum(inverse[added])[:-1]])[: len(added)]
    above, below = (so_far, 0.0) if is_rising else (0.0, others)
    gains = (before[added] + above + 1) * inverse[added] + after[added] + below
    return np.concatenate([[(before * known * inverse).sum()], gains]).cumsum()
