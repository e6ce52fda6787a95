"""What goes over the wire: the dialects of other rerank servers, a module each.

Requests may carry keys that are not known here; replies hold exactly the keys that strict clients expect, and a score
is never written as an integer. What is ours to add goes into headers."""

from connector.worker.wire.cohere import CohereReply, CohereRequest, CohereV1Request, build_cohere_reply
from connector.worker.wire.common import best_first
from connector.worker.wire.dialects import RerankRequest, RootReply, RootRequest, V1Reply, V1Request, build_reply
from connector.worker.wire.embeddings import (
    EmbeddingsReply,
    EmbeddingsRequest,
    EmbedRequest,
    build_embed_reply,
    build_embeddings_reply,
    shorten,
)
from connector.worker.wire.errors import CohereError, CohereV1Error, ErrorType, TeiError, VllmError, build_error
from connector.worker.wire.headers import (
    MAX_LISTED,
    build_headers,
    build_load_headers,
    may_use_cache,
    read_budget,
    read_scope,
)
from connector.worker.wire.infinity import InfinityRequest, build_infinity_reply
from connector.worker.wire.tei import TeiRequest, build_tei_reply, spans
from connector.worker.wire.vllm import (
    ScoreReply,
    ScoreRequest,
    VllmRequest,
    build_score_reply,
    build_vllm_reply,
    gather,
)
from connector.worker.wire.voyage import VoyageRequest, build_voyage_reply

__all__ = [
    "MAX_LISTED",
    "CohereError",
    "CohereReply",
    "CohereRequest",
    "CohereV1Error",
    "CohereV1Request",
    "EmbedRequest",
    "EmbeddingsReply",
    "EmbeddingsRequest",
    "ErrorType",
    "InfinityRequest",
    "RerankRequest",
    "RootReply",
    "RootRequest",
    "ScoreReply",
    "ScoreRequest",
    "TeiError",
    "TeiRequest",
    "V1Reply",
    "V1Request",
    "VllmError",
    "VllmRequest",
    "VoyageRequest",
    "best_first",
    "build_cohere_reply",
    "build_embed_reply",
    "build_embeddings_reply",
    "build_error",
    "build_headers",
    "build_infinity_reply",
    "build_load_headers",
    "build_reply",
    "build_score_reply",
    "build_tei_reply",
    "build_vllm_reply",
    "build_voyage_reply",
    "gather",
    "may_use_cache",
    "read_budget",
    "read_scope",
    "shorten",
    "spans",
]
