"""What the legs and a reranker say of a window -> the order after that stage. Pure: a search and a tuning call the
same."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connector.search.combination import Combination
from connector.types import Hit, Ranking, ScoreExplanation


def blend(before: Ranking, legs: Mapping[str, Ranking], reranked: Ranking, weights: Mapping[str, float]) -> Ranking:
    """The documents that the reranker scored, by the weighted sum of the z-scores of all signals among them.

    `before` has the scores of the order that came in; `weights` name it, the legs, and `rerank`. Each document has the
    passages of `reranked`."""
    signals = _signals(before, legs, reranked)
    return _combination(signals, weights).combine(signals)


def explain_blend(
    before: Ranking,
    legs: Mapping[str, Ranking],
    reranked: Ranking,
    weights: Mapping[str, float],
    doc_ids: Collection[str],
) -> dict[str, ScoreExplanation]:
    """How the final score of those of the documents that were scored was made."""
    signals = _signals(before, legs, reranked)
    scored = {hit.doc_id for hit in reranked}
    return _combination(signals, weights).explain(signals, [doc_id for doc_id in doc_ids if doc_id in scored])


def whole_order(final: Ranking, before: Ranking, *, late: int = 0) -> Ranking:
    """What was reranked, then the rest in the order that came in. Where passages came too `late` to be scored, what was
    reranked keeps to the places that it had, and what was not stays where it was."""
    placed = {hit.doc_id for hit in final}
    if late:
        best = iter(final)
        return tuple(next(best) if hit.doc_id in placed else hit for hit in before)
    return (*final, *(hit for hit in before if hit.doc_id not in placed))


def _signals(before: Ranking, legs: Mapping[str, Ranking], reranked: Ranking) -> dict[str, Ranking]:
    """What each says of the documents that were scored; a signal that has none of them is left out.

    A document that a signal lacks counts there as the last one that it has."""
    scored = {hit.doc_id for hit in reranked}
    signals = {"before": before, **legs}
    rankings = {
        name: tuple([Hit(hit.doc_id, hit.score) for hit in ranking if hit.doc_id in scored])
        for name, ranking in signals.items()
    }
    return {name: ranking for name, ranking in rankings.items() if ranking} | {"rerank": reranked}


def _combination(signals: Mapping[str, Ranking], weights: Mapping[str, float]) -> Combination:
    shares = {name: weight for name, weight in weights.items() if name in signals}
    return Combination("linear", shares, normalisation="zscore")
