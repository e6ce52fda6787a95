"""The nouns that every stage shares: documents, passages, hits, rankings, requests and responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from connector.credentials import Credentials
from connector.layout import Address

Vector = NDArray[np.float32]  # [dims]
Vectors = NDArray[np.float32]  # [n, dims]
Value = str | int | float | bool | None | Sequence[Any] | Mapping[str, Any]
Stage = Literal["reranked", "fused", "lexical", "dense"]


@dataclass(frozen=True, slots=True)
class Document:
    """The unit the user gave. `fields` holds checked values by field name; `origin` says where it was read."""

    doc_id: str
    fields: Mapping[str, Any]
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document that is encoded and scored; `ordinal` counts from 0 within its document."""

    doc_id: str
    ordinal: int
    text: str

    @property
    def passage_id(self) -> str:
        return f"{self.doc_id}#{self.ordinal}"


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """What is written to a cluster in one atomic step: a document, its passages, and their vectors [n, dims]."""

    document: Document
    content_hash: str
    passages: tuple[Passage, ...]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """What became of one document of a write: `error` is None when it was written."""

    doc_id: str
    error: str | None = None
    retryable: bool = False


class Hit(NamedTuple):
    """One document in a ranking; `score` compares only within that ranking.

    A tuple, since a search makes hundreds of them."""

    doc_id: str
    score: float
    passages: tuple[Passage, ...] = ()


Ranking = tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class HitContent:
    """What a hit shows of its document: the fields, the passage nearest to the query's vector, and the one that matches
    the query's words."""

    fields: dict[str, Any]
    nearest: Passage | None = None
    matching: Passage | None = None


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """How often the terms of a text occur in an index: spans are character offsets, `frequency` counts documents."""

    documents: int
    terms: tuple[TermFrequency, ...]


@dataclass(frozen=True, slots=True)
class TermFrequency:
    """One term of a text: its span [start, end) in characters and the number of documents that hold it."""

    start: int
    end: int
    frequency: int


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. Fields left None take the value of the settings.

    `filter` is text, JSON, or a list of either. `k` counts the hits of the answer, `depth` those of each leg, `window`
    those that the reranker sees: 1 <= k <= window <= 2 * depth. `deadline_s` is in seconds, for the whole search. With
    `credentials`, everything that the search asks of the cluster is asked as this caller, nothing as the service."""

    query: str
    filter: Any = None
    k: int | None = None
    depth: int | None = None
    window: int | None = None
    rerank: bool | None = None
    deadline_s: float | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class LegExplanation:
    """Where a leg placed the document: its rank, from 1, and the leg's raw score (BM25, or the cosine)."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class ScorePart:
    """What one ranking adds to a combined score: `value` is weight / (rank_constant + rank), or weight * normalised.

    `rank` is None where the ranking lacks the document, `normalised` None where scores are combined by their ranks."""

    weight: float
    rank: int | None
    normalised: float | None
    value: float


@dataclass(frozen=True, slots=True)
class ScoreExplanation:
    """How a score was made: the sum of `parts`, which map the name of a ranking to what it adds.

    `kind` is the formula: `rrf`, or `linear`."""

    kind: Literal["rrf", "linear"]
    parts: Mapping[str, ScorePart]
    rank_constant: int | None = None
    normalisation: Literal["minmax", "zscore"] | None = None

    @property
    def score(self) -> float:
        """The score that the parts add up to."""
        return sum(part.value for part in self.parts.values())


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is where it is: what each stage said of it; None where a stage did not see it.

    Ranks count from 1. `truncated`: the passage was cut to what the reranker reads.
    The hit's score is that of `blend` where it was reranked, else that of `fusion`."""

    lexical: LegExplanation | None = None
    dense: LegExplanation | None = None
    fused_rank: int | None = None
    fused_score: float | None = None
    rerank_rank: int | None = None
    rerank_score: float | None = None
    truncated: bool = False
    fusion: ScoreExplanation | None = None
    blend: ScoreExplanation | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One document of an answer.

    `rank` counts from 1; `score` compares only within this answer; `stage` is the last stage that placed it; `fields`
    are the document's, as the source had them; `passage` is its best piece of text, None where there is none. `address`
    says where the document is: its index, its `_id` there, and its routing."""

    doc_id: str
    score: float
    rank: int
    stage: Stage
    fields: Mapping[str, Any]
    passage: Passage | None
    explain: Explanation
    address: Address | None = None

    @property
    def index(self) -> str:
        """The index that holds the document."""
        return self.address.index if self.address else ""


@dataclass(frozen=True, slots=True)
class Degradation:
    """A stage that failed, ran late or came back short, and why.

    `stage` is one of `lexical`, `encode`, `dense`, `term_weights`, `rerank`, `fields`. `lasting`: it would do so again,
    however much time it had."""

    stage: str
    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """The answer to a query.

    `hits`, best first, at most k; `degraded`, the stages that failed, ran late or came back short, empty where the
    answer is whole; `took_ms`, milliseconds by stage, and of the `total`; `rankings`, the whole ranking of each stage
    by name (`lexical`, `dense`, `fused`, `reranked`); `notes`, what was not done as asked though nothing failed."""

    query: str
    hits: tuple[SearchHit, ...]
    degraded: tuple[Degradation, ...]
    took_ms: Mapping[str, float]
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
