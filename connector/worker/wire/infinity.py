"""Infinity: POST /rerank with `documents` and `return_documents` or `raw_scores`."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from connector.models.scorer import Scores
from connector.worker.wire.common import EXACT, DocumentsRequest, TopN, Usage, best_first, new_id, usage_of

INFINITY_KEYS = {"return_documents", "raw_scores"}


class InfinityRequest(DocumentsRequest):
    """As Infinity takes it."""

    top_n: TopN = None
    raw_scores: bool | None = None

    @property
    def wants_raw(self) -> bool:
        return bool(self.raw_scores)


@with_config(EXACT)
class InfinityItem(TypedDict):
    relevance_score: float
    index: int
    document: str | None


@with_config(EXACT)
class InfinityReply(TypedDict):
    object: Literal["rerank"]
    results: list[InfinityItem]
    model: str
    usage: Usage
    id: str
    created: int


def build_infinity_reply(request: InfinityRequest, scores: Scores, *, model: str) -> InfinityReply:
    texts = request.texts
    return InfinityReply(
        object="rerank",
        results=[
            InfinityItem(
                relevance_score=score, index=index, document=texts[index] if request.return_documents else None
            )
            for index, score in best_first(scores, request.top_n)
        ],
        model=model,
        usage=usage_of(scores),
        id=new_id(),
        created=int(time.time()),
    )
