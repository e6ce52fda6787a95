"""What the rules that leave rerank stages out cost and save: the search with them beside the same one without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connector.evaluation.route import RERANKED
from connector.evaluation.statistics.significance import Comparison, compare
from connector.settings.file import plain_value
from connector.settings.sections import Settings

if TYPE_CHECKING:
    from connector.evaluation.evaluate import Evaluation

ALWAYS = "always"  # the pipeline of a search whose every stage runs for every query


@dataclass(frozen=True, slots=True)
class RulesEffect:
    """Of so many `queries`, those for which each stage `ran`; what the search with rules gains (below 0: loses) by the
    first measure; the milliseconds at the median with them and without."""

    queries: int
    ran: Mapping[str, int]
    gain: Comparison
    with_ms: float
    without_ms: float


def has_rules(settings: Settings) -> bool:
    """Whether any stage may be left out."""
    return any(stage.when for stage in settings.search.rerank)


def without_rules(settings: Settings) -> dict[str, object]:
    """Path -> value of what makes every stage run for every query."""
    stages = [stage.model_copy(update={"when": None}) for stage in settings.search.rerank]
    return {"search.rerank": [plain_value(stage) for stage in stages]}


def effect_of_rules(evaluation: Evaluation) -> RulesEffect | None:
    """None where no search with rules was measured beside the one without."""
    if not {ALWAYS, RERANKED} <= set(evaluation.names):
        return None
    with_rules, without = evaluation.named(RERANKED), evaluation.named(ALWAYS)
    if not has_rules(with_rules.search.settings):
        return None
    measured = evaluation.measures[0]
    values = {RERANKED: with_rules.values[measured], ALWAYS: without.values[measured]}
    return RulesEffect(
        len(evaluation.collection.queries),
        with_rules.ran,
        compare(values, ALWAYS, evaluation.collection.weights)[RERANKED],
        with_rules.latency.p50,
        without.latency.p50,
    )
