"""Whether two judges put pipelines in the same order, which is what judgments are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from connector.evaluation.statistics.measures import Run, measure
from connector.judging.trust.agreement import (
    SAMPLES,
    SEED,
    ConfidenceInterval,
    GradesByPair,
    draw_queries,
    percentiles,
)


@dataclass(frozen=True, slots=True)
class OrderAgreement:
    """How two judges order pipelines by a measure, on the queries and pairs that both judged.

    `tau` is Kendall's, over all these queries; `interval` over bootstrap samples of them. Both are None where a judge
    gives all pipelines the same mean. `same_best` is the share of samples in which both have the same best pipeline."""

    measure: str
    queries: int
    first_means: Mapping[str, float]
    second_means: Mapping[str, float]
    tau: float | None
    interval: ConfidenceInterval | None
    same_best: float


def compare_orders(
    runs: Mapping[str, Run],
    first: GradesByPair,
    second: GradesByPair,
    *,
    measured: str,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> OrderAgreement | None:
    """The agreement on the order of the runs; None for fewer than two runs, or fewer than two queries.

    Both judges are given the same pairs, so that what one of them did not judge cannot part them."""
    shared = [pair for pair in first if pair in second]
    queries = list(dict.fromkeys(query_id for query_id, _ in shared))
    if len(runs) < 2 or len(queries) < 2:
        return None
    values = [_values(runs, {pair: grades[pair] for pair in shared}, queries, measured) for grades in (first, second)]
    counts = draw_queries(len(queries), samples=samples, seed=seed) / len(queries)
    sampled = [matrix @ counts.T for matrix in values]  # [pipelines, samples]
    taus = kendall_taus(*sampled)
    first_means, second_means = (matrix.mean(axis=1) for matrix in values)
    tau = float(kendall_taus(first_means[:, None], second_means[:, None])[0])
    return OrderAgreement(
        measure=measured,
        queries=len(queries),
        first_means=dict(zip(runs, map(float, first_means), strict=True)),
        second_means=dict(zip(runs, map(float, second_means), strict=True)),
        tau=None if np.isnan(tau) else tau,
        interval=percentiles(taus),
        same_best=float(np.mean(sampled[0].argmax(axis=0) == sampled[1].argmax(axis=0))),
    )


def kendall_taus(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kendall's tau-b of each column of two arrays [n, m]; NaN where a column has but one value.

    M. G. Kendall, Biometrika 33, 1945: ties count for neither order."""
    above = np.triu_indices(len(first), 1)
    signs = [np.sign(np.round(matrix[:, None] - matrix[None], 12))[above] for matrix in (first, second)]
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt((signs[0] ** 2).sum(axis=0) * (signs[1] ** 2).sum(axis=0))
        taus: NDArray[np.float64] = (signs[0] * signs[1]).sum(axis=0) / scale
    return taus


def _values(runs: Mapping[str, Run], grades: GradesByPair, queries: list[str], measured: str) -> NDArray[np.float64]:
    """The measure of each query [pipelines, queries]."""
    qrels: dict[str, dict[str, int]] = {}
    for (query_id, doc_id), grade in grades.items():
        qrels.setdefault(query_id, {})[doc_id] = grade
    by_run = [next(iter(measure(run, qrels, [measured]).values())) for run in runs.values()]
    return np.array([[values[query_id] for query_id in queries] for values in by_run])
