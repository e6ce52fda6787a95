"""The hits of an answer: what their documents hold, the passage that each shows, and why each is where it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from connector.lexical import Group
from connector.search.combination import Combination
from connector.search.legs.ask import FirstStage
from connector.search.legs.leg import Leg
from connector.search.legs.lexical import LexicalLeg
from connector.search.results_page import highlight
from connector.search.run import SearchRun
from connector.search.stages.order import explain_blend
from connector.search.stages.stage import StageResult
from connector.types import Explanation, Hit, LegExplanation, Passage, Ranking, SearchHit, StageExplanation


@dataclass(frozen=True, slots=True)
class Ranked:
    """What every part of a search made of a query: the legs, their fusion, and the stages that ran, in their order."""

    found: FirstStage
    fusion: Combination | None  # None where the caller demands an order, which is `fused` then
    fused: Ranking
    stages: tuple[StageResult, ...]
    groups: Mapping[str, Group] | None = None  # of each document, where only the first of a group is shown
    gone: frozenset[str] = frozenset()  # documents that are no longer there

    @property
    def order(self) -> Ranking:
        """The whole answer's."""
        order = tuple(hit for hit in self.last if hit.doc_id not in self.gone) if self.gone else self.last
        if self.groups is None:
            return order
        first: dict[Group, Hit] = {}
        for hit in order:
            first.setdefault(self.groups[hit.doc_id], hit)
        return tuple(first.values())

    def in_groups(self, groups: Mapping[str, Group]) -> Self:
        """The same with the first of each group alone. What has no group is not there any more."""
        return replace(self.without(hit.doc_id for hit in self.last if hit.doc_id not in groups), groups=groups)

    def without(self, gone: Iterable[str]) -> Self:
        """The same without documents that are no longer there."""
        return replace(self, gone=self.gone.union(gone))

    @property
    def last(self) -> Ranking:
        """The order of the last part, of every document."""
        return self.stages[-1].order if self.stages else self.fused

    @property
    def rankings(self) -> dict[str, Ranking]:
        """Each part's own, by name; legs that found nothing left out."""
        found = {name: ranking for name, ranking in self.found.legs.items() if ranking}
        found |= {"fused": self.fused} if self.fusion else {}
        found |= {stage.name: stage.order for stage in self.stages}
        return found | ({"reranked": self.last} if self.stages else {})

    @property
    def placed_by(self) -> dict[str, str]:
        """What placed each document of the order last: the last stage that scored it, or what there was without one."""
        answering = [name for name, ranking in self.found.legs.items() if ranking]
        placed = dict.fromkeys((hit.doc_id for hit in self.order), answering[0] if len(answering) == 1 else "fused")
        for stage in self.stages:
            placed |= dict.fromkeys((hit.doc_id for hit in stage.final), stage.name)
        return placed


@dataclass(frozen=True, slots=True)
class Content:
    """The fields of the documents that are there, and the passage that each shows."""

    fields: Mapping[str, Mapping[str, Any]]
    passages: Mapping[str, Passage]

    def with_more(self, other: Content) -> Content:
        return Content({**self.fields, **other.fields}, {**self.passages, **other.passages})


async def fetch_hits(
    run: SearchRun, ranked: Ranked, legs: Sequence[Leg], page_leg: LexicalLeg | None
) -> tuple[tuple[SearchHit, ...], Ranked]:
    """The page's hits of the order, with their content and explanations; and what was ranked, without documents that
    turned out to be gone. Raises AccessDenied and QueryError."""
    dense = [leg.name for leg in legs if leg.kind == "dense"]
    offset = run.request.offset
    ranked, content = await _read_contents(run, ranked, dense)
    run.check_allowed("fields")
    order = ranked.order
    top = order[offset : offset + run.request.k]
    if offset and not top:
        run.notes.append(f"the order ends after {len(order)} hits, before the offset {offset}")
    doc_ids = [hit.doc_id for hit in top]
    by_words = {hit.doc_id for hit in ranked.found.legs.get(page_leg.name, ())} if page_leg else frozenset[str]()
    highlights = await highlight(run, page_leg, doc_ids, by_words, content.passages)
    explained, placed = _explain(ranked, doc_ids), ranked.placed_by
    hits = tuple(
        SearchHit(
            hit.doc_id,
            hit.score,
            rank,
            placed[hit.doc_id],
            content.fields[hit.doc_id],
            content.passages.get(hit.doc_id),
            explained[hit.doc_id],
            run.index.schema.layout.address(hit.doc_id, run.index.name),
            highlight=highlights.get(hit.doc_id, {}),
        )
        for rank, hit in enumerate(top, start=offset + 1)
    )
    return hits, ranked


