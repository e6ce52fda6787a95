"""What the legs and the reranker found -> the order of the answer, as the settings have it. Pure: a search and a tuning call the same."""

from __future__ import annotations

from connector.search.fusion import linear, rrf
from connector.search.rerank import BEST_BLEND, Reranked, blend
from connector.settings.sections import FusionSettings, Settings
from connector.types import Ranking


def fuse(lexical: Ranking, dense: Ranking, fusion: FusionSettings) -> Ranking:
    """The legs as one ranking; the dense leg's passage of a document comes first."""
    if fusion.kind == "linear":
        return linear([dense, lexical], weights=[fusion.alpha, 1 - fusion.alpha], normalisation=fusion.normalisation)
    return rrf([dense, lexical], weights=fusion.weights[::-1], rank_constant=fusion.rank_constant)


def blend_window(window: Ranking, reranked: Reranked, settings: Settings) -> Ranking:
    """The documents of the window that were scored, in their final order."""
    given = settings.rerank
    return blend(
        window,
        reranked.ranking,
        BEST_BLEND.get(reranked.kind, "rerank") if given.blend == "auto" else given.blend,
        alpha=given.blend_alpha,
        rank_constant=settings.search.fusion.rank_constant,
    )


def whole_order(final: Ranking, fused: Ranking, *, late: int = 0) -> Ranking:
    """What was reranked, then the rest in fused order. Where passages came too `late` to be scored, what was reranked keeps to the
    places that it had, and what was not stays where it was."""
    placed = {hit.doc_id for hit in final}
    if late:
        best = iter(final)
        return tuple(next(best) if hit.doc_id in placed else hit for hit in fused)
    return (*final, *(hit for hit in fused if hit.doc_id not in placed))
