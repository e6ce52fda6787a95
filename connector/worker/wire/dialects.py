"""Whose request it is, told apart by the path and its keys, and the reply that goes with it.
docs/reference/worker-api.md has the table."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, GetJsonSchemaHandler, Tag
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from connector.models.scorer import Scores
from connector.worker.wire.cohere import CohereReply, CohereRequest, CohereV1Request, build_cohere_reply
from connector.worker.wire.infinity import INFINITY_KEYS, InfinityReply, InfinityRequest, build_infinity_reply
from connector.worker.wire.tei import TeiItem, TeiRequest, build_tei_reply
from connector.worker.wire.vllm import VllmReply, VllmRequest, build_vllm_reply
from connector.worker.wire.voyage import VOYAGE_KEYS, VoyageReply, VoyageRequest, build_voyage_reply


def root_dialect(body: Any) -> str:
    """Whose request on /rerank it is, by its keys."""
    keys = set(body) if isinstance(body, dict) else set()
    if "texts" in keys or "documents" not in keys:
        return "tei"
    return "infinity" if keys & INFINITY_KEYS else "vllm"


def v1_dialect(body: Any) -> str:
    """Whose request on /v1/rerank it is, by its keys."""
    return "voyage" if isinstance(body, dict) and VOYAGE_KEYS & set(body) else "cohere"


class _AnyOf:
    """Says in the OpenAPI document that a body may fit several dialects; pydantic says that it fits one alone."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        document = handler(schema)
        document["anyOf"] = document.pop("oneOf")
        return document


RootRequest = Annotated[
    Annotated[TeiRequest, Tag("tei")]
    | Annotated[VllmRequest, Tag("vllm")]
    | Annotated[InfinityRequest, Tag("infinity")],
    Discriminator(root_dialect),
    _AnyOf(),
]
V1Request = Annotated[
    Annotated[CohereV1Request, Tag("cohere")] | Annotated[VoyageRequest, Tag("voyage")],
    Discriminator(v1_dialect),
    _AnyOf(),
]
RerankRequest = TeiRequest | VllmRequest | InfinityRequest | VoyageRequest | CohereRequest
RootReply = list[TeiItem] | VllmReply | InfinityReply
V1Reply = CohereReply | VoyageReply


def build_reply(request: RerankRequest, scores: Scores, *, model: str) -> RootReply | V1Reply:
    """The reply in the dialect of the request; `model` is the name of the one that gave the scores."""
    match request:
        case TeiRequest():
            return build_tei_reply(request, scores)
        case VllmRequest():
            return build_vllm_reply(request, scores, model=model)
        case InfinityRequest():
            return build_infinity_reply(request, scores, model=model)
        case VoyageRequest():
            return build_voyage_reply(request, scores, model=model)
        case CohereRequest():
            return build_cohere_reply(request, scores, model=model)
