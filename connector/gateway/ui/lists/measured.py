"""What the judgments of the folder say of two pipelines, by the measures of `connector eval`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connector.evaluation.statistics.measures import Run, mean, measure
from connector.evaluation.statistics.significance import compare
from connector.gateway.ui.lists.difference import MEASURES, QueryDifference
from connector.types import Hit, Ranking

SIDES = ("first", "second")


@dataclass(frozen=True, slots=True)
class MeasuredDifference:
    """The means of a measure over the judged queries, how many of these are better and worse with the second
    pipeline, and how often chance alone gives such a difference."""

    first: float
    second: float
    better: int
    worse: int
    p: float

    @property
    def difference(self) -> float:
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class JudgedFigures:
    """Of `judged` queries: each measure, and by query the two values of the first measure."""

    judged: int
    measures: Mapping[str, MeasuredDifference]
    values: Mapping[str, tuple[float, float]]


def measure_differences(
    differences: Sequence[QueryDifference], judgments: Mapping[str, Mapping[str, int]]
) -> JudgedFigures | None:
    """Of the queries that have judgments (query -> doc_id -> grade); None where none has any. What is not judged counts
    as irrelevant."""
    judged = {str(at): difference for at, difference in enumerate(differences) if judgments.get(difference.query)}
    if not judged:
        return None
    qrels = {query_id: dict(judgments[difference.query]) for query_id, difference in judged.items()}
    values = [measure(_run(judged, side), qrels, MEASURES) for side in range(len(SIDES))]
    measured = {}
    for name in values[0]:
        sides = {side: found[name] for side, found in zip(SIDES, values, strict=True)}
        compared = compare(sides, SIDES[0])[SIDES[1]]
        first, second = (mean(found) for found in sides.values())
        measured[name] = MeasuredDifference(first, second, compared.better, compared.worse, compared.p)
    sides_of_query = [found[MEASURES[0]] for found in values]
    by_query = {
        difference.query: (sides_of_query[0][name], sides_of_query[1][name]) for name, difference in judged.items()
    }
    return JudgedFigures(len(judged), measured, by_query)


def _run(judged: Mapping[str, QueryDifference], side: int) -> Run:
    return {query_id: _ranking(difference.best[side]) for query_id, difference in judged.items()}


def _ranking(doc_ids: Sequence[str]) -> Ranking:
    return tuple(Hit(doc_id, float(-rank)) for rank, doc_id in enumerate(doc_ids))
