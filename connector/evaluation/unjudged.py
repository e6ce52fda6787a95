"""What documents that nobody judged could change: measures without them, between which values each measure lies, and
whether a conclusion depends on them.

Unjudged documents are those among the first ones that any pipeline of the evaluation gives, to the cutoff of the
measure. Others are taken as not relevant, as with every pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from connector.evaluation.files.judgments import Qrels
from connector.evaluation.statistics.bounds import EVERY, Case, Extremes, bounds_of
from connector.evaluation.statistics.measures import cutoff_of, mean, measure
from connector.evaluation.statistics.significance import Comparison, compare, holm, randomisation_test
from connector.evaluation.verdict import CHANCE

if TYPE_CHECKING:
    from connector.evaluation.evaluate import Evaluation, Measured

INFERRED = "infAP"
Gains = NDArray[np.float64]
Missing = Mapping[str, Sequence[str]]  # query_id -> doc_ids


class Conclusion(StrEnum):
    """What a comparison with the baseline comes to."""

    BETTER = "better"
    WORSE = "worse"
    CHANCE = "chance"  # the difference may be chance


IN_WORDS = {
    Conclusion.BETTER: "is better than the baseline",
    Conclusion.WORSE: "is worse than the baseline",
    Conclusion.CHANCE: "differs from the baseline by what may be chance",
}


@dataclass(frozen=True, slots=True)
class PipelineUnjudged:
    """Of the documents among the first k of a pipeline's rankings, how many are `unjudged`, and which share is judged
    (the mean of Judged@k). Its measures by condensed lists, its infAP, and the bounds of the measures that have
    them."""

    unjudged: int
    judged_share: float
    condensed: Mapping[str, float]
    inferred_ap: float
    bounds: Mapping[str, Extremes]


@dataclass(frozen=True, slots=True)
class Dependence:
    """A pipeline against the baseline by the first measure: with unjudged documents as not relevant, by condensed
    lists, and what other conclusions some grades of theirs would lead to. `bounds` are those of the mean difference,
    None where they are not known."""

    conclusion: Conclusion
    condensed: Comparison
    condensed_conclusion: Conclusion
    bounds: Extremes | None
    possible: tuple[Conclusion, ...]

    @property
    def depends(self) -> bool:
        return any(other != self.conclusion for other in (self.condensed_conclusion, *self.possible))


@dataclass(frozen=True, slots=True)
class Unjudged:
    """`highest` is the best grade that a document may have."""

    k: int
    highest: int
    pipelines: Mapping[str, PipelineUnjudged]
    comparisons: Mapping[str, Dependence]

    @property
    def count(self) -> int:
        return sum(pipeline.unjudged for pipeline in self.pipelines.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader has to know before believing a conclusion."""
        depending = [name for name, found in self.comparisons.items() if found.depends]
        other = [name for name, found in self.comparisons.items() if found.condensed_conclusion != found.conclusion]
        if not depending:
            return ()
        share = 1 - sum(pipeline.judged_share for pipeline in self.pipelines.values()) / len(self.pipelines)
        warnings = [
            f"the conclusion about {_listed(depending)} depends on documents that nobody judged, {share:.0%} of the "
            f"first {self.k}; connector judge pool chooses which to judge"
        ]
        for name in other:
            now, without = self.comparisons[name].conclusion, self.comparisons[name].condensed_conclusion
            warnings.append(f"{name} {IN_WORDS[now]}; measured without unjudged documents it {IN_WORDS[without]}")
        return tuple(warnings)


def find_unjudged(evaluation: Evaluation) -> Unjudged:
    """What the unjudged documents of an evaluation could change."""
    highest = evaluation.collection.highest_grade
    condensed = {measured.name: _condensed(measured, evaluation) for measured in evaluation.pipelines}
    return Unjudged(
        evaluation.k,
        highest,
        {
            measured.name: _of_pipeline(measured, evaluation, condensed[measured.name])
            for measured in evaluation.pipelines
        },
        _compare(evaluation, condensed),
    )


def conclude(comparison: Comparison) -> Conclusion:
    """By the sign of the difference, where it is more than chance gives."""
    return _conclude(comparison.difference, comparison.p_holm)


def _conclude(difference: float, p: float) -> Conclusion:
    if p >= CHANCE:
        return Conclusion.CHANCE
    return Conclusion.BETTER if difference > 0 else Conclusion.WORSE


