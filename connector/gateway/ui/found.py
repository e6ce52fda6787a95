"""A response -> what the page shows of it: hits with marked words and their explanation, times, what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connector.gateway.ui.movement import SideBySide, put_side_by_side, rankings_of
from connector.judging.page.marking import find_common_words
from connector.judging.page.showing import HEADINGS, DocumentView, ShownDocument, text_of_value
from connector.types import ScoreExplanation, SearchHit, SearchResponse

MAX_VALUE_CHARS = 60  # of a value that is shown as a chip


@dataclass(frozen=True, slots=True)
class PlaceOfHit:
    """Where a part of the search placed the hit: its rank and score there."""

    name: str
    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class FoundHit:
    """A hit as it is shown. `places` are the legs, the fusion and the stages in their order; `sums` are the formulas
    behind the fused score and that of each stage; `values` are metadata by field."""

    hit: SearchHit
    title: str
    document: ShownDocument
    places: tuple[PlaceOfHit, ...]
    sums: Mapping[str, ScoreExplanation]
    values: Mapping[str, str]

    @property
    def moved(self) -> int:
        """Places that reranking lifted it by; below 0 where it fell."""
        fused = self.hit.explain.fused_rank
        return fused - self.hit.rank if fused and self.hit.explain.stages else 0


@dataclass(frozen=True, slots=True)
class TimeBar:
    """The milliseconds of a part, and its share of the longest in percent."""

    name: str
    took_ms: float
    percent: float


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """All that the page shows of an answer."""

    response: SearchResponse
    hits: tuple[FoundHit, ...]
    side_by_side: SideBySide
    times: tuple[TimeBar, ...]
    left_out: tuple[str, ...]


def describe(
    response: SearchResponse, metadata: Mapping[str, str], titles: Mapping[str, str], *, rows: int
) -> FoundAnswer:
    """The answer for the page: the first `rows` of each ranking and of the hits. `metadata`: the types of fields;
    `titles`: those of documents that are not among the hits."""
    view = DocumentView((), find_common_words(hit.passage.text for hit in response.hits if hit.passage))
    titles = {**titles, **titles_of(response)}
    return FoundAnswer(
        response,
        tuple(_describe_hit(response.query, hit, metadata, view) for hit in response.hits[:rows]),
        put_side_by_side(rankings_of(response), titles, response.took_ms, rows=rows),
        tuple(_bars(response.took_ms)),
        tuple(left_out(response)),
    )


def title_in(fields: Mapping[str, Any], doc_id: str) -> str:
    """What a person calls the document: its title, or else its id."""
    return next((text for name in HEADINGS if (text := text_of_value(fields.get(name)).strip())), doc_id)


def titles_of(response: SearchResponse) -> dict[str, str]:
    """Those of its hits."""
    return {hit.doc_id: title_in(hit.fields, hit.doc_id) for hit in response.hits}


def _describe_hit(query: str, hit: SearchHit, metadata: Mapping[str, str], view: DocumentView) -> FoundHit:
    title, explain = title_in(hit.fields, hit.doc_id), hit.explain
    text = hit.passage.text if hit.passage else ""
    text = text.removeprefix(title).strip() or text
    places = [PlaceOfHit(name, leg.rank, leg.score) for name, leg in explain.legs.items()]
    if explain.fused_rank is not None:
        places.append(PlaceOfHit("fused", explain.fused_rank, explain.fused_score or 0.0))
    places += [PlaceOfHit(f"{name} alone", stage.rank, stage.score) for name, stage in explain.stages.items()]
    sums = {"fused": explain.fusion} if explain.fusion else {}
    sums |= {name: stage.final for name, stage in explain.stages.items()}
    return FoundHit(
        hit,
        title,
        view.show(query, {"title": title, "passage": text}),
        tuple(places),
        sums,
        dict(_values(hit.fields, metadata)),
    )


def _values(fields: Mapping[str, Any], metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What can be filtered by: short single values."""
    for name in metadata:
        value = fields.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            text = text_of_value(value) if isinstance(value, str) else str(value)
            if text and len(text) <= MAX_VALUE_CHARS:
                yield name, text


def _bars(took_ms: Mapping[str, float]) -> Iterator[TimeBar]:
    longest = max(took_ms.values(), default=0.0) or 1.0
    for name, took in took_ms.items():
        yield TimeBar(name, took, round(100 * took / longest, 1))


def left_out(response: SearchResponse) -> Iterator[str]:
    """What failed or was not done as asked."""
    degraded = {missing.stage for missing in response.degraded}
    yield from (f"{missing.stage}: {missing.reason}" for missing in response.degraded)
    for name, outcome in response.stages.items():
        if not outcome.ran and name not in degraded:
            yield f"{name} was left out: {outcome.why}"
    yield from response.notes
