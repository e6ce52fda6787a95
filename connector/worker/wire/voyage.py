"""Voyage: POST /v1/rerank with `top_k` or `truncation`."""

from __future__ import annotations

from typing import Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from connector.models.scorer import Scores
from connector.worker.wire.common import EXACT, DocumentsRequest, best_first

VOYAGE_KEYS = {"top_k", "truncation"}


class VoyageRequest(DocumentsRequest):
    """As Voyage takes it."""

    top_k: int | None = Field(None, ge=1)


@with_config(EXACT)
class VoyageItem(TypedDict):
    index: int
    relevance_score: float
    document: NotRequired[str]


@with_config(EXACT)
class VoyageUsage(TypedDict):
    total_tokens: int


@with_config(EXACT)
class VoyageReply(TypedDict):
    object: Literal["list"]
    data: list[VoyageItem]
    model: str
    usage: VoyageUsage


def build_voyage_reply(request: VoyageRequest, scores: Scores, *, model: str) -> VoyageReply:
    texts = request.texts
    data: list[VoyageItem] = []
    for index, score in best_first(scores, request.top_k):
        data.append(VoyageItem(index=index, relevance_score=score))
        if request.return_documents:
            data[-1]["document"] = texts[index]
    return VoyageReply(object="list", data=data, model=model, usage=VoyageUsage(total_tokens=scores.tokens))
