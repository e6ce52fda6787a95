"""What goes over the wire: the requests and replies of text-embeddings-inference (TEI) and Cohere, and their errors.

Requests may carry keys that are not known here; replies hold exactly the keys that strict clients expect. What is ours
to add goes into headers."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from connector.models.scorer import Scores

# request header: whose caches may serve the request, 1 to 64 letters and digits; without it, those of the service itself
SCOPE = "x-cache-scope"
# reply headers
KIND = "x-reranker-kind"
FINGERPRINT = "x-reranker-fingerprint"
TRUNCATED = "x-truncated"  # positions of the passages that were cut to fit, by comma; "query" for the query
TOOK_MS = "x-took-ms"

MAX_LISTED_TRUNCATIONS = 500


def _whole_characters(text: str) -> str:
    text.encode()  # JSON can say half a surrogate pair, which no tokenizer takes
    return text


Text = Annotated[str, AfterValidator(_whole_characters)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Span = Annotated[list[Number], Field(min_length=3, max_length=3, description="start and end in characters, weight")]


class DocumentObject(BaseModel):
    """A document given as an object; only its text counts."""

    model_config = ConfigDict(extra="ignore")
    text: Text


class TeiRequest(BaseModel):
    """POST /rerank as TEI takes it; `query_weights` is ours: what the words of the query count in late interaction."""

    model_config = ConfigDict(extra="ignore")
    query: Text
    texts: list[Text]
    return_text: bool = False
    top_n: int | None = Field(None, ge=1)
    query_weights: list[Span] | None = None


class CohereRequest(BaseModel):
    """POST /v1/rerank and /v2/rerank as Cohere takes it."""

    model_config = ConfigDict(extra="ignore")
    query: Text
    documents: list[Text | DocumentObject]
    model: str | None = None
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False

    def texts(self) -> list[str]:
        return [document if isinstance(document, str) else document.text for document in self.documents]


def best_first(scores: Scores, top_n: int | None) -> list[tuple[int, float]]:
    """(index, score) of the passages, best first, the earlier of equals first."""
    values = [float(value) for value in scores.values]
    return sorted(enumerate(values), key=lambda pair: (-pair[1], pair[0]))[:top_n]


def build_tei_reply(request: TeiRequest, scores: Scores) -> list[dict[str, Any]]:
    return [
        {"index": index, "score": score} | ({"text": request.texts[index]} if request.return_text else {})
        for index, score in best_first(scores, request.top_n)
    ]


def build_cohere_reply(request: CohereRequest, scores: Scores) -> dict[str, Any]:
    texts = request.texts()
    results = [
        {"index": index, "relevance_score": score}
        | ({"document": {"text": texts[index]}} if request.return_documents else {})
        for index, score in best_first(scores, request.top_n)
    ]
    units = {"search_units": max(1, -(-len(texts) // 100))}
    return {
        "id": str(uuid.uuid4()),
        "results": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": units},
    }


def build_headers(scores: Scores, *, kind: str, fingerprint: str, took_ms: float) -> dict[str, str]:
    headers = {KIND: kind, FINGERPRINT: fingerprint, TOOK_MS: f"{took_ms:.1f}"}
    cut = [*(["query"] if scores.query_truncated else []), *map(str, scores.truncated)]
    if cut:
        headers[TRUNCATED] = ",".join(cut[:MAX_LISTED_TRUNCATIONS]) + (
            ",..." if len(cut) > MAX_LISTED_TRUNCATIONS else ""
        )
    return headers


def read_truncated(header: str | None) -> frozenset[int]:
    """The positions in a TRUNCATED header."""
    return frozenset(int(part) for part in (header or "").split(",") if part.isdecimal() and len(part) < 10)


def build_error(path: str, status: int, kind: str, message: str) -> dict[str, Any]:
    """An error in the dialect of the path: Cohere's `message`, else TEI's `error` and `error_type`."""
    if path.startswith(("/v1/", "/v2/")):
        return {"message": message}
    return {"error": message, "error_type": kind}


def read_scope(header: str | None) -> str:
    """The scope in a SCOPE header. Raises ValueError."""
    if header is not None and not re.fullmatch("[0-9A-Za-z]{1,64}", header):
        raise ValueError(f"{SCOPE} takes 1 to 64 letters and digits")
    return header or ""


def spans(weights: Sequence[Sequence[float]] | None) -> list[tuple[int, int, float]] | None:
    """`query_weights` as the scorers take them."""
    return None if weights is None else [(int(start), int(end), float(weight)) for start, end, weight in weights]