async def _read_contents(run: SearchRun, ranked: Ranked, dense: Sequence[str]) -> tuple[Ranked, Content]:
    """What the page's documents hold. Where some were deleted since they were found, those after them move up."""
    content = Content({}, {})
    while True:
        top = ranked.order[run.request.offset : run.request.offset + run.request.k]
        unread = tuple(hit for hit in top if hit.doc_id not in content.fields)
        found = await _fetch_content(run, ranked, unread, dense)
        content = content.with_more(found)
        gone = {hit.doc_id for hit in unread if hit.doc_id not in found.fields}
        if not gone:
            return ranked, content
        run.gone |= gone
        ranked = ranked.without(gone)


async def _fetch_content(run: SearchRun, ranked: Ranked, top: Ranking, dense: Sequence[str]) -> Content:
    doc_ids = [hit.doc_id for hit in top]
    if not doc_ids:
        return Content({}, {})
    if not run.request.passages:
        near = {hit.doc_id for name in dense for hit in ranked.found.legs.get(name, ())}
        return await fetch_fields_and_passages(run, doc_ids, near)
    source = run.request.source
    fields = await run.attempt(
        "fields",
        lambda: run.index.get(doc_ids, fields=None, timeout_s=run.left_s(), source=source),
        share=1.0,
    )
    # the one that the last stage found best, or else the nearest before one that matches
    return Content(_or_bare(fields, doc_ids), {hit.doc_id: hit.passages[0] for hit in top if hit.passages})


async def fetch_fields_and_passages(run: SearchRun, top: list[str], near: Collection[str]) -> Content:
    """Both of the documents which are there in one request, where nothing but the hits needs passages: legs that bring
    none along are far faster."""
    near = frozenset(near)
    # what a dense leg found shows its nearest passage, all else the one that matches
    words = None if near.issuperset(top) else run.request.text
    vector = None if near.isdisjoint(top) else run.vector
    contents = await run.attempt(
        "fields",
        lambda: run.index.content(top, query=words, vector=vector, timeout_s=run.left_s(), source=run.request.source),
        share=1.0,
    )
    passages = {}
    for doc_id, content in (contents or {}).items():
        best = content.nearest or content.matching if doc_id in near else content.matching
        if best:
            passages[doc_id] = best
    fields = None if contents is None else {doc_id: content.fields for doc_id, content in contents.items()}
    return Content(_or_bare(fields, top), passages)


def _or_bare(fields: Mapping[str, Mapping[str, Any]] | None, doc_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """The fields; where they could not be read, which the answer says, none of each document."""
    return {doc_id: {} for doc_id in doc_ids} if fields is None else fields


def _explain(ranked: Ranked, top: list[str]) -> dict[str, Explanation]:
    """What every part said of the documents."""
    found = ranked.found.legs
    legs = {name: _places(ranking, top) for name, ranking in found.items()}
    if ranked.fusion is None:
        return {
            doc_id: Explanation({name: places[doc_id] for name, places in legs.items() if doc_id in places})
            for doc_id in top
        }
    fused, fusions = _places(ranked.fused, top), ranked.fusion.explain(found, top)
    stages = {stage.name: _explain_stage(stage, found, top) for stage in ranked.stages}
    return {
        doc_id: Explanation(
            legs={name: places[doc_id] for name, places in legs.items() if doc_id in places},
            fused_rank=fused[doc_id].rank,
            fused_score=fused[doc_id].score,
            fusion=fusions[doc_id],
            stages={name: places[doc_id] for name, places in stages.items() if doc_id in places},
        )
        for doc_id in top
    }


def _explain_stage(stage: StageResult, legs: Mapping[str, Ranking], top: list[str]) -> dict[str, StageExplanation]:
    places = _places(stage.reranked.ranking, top)
    finals = explain_blend(stage.before, legs, stage.reranked.ranking, stage.weights, top)
    return {
        doc_id: StageExplanation(place.rank, place.score, doc_id in stage.reranked.truncated, finals[doc_id])
        for doc_id, place in places.items()
    }


def _places(ranking: Ranking, doc_ids: Sequence[str]) -> dict[str, LegExplanation]:
    """Where a ranking has those of the documents that it holds."""
    wanted = set(doc_ids)
    return {
        hit.doc_id: LegExplanation(rank, hit.score) for rank, hit in enumerate(ranking, start=1) if hit.doc_id in wanted
    }
