"""The hits of an answer: what their documents hold, the passage that each shows, and why each is where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector.search.fusion import fusion_of_legs
from connector.search.order import explain_blend
from connector.search.rerank import Reranked
from connector.search.run import SearchRun
from connector.settings.sections import Settings
from connector.types import Explanation, Hit, LegExplanation, Passage, Ranking, SearchHit, Stage


@dataclass(frozen=True, slots=True)
class Ranked:
    """What every stage made of a query; `order` is the whole answer's.

    `reranked` is None where nothing was reranked."""

    legs: Mapping[str, Ranking]
    fused: Ranking
    window: Ranking
    reranked: Reranked | None
    final: Ranking  # the documents that were reranked, in their final order
    order: Ranking

    @property
    def rankings(self) -> dict[str, Ranking]:
        """Each stage's own, by name; legs that found nothing left out."""
        found = {name: ranking for name, ranking in self.legs.items() if ranking} | {"fused": self.fused}
        return found | ({"reranked": self.order} if self.reranked else {})


@dataclass(frozen=True, slots=True)
class Content:
    """The fields of documents, and the passage that each shows."""

    fields: Mapping[str, Mapping[str, Any]]
    passages: Mapping[str, Passage]


async def read_hits(run: SearchRun, ranked: Ranked, settings: Settings) -> tuple[SearchHit, ...]:
    """The first k of the order, with their content and explanations. Raises AccessDenied."""
    top = [hit.doc_id for hit in ranked.order[: run.request.k]]
    content = await _fetch_content(run, ranked, top)
    run.check_allowed("fields")
    explained = _explain(ranked, settings, top)
    scores = {hit.doc_id: hit.score for hit in (*ranked.fused, *ranked.final)}  # the final score is the one that counts
    return tuple(
        SearchHit(
            doc_id,
            scores[doc_id],
            rank,
            _stage(explained[doc_id], ranked.legs),
            content.fields.get(doc_id, {}),
            content.passages.get(doc_id),
            explained[doc_id],
        )
        for rank, doc_id in enumerate(top, start=1)
    )


def passage_choice(*sources: Sequence[Hit]) -> dict[str, Passage]:
    """The passage to show for each document: from the first source that has one."""
    chosen: dict[str, Passage] = {}
    for ranking in sources:
        for hit in ranking:
            if hit.passages:
                chosen.setdefault(hit.doc_id, hit.passages[0])
    return chosen


async def _fetch_content(run: SearchRun, ranked: Ranked, top: list[str]) -> Content:
    if not top:
        return Content({}, {})
    if not run.request.passages:
        return await _fetch_fields_and_passages(run, top, ranked.legs.get("dense", ()))
    fields = await run.attempt("fields", lambda: run.index.get(top, fields=None, timeout_s=run.left_s()), share=1.0)
    reranked = ranked.reranked.ranking if ranked.reranked else ()
    legs = sorted(ranked.legs.items(), key=lambda leg: leg[0] != "dense")  # the nearest passage before one that matches
    return Content(fields or {}, passage_choice(reranked, *(ranking for _, ranking in legs)))


async def _fetch_fields_and_passages(run: SearchRun, top: list[str], dense: Ranking) -> Content:
    """Both in one request, where nothing but the hits needs passages: legs that bring none along are far faster."""
    near = {hit.doc_id for hit in dense}
    # what the dense leg found shows its nearest passage, all else the one that matches
    words = None if near.issuperset(top) else run.request.text
    vector = None if near.isdisjoint(top) else run.vector
    contents = await run.attempt(
        "fields",
        lambda: run.index.content(top, query=words, vector=vector, timeout_s=run.left_s()),
        share=1.0,
    )
    passages = {}
    for doc_id, content in (contents or {}).items():
        best = content.nearest or content.matching if doc_id in near else content.matching
        if best:
            passages[doc_id] = best
    return Content({doc_id: content.fields for doc_id, content in (contents or {}).items()}, passages)


def _explain(ranked: Ranked, settings: Settings, top: list[str]) -> dict[str, Explanation]:
    """What every stage said of the documents."""
    legs = {name: _places(ranking, top) for name, ranking in ranked.legs.items()}
    fused = _places(ranked.fused, top)
    reranked = ranked.reranked
    places = _places(reranked.ranking, top) if reranked else {}
    fusions = fusion_of_legs(settings.search.fusion).explain(ranked.legs, top)
    weights = settings.rerank.weights
    blends = explain_blend(ranked.window, ranked.legs, reranked.ranking, weights, top) if reranked else {}
    return {
        doc_id: Explanation(
            lexical=legs.get("lexical", {}).get(doc_id),
            dense=legs.get("dense", {}).get(doc_id),
            fused_rank=fused[doc_id].rank,
            fused_score=fused[doc_id].score,
            rerank_rank=places[doc_id].rank if doc_id in places else None,
            rerank_score=places[doc_id].score if doc_id in places else None,
            truncated=reranked is not None and doc_id in reranked.truncated,
            fusion=fusions[doc_id],
            blend=blends.get(doc_id),
        )
        for doc_id in top
    }


def _places(ranking: Ranking, doc_ids: Sequence[str]) -> dict[str, LegExplanation]:
    """Where a ranking has those of the documents that it holds."""
    wanted = set(doc_ids)
    return {
        hit.doc_id: LegExplanation(rank, hit.score) for rank, hit in enumerate(ranking, start=1) if hit.doc_id in wanted
    }


def _stage(explained: Explanation, legs: Mapping[str, Ranking]) -> Stage:
    if explained.rerank_rank is not None:
        return "reranked"
    if not legs.get("dense"):
        return "lexical"
    return "fused" if legs.get("lexical") else "dense"
