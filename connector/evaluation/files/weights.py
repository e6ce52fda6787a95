"""How much each query counts in a mean: by a number that it has, such as how often it is asked."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from connector.errors import SettingsError
from connector.evaluation.files.queries import JudgedQuery

MeanWeights = Mapping[str, float]  # query_id -> weight, 1 on average; empty: all queries count alike


def weigh(queries: Sequence[JudgedQuery], by: str) -> dict[str, float]:
    """The weight of each query by a field of the queries, 1 on average.

    Raises SettingsError where a query has no such field, or what it has is no number from 0 on."""
    known = sorted({label for query in queries for label in query.labels})
    if not any(by in query.labels for query in queries):
        raise SettingsError(f"no query has a field {by!r} to weigh by; fields are {', '.join(known) or 'none'}")
    given = {query.query_id: _number(query, by) for query in queries}
    total = sum(given.values())
    if not total:
        raise SettingsError(f"the field {by!r} is 0 for every query, so nothing would count")
    return {query_id: weight * len(given) / total for query_id, weight in given.items()}


def weights_among(weights: MeanWeights, query_ids: Collection[str]) -> dict[str, float]:
    """Those of some of the queries, 1 on average; empty where all queries count alike."""
    total = sum(weights[query_id] for query_id in query_ids) if weights else 0.0
    return {query_id: weights[query_id] * len(query_ids) / total for query_id in query_ids} if total else {}


def equal_queries(weights: MeanWeights, count: int) -> float:
    """How many queries of the same weight would say as much as these `count`. Kish, Survey Sampling, 1965."""
    return sum(weights.values()) ** 2 / sum(weight**2 for weight in weights.values()) if weights else float(count)


def _number(query: JudgedQuery, by: str) -> float:
    values = query.labels.get(by, ())
    try:
        number = float(values[0]) if len(values) == 1 else math.nan
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise SettingsError(
            f"query {query.query_id!r} has {', '.join(values) or 'nothing'} as {by}, which is no number to weigh by"
        )
    return number
