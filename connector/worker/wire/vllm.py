"""vLLM: POST /rerank with `documents`, and POST /score, which rates pairs in the order that they came in."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import AliasChoices, ConfigDict, Field, model_validator, with_config
from typing_extensions import TypedDict

from connector.models.scorer import Scores
from connector.worker.wire.common import (
    EXACT,
    DocumentsRequest,
    TakesActivation,
    Texts,
    TopN,
    Usage,
    WireDocument,
    best_first,
    new_id,
    usage_of,
)


class VllmRequest(TakesActivation, DocumentsRequest):
    """As vLLM takes it on /rerank; the reply always holds the documents."""

    top_n: TopN = None


@with_config(EXACT)
class VllmItem(TypedDict):
    index: int
    document: WireDocument
    relevance_score: float


@with_config(EXACT)
class VllmReply(TypedDict):
    id: str
    results: list[VllmItem]
    model: str
    usage: Usage


def build_vllm_reply(request: VllmRequest, scores: Scores, *, model: str) -> VllmReply:
    texts = request.texts
    return VllmReply(
        id=new_id(),
        results=[
            VllmItem(index=index, document=WireDocument(text=texts[index]), relevance_score=score)
            for index, score in best_first(scores, request.top_n)
        ],
        model=model,
        usage=usage_of(scores),
    )


class ScoreRequest(TakesActivation):
    """Texts to compare: one with one, one with many, or two lists of the same length pair by pair."""

    model_config = ConfigDict(extra="ignore")
    text_1: Texts = Field(validation_alias=AliasChoices("text_1", "queries", "data_1"))
    text_2: Texts = Field(validation_alias=AliasChoices("text_2", "documents", "items", "data_2"))
    model: str | None = None

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if len(self.text_1) not in (1, len(self.text_2)):
            raise ValueError(f"{len(self.text_1)} texts in text_1, {len(self.text_2)} in text_2: send 1:1, 1:N or N:N")
        return self

    def queries(self) -> dict[str, list[int]]:
        """Each query with the positions of its passages in text_2."""
        found: dict[str, list[int]] = {}
        for position in range(len(self.text_2)):
            found.setdefault(self.text_1[position % len(self.text_1)], []).append(position)
        return found


def gather(parts: Sequence[tuple[list[int], Scores]]) -> Scores:
    """The scores of all pairs in their order, from those of each query with the positions that they belong to."""
    values = np.zeros(sum(len(positions) for positions, _ in parts), dtype=np.float32)
    lengths = [0] * len(values)
    for positions, scores in parts:
        values[positions] = scores.values
        for position, length in zip(positions, scores.lengths, strict=True):
            lengths[position] = length
    return Scores(
        values,
        tuple(sorted(positions[cut] for positions, scores in parts for cut in scores.truncated)),
        any(scores.query_truncated for _, scores in parts),
        tuple(lengths),
        tuple(sorted(positions[left] for positions, scores in parts for left in scores.unscored)),
    )


@with_config(EXACT)
class ScoreItem(TypedDict):
    index: int
    object: Literal["score"]
    score: float


@with_config(EXACT)
class ScoreReply(TypedDict):
    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[ScoreItem]
    usage: Usage


def build_score_reply(scores: Scores, *, model: str) -> ScoreReply:
    return ScoreReply(
        id=new_id(),
        object="list",
        created=int(time.time()),
        model=model,
        data=[ScoreItem(index=index, object="score", score=score) for index, score in sorted(best_first(scores, None))],
        usage=usage_of(scores),
    )
