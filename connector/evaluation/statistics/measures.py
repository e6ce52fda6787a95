"""Runs -> measures, by ir_measures (trec_eval's definitions)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from connector.errors import SettingsError
from connector.evaluation.files.judgments import Qrels
from connector.evaluation.files.weights import MeanWeights
from connector.extras import needs
from connector.types import Ranking

with needs("evaluate", "measuring rankings"):
    import ir_measures

MEASURES = ("nDCG@10", "RR@10", "R@50")
Run = Mapping[str, Ranking]
Values = Mapping[str, Mapping[str, float]]  # measure -> query_id -> value
log = logging.getLogger(__name__)


def default_measures(k: int) -> tuple[str, ...]:
    """What an evaluation measures unless asked otherwise; the first one is the one that pipelines are compared by."""
    return (f"nDCG@{k}", f"RR@{k}", "AP", f"R@{k}", f"Judged@{k}")


def check_measures(names: Sequence[str]) -> tuple[str, ...]:
    """The names as ir_measures writes them, each once. Raises SettingsError for one that it cannot compute."""
    known = []
    for name in names:
        try:
            measure = ir_measures.parse_measure(name)
            ir_measures.evaluator([measure], {"q": {"d": 1}})
        except (ValueError, NameError, AttributeError, TypeError, SyntaxError):
            log.debug("ir_measures does not know %r", name, exc_info=True)
            raise SettingsError(
                f"unknown measure {name!r}; measures are those of ir_measures, such as nDCG@10, RR@10, AP, R@100, "
                "P(rel=2)@5"
            ) from None
        known.append(str(measure))
    return tuple(dict.fromkeys(known))


def cutoff_of(name: str) -> int | None:
    """The rank up to which a measure reads a ranking; None where it reads all of it."""
    cutoff: int | None = ir_measures.parse_measure(name).params.get("cutoff")
    return cutoff


def measure(run: Run, qrels: Qrels, names: Sequence[str] = MEASURES) -> dict[str, dict[str, float]]:
    """Each measure of each judged query: measure -> query_id -> value. A query that the run does not answer gets 0.

    Only the order of a ranking counts: ties in its scores are not broken anew."""
    parsed = {str(measure): measure for measure in map(ir_measures.parse_measure, names)}
    scored = {query_id: falling_scores(ranking) for query_id, ranking in run.items() if ranking and query_id in qrels}
    values = {name: dict.fromkeys(qrels, 0.0) for name in parsed}
    if scored:
        judged = {query_id: dict(grades) for query_id, grades in qrels.items()}
        for metric in ir_measures.iter_calc(list(parsed.values()), judged, scored):
            values[str(metric.measure)][metric.query_id] = metric.value
    return values


def mean(values: Mapping[str, float], weights: MeanWeights | None = None) -> float:
    """The mean over all judged queries, each by its weight where there are weights."""
    if not weights:
        return sum(values.values()) / len(values) if values else 0.0
    total = sum(weights[query_id] for query_id in values)
    return sum(weights[query_id] * value for query_id, value in values.items()) / total if total else 0.0


def falling_scores(ranking: Ranking) -> dict[str, float]:
    """Scores that fall strictly with the rank, since trec_eval breaks ties by document id."""
    return {hit.doc_id: float(len(ranking) - position) for position, hit in enumerate(ranking)}
