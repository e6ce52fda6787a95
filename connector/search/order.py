"""What the legs, the fusion and the reranker say of a window -> the order of the answer. Pure: a search and a tuning
call the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connector.search.combination import Combination
from connector.settings.sections import RerankWeights
from connector.types import Hit, Ranking, ScoreExplanation


def blend(window: Ranking, legs: Mapping[str, Ranking], reranked: Ranking, weights: RerankWeights) -> Ranking:
    """The documents that the reranker scored, by the weighted sum of the z-scores of all signals among them.

    Each has the passages of `reranked`."""
    signals = _signals(window, legs, reranked)
    return _combination(signals, weights).combine(signals)


def explain_blend(
    window: Ranking,
    legs: Mapping[str, Ranking],
    reranked: Ranking,
    weights: RerankWeights,
    doc_ids: Collection[str],
) -> dict[str, ScoreExplanation]:
    """How the final score of those of the documents that were scored was made."""
    signals = _signals(window, legs, reranked)
    scored = {hit.doc_id for hit in reranked}
    return _combination(signals, weights).explain(signals, [doc_id for doc_id in doc_ids if doc_id in scored])


def whole_order(final: Ranking, fused: Ranking, *, late: int = 0) -> Ranking:
    """What was reranked, then the rest in fused order. Where passages came too `late` to be scored, what was reranked
    keeps to the places that it had, and what was not stays where it was."""
    placed = {hit.doc_id for hit in final}
    if late:
        best = iter(final)
        return tuple(next(best) if hit.doc_id in placed else hit for hit in fused)
    return (*final, *(hit for hit in fused if hit.doc_id not in placed))


def _signals(window: Ranking, legs: Mapping[str, Ranking], reranked: Ranking) -> dict[str, Ranking]:
    """What each stage said of the documents that were scored; a stage that has none of them is left out.

    A document that a leg lacks counts there as the last one that it has."""
    scored = {hit.doc_id for hit in reranked}
    stages = {"fused": window, **legs}
    said = {
        name: tuple([Hit(hit.doc_id, hit.score) for hit in ranking if hit.doc_id in scored])
        for name, ranking in stages.items()
    }
    return {name: ranking for name, ranking in said.items() if ranking} | {"rerank": reranked}


def _combination(signals: Mapping[str, Ranking], weights: RerankWeights) -> Combination:
    shares = {name: weight for name, weight in weights.model_dump().items() if name in signals}
    return Combination("linear", shares, normalisation="zscore")
