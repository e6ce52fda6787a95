"""The first measure by each kind of judge apart: people beside language models, clicks, imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.evaluation.files.weights import weights_among
from connector.evaluation.statistics.measures import mean, measure
from connector.evaluation.statistics.significance import Comparison, compare
from connector.evaluation.unjudged import IN_WORDS, Conclusion, conclude

if TYPE_CHECKING:
    from connector.evaluation.evaluate import Evaluation


@dataclass(frozen=True, slots=True)
class Judge:
    """What one kind of judge makes of the pipelines by its `grades` of so many `queries`: means, and each pipeline
    against the baseline."""

    queries: int
    grades: int
    means: Mapping[str, float]
    comparisons: Mapping[str, Comparison]
    conclusions: Mapping[str, Conclusion]


@dataclass(frozen=True, slots=True)
class Judges:
    """Each kind by its name. All are measured on the queries that all of them judged (`shared`); where there are none,
    each on its own."""

    shared: bool
    by_kind: Mapping[str, Judge]

    @property
    def verdict(self) -> str:
        """Whether they come to the same conclusions, in a sentence; empty where there is nothing to compare."""
        conclusions = {kind: judge.conclusions for kind, judge in self.by_kind.items()}
        if len(conclusions) < 2 or not next(iter(conclusions.values())):
            return ""
        differing = [
            name for name in next(iter(conclusions.values())) if len({by[name] for by in conclusions.values()}) > 1
        ]
        queries = "the same queries" if self.shared else "queries that differ from judge to judge"
        if not differing:
            return f"on {queries} {_listed(conclusions)} come to the same conclusions"
        return f"on {queries} the judges differ: " + "; ".join(
            f"by {kind} {name} {IN_WORDS[by[name]]}" for name in differing for kind, by in conclusions.items()
        )


def find_judges(evaluation: Evaluation) -> Judges | None:
    """None where the collection does not tell its judges apart."""
    apart = {kind: qrels for kind, qrels in evaluation.collection.apart.items() if qrels}
    if not apart:
        return None
    known = evaluation.collection.qrels
    shared = set(known).intersection(*apart.values())
    return Judges(
        bool(shared),
        {
            kind: _measure(
                evaluation, {query_id: qrels[query_id] for query_id in qrels if query_id in (shared or known)}
            )
            for kind, qrels in apart.items()
        },
    )


def _measure(evaluation: Evaluation, qrels: Mapping[str, Mapping[str, int]]) -> Judge:
    name = evaluation.measures[0]
    values = {measured.name: measure(measured.run, qrels, [name])[name] for measured in evaluation.pipelines}
    weights = weights_among(evaluation.collection.weights, qrels)
    compared = compare(values, evaluation.baseline, weights)
    return Judge(
        queries=len(qrels),
        grades=sum(map(len, qrels.values())),
        means={pipeline: mean(by_query, weights) for pipeline, by_query in values.items()},
        comparisons=compared,
        conclusions={pipeline: conclude(comparison) for pipeline, comparison in compared.items()},
    )


def _listed(names: Mapping[str, object]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
