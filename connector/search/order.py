"""What was fused and what was reranked -> the order of the answer. Pure: a search and a tuning call the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from connector.search.combination import Combination
from connector.search.rerank import Reranked
from connector.settings.sections import Settings
from connector.types import Ranking, ScoreExplanation, ScorePart

FinalBlend = Literal["rerank", "rrf", "linear"]
# what measured best for each kind of scorer (docs/measurements/quality.md)
BEST_BLEND: Mapping[str, FinalBlend] = {"late-interaction": "linear", "cross-encoder": "rerank"}


def blend_window(window: Ranking, reranked: Reranked, settings: Settings) -> Ranking:
    """The documents of the window that were scored, in their final order."""
    return blend(window, reranked.ranking, blend_of_window(reranked.kind, settings))


def blend(window: Ranking, reranked: Ranking, how: Combination | None) -> Ranking:
    """The final order of the documents that were scored: by the rerank score alone (None), or combined with the first
    stage."""
    return how.combine(_scored(window, reranked)) if how else reranked


def explain_blend(
    window: Ranking, reranked: Ranking, how: Combination | None, doc_ids: Collection[str]
) -> dict[str, ScoreExplanation]:
    """How the final score of those of the documents that were scored was made."""
    ranks = {hit.doc_id: (rank, hit.score) for rank, hit in enumerate(reranked, start=1)}
    scored = [doc_id for doc_id in doc_ids if doc_id in ranks]
    if how:
        return how.explain(_scored(window, reranked), scored)
    parts = {doc_id: ScorePart(1.0, ranks[doc_id][0], None, ranks[doc_id][1]) for doc_id in scored}
    return {doc_id: ScoreExplanation("rerank", {"rerank": part}) for doc_id, part in parts.items()}


def blend_of_window(kind: str, settings: Settings) -> Combination | None:
    """How the settings have it for a kind of scorer; None: the rerank score alone."""
    given = settings.rerank
    how = BEST_BLEND.get(kind, "rerank") if given.blend == "auto" else given.blend
    return blend_combination(how, alpha=given.blend_alpha, rank_constant=settings.search.fusion.rank_constant)


def blend_combination(how: FinalBlend, *, alpha: float, rank_constant: int) -> Combination | None:
    """rrf fuses the two rankings, linear the z-scores that both have within the window.

    `alpha` is the reranker's share."""
    if how == "rerank":
        return None
    weights = {"first_stage": 1 - alpha, "rerank": alpha}
    return Combination(how, weights, rank_constant=rank_constant, normalisation="zscore")


def whole_order(final: Ranking, fused: Ranking, *, late: int = 0) -> Ranking:
    """What was reranked, then the rest in fused order. Where passages came too `late` to be scored, what was reranked
    keeps to the places that it had, and what was not stays where it was."""
    placed = {hit.doc_id for hit in final}
    if late:
        best = iter(final)
        return tuple(next(best) if hit.doc_id in placed else hit for hit in fused)
    return (*final, *(hit for hit in fused if hit.doc_id not in placed))


def _scored(window: Ranking, reranked: Ranking) -> dict[str, Ranking]:
    """Both rankings of what was scored."""
    scored = {hit.doc_id for hit in reranked}
    return {"first_stage": tuple(hit for hit in window if hit.doc_id in scored), "rerank": reranked}
