"""Cohere, Jina and vLLM where they share a path: POST /v1/rerank and /v2/rerank with `documents`.

One reply serves all three: Cohere's keys, and `model` and `usage` that Jina and vLLM add. Elasticsearch's and
OpenSearch's Cohere services read it too."""

from __future__ import annotations

from typing import ClassVar, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from connector.models.scorer import Scores
from connector.worker.wire.common import (
    EXACT,
    DocumentsRequest,
    TakesActivation,
    TopN,
    Usage,
    WireDocument,
    best_first,
    new_id,
    usage_of,
)

DOCUMENTS_IN_A_UNIT = 100


class CohereRequest(TakesActivation, DocumentsRequest):
    """As Cohere's second API takes it; documents may be objects here too."""

    api_version: ClassVar[str] = "2"
    top_n: TopN = None


class CohereV1Request(CohereRequest):
    """As Cohere's first API takes it, and Jina's."""

    api_version: ClassVar[str] = "1"


@with_config(EXACT)
class CohereItem(TypedDict):
    index: int
    relevance_score: float
    document: NotRequired[WireDocument]


@with_config(EXACT)
class ApiVersion(TypedDict):
    version: str


@with_config(EXACT)
class BilledUnits(TypedDict):
    search_units: int


@with_config(EXACT)
class Meta(TypedDict):
    api_version: ApiVersion
    billed_units: BilledUnits


@with_config(EXACT)
class CohereReply(TypedDict):
    id: str
    results: list[CohereItem]
    meta: Meta
    model: str
    usage: Usage


def build_cohere_reply(request: CohereRequest, scores: Scores, *, model: str = "") -> CohereReply:
    texts = request.texts
    results: list[CohereItem] = []
    for index, score in best_first(scores, request.top_n):
        results.append(CohereItem(index=index, relevance_score=score))
        if request.return_documents:
            results[-1]["document"] = WireDocument(text=texts[index])
    return CohereReply(
        id=new_id(),
        results=results,  # before any object: some versions of Elasticsearch look for it until the first object ends
        meta=Meta(
            api_version=ApiVersion(version=request.api_version),
            billed_units=BilledUnits(search_units=max(1, -(-len(texts) // DOCUMENTS_IN_A_UNIT))),
        ),
        model=model,
        usage=usage_of(scores),
    )
