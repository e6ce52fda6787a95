"""The response of a search as JSON, the same on a command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NotRequired

from typing_extensions import TypedDict  # of which pydantic makes a schema on Python 3.11 too

from connector.layout import Address
from connector.types import (
    Degradation,
    Explanation,
    Highlights,
    SearchHit,
    SearchResponse,
    StageOutcome,
    Total,
)


class PassageJson(TypedDict):
    """A piece of a document's text."""

    passage_id: str
    text: str


class HitJson(TypedDict):
    """One document of an answer, best first."""

    doc_id: str
    score: float
    rank: int
    stage: str
    fields: Mapping[str, Any]
    passage: PassageJson | None
    explain: Explanation
    address: Address | None
    highlight: NotRequired[Highlights]


class ResponseJson(TypedDict):
    """The answer to a search. What was not asked for is not there."""

    query: str
    total: NotRequired[Total]
    aggregations: NotRequired[Mapping[str, Any]]
    hits: list[HitJson]
    degraded: list[Degradation]
    took_ms: Mapping[str, float]
    stages: Mapping[str, StageOutcome]
    cursor: NotRequired[str]
    notes: NotRequired[list[str]]


def response_as_json(response: SearchResponse) -> ResponseJson:
    """The response as one JSON object."""
    found: ResponseJson = {
        "query": response.query,
        "hits": [_hit(hit) for hit in response.hits],
        "degraded": [_plain(missing) for missing in response.degraded],
        "took_ms": dict(response.took_ms),
        "stages": {name: _plain(outcome) for name, outcome in response.stages.items()},
    }
    if response.total:
        found["total"] = _plain(response.total)
    if response.aggregations:
        found["aggregations"] = response.aggregations
    if response.cursor:
        found["cursor"] = response.cursor
    if response.notes:
        found["notes"] = list(response.notes)
    return found


def _hit(hit: SearchHit) -> HitJson:
    passage: PassageJson | None = None
    if hit.passage:
        passage = {"passage_id": hit.passage.passage_id, "text": hit.passage.text}
    found: HitJson = {
        "doc_id": hit.doc_id,
        "score": hit.score,
        "rank": hit.rank,
        "stage": hit.stage,
        "fields": dict(hit.fields),
        "passage": passage,
        "explain": _plain(hit.explain),
        "address": _plain(hit.address) if hit.address else None,
    }
    if hit.highlight:
        found["highlight"] = dict(hit.highlight)
    return found


def _plain(value: Any) -> Any:
    """A dataclass as JSON knows it."""
    return asdict(value)