def _condensed(measured: Measured, evaluation: Evaluation) -> dict[str, dict[str, float]]:
    """The measures without the unjudged documents: condensed lists. Sakai, SIGIR 2007."""
    qrels = evaluation.collection.qrels
    run = {
        query_id: tuple(hit for hit in ranking if hit.doc_id in qrels.get(query_id, ()))
        for query_id, ranking in measured.run.items()
    }
    return measure(run, qrels, [name for name in evaluation.measures if not name.startswith("Judged")])


def _of_pipeline(
    measured: Measured, evaluation: Evaluation, condensed: Mapping[str, Mapping[str, float]]
) -> PipelineUnjudged:
    qrels, k = evaluation.collection.qrels, evaluation.k
    first = [hit.doc_id in qrels[query_id] for query_id in qrels for hit in measured.run.get(query_id, ())[:k]]
    judged = f"Judged@{k}"
    bounds = {name: found for name in evaluation.measures if (found := _mean_bounds(measured, name, evaluation))}
    return PipelineUnjudged(
        unjudged=first.count(False),
        judged_share=mean(measure(measured.run, qrels, [judged])[judged], measured.weights),
        condensed={name: mean(values, measured.weights) for name, values in condensed.items()},
        inferred_ap=_inferred_ap(measured, qrels, _missing(evaluation, k)),
        bounds=bounds,
    )


def _inferred_ap(measured: Measured, qrels: Qrels, missing: Missing) -> float:
    """The mean of infAP, whose pool is what is judged and what is `missing`: trec_eval's grade of the latter is -1.
    Yilmaz, Aslam, CIKM 2006."""
    pool = {
        query_id: dict.fromkeys(missing[query_id], -1) | {doc_id: max(grade, 0) for doc_id, grade in grades.items()}
        for query_id, grades in qrels.items()
    }
    return mean(measure(measured.run, pool, [INFERRED])[INFERRED], measured.weights)


def _missing(evaluation: Evaluation, cutoff: int) -> Missing:
    """The unjudged documents among the first of any pipeline."""
    return {
        query_id: sorted(
            {
                hit.doc_id
                for measured in evaluation.pipelines
                for hit in measured.run.get(query_id, ())[:cutoff]
                if hit.doc_id not in grades
            }
        )
        for query_id, grades in evaluation.collection.qrels.items()
    }


def _mean_bounds(measured: Measured, name: str, evaluation: Evaluation) -> Extremes | None:
    found = _bounds(measured, None, name, evaluation)
    return Extremes(float(found[0].mean()), float(found[1].mean())) if found else None


def _bounds(now: Measured, before: Measured | None, name: str, evaluation: Evaluation) -> tuple[Gains, Gains] | None:
    """The lowest and the highest value or difference of each query [n], times its weight."""
    bounds = bounds_of(name)
    if bounds is None:
        return None
    missing, highest = _missing(evaluation, cutoff_of(name) or EVERY), evaluation.collection.highest_grade
    intervals = [
        bounds(
            Case(
                [hit.doc_id for hit in now.run.get(query_id, ())],
                [hit.doc_id for hit in before.run.get(query_id, ())] if before else (),
                grades,
                missing[query_id],
                highest,
            )
        )
        for query_id, grades in evaluation.collection.qrels.items()
    ]
    weights = np.array([now.weights.get(query_id, 1.0) for query_id in evaluation.collection.qrels])
    return weights * [interval.low for interval in intervals], weights * [interval.high for interval in intervals]


def _compare(
    evaluation: Evaluation, condensed: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> dict[str, Dependence]:
    """Every other pipeline against the baseline by the first measure."""
    name, baseline = evaluation.measures[0], evaluation.named(evaluation.baseline)
    if name.startswith("Judged"):
        return {}
    as_they_are = evaluation.compare(name)
    values = {pipeline: measures[name] for pipeline, measures in condensed.items()}
    without = compare(values, evaluation.baseline, evaluation.collection.weights)
    found = {}
    for other, compared in as_they_are.items():
        bounds = _bounds(evaluation.named(other), baseline, name, evaluation)
        rivals = [comparison.p for pipeline, comparison in as_they_are.items() if pipeline != other]
        extremes = [_conclude(float(gains.mean()), _corrected(gains, rivals)) for gains in bounds or ()]
        found[other] = Dependence(
            conclusion=conclude(compared),
            condensed=without[other],
            condensed_conclusion=conclude(without[other]),
            bounds=Extremes(float(bounds[0].mean()), float(bounds[1].mean())) if bounds else None,
            possible=tuple(dict.fromkeys(extremes)),
        )
    return found


def _corrected(gains: Gains, rivals: Sequence[float]) -> float:
    """Holm's p of these gains beside the p of the other pipelines."""
    return holm([randomisation_test(gains), *rivals])[0]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1]
