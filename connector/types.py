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
Highlights = Mapping[str, Sequence[str]]  # field -> fragments of its text, the words that were found marked
Value = str | int | float | bool | None | Sequence[Any] | Mapping[str, Any]


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
    """What became of one document of a write: `error` is None when it was written. What is `retryable` was put off, and
    may be taken later; `perhaps_never` where it was alone in a request and larger than those mostly are."""

    doc_id: str
    error: str | None = None
    retryable: bool = False
    perhaps_never: bool = False


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
class Total:
    """How many documents match: exactly `value` of them (`eq`), or at least as many (`gte`).

    `counted`: what the `lexical` query matches, or the `union` of that and of what only other legs found."""

    value: int
    relation: Literal["eq", "gte"] = "eq"
    counted: Literal["lexical", "union"] = "lexical"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. Fields left None take the value of the settings.

    `lexical` is the application's own query in the engine's words: it becomes the lexical leg as it is, and its filters
    hold for every leg. The `query` may be left out if its text can be found there.
    `offset` is how many hits to leave out before the first. `cursor` True begins pages that hold still, each of which
    has the cursor of the next.
    `filter` is text, JSON, or a list of either. `k` counts the hits of the answer, `depth` those of each leg, `window`
    those that the reranker sees: 1 <= k <= window <= what the legs find. `deadline_s` is in seconds, for the whole
    search. With `credentials`, everything that the search asks of the cluster is asked as this caller, nothing as the
    service. `facts` are whatever the caller knows about the request; rules of rerank stages may use them.

    The rest is for a results page, each as `connector.SearchOptions` says."""

    query: str | None = None
    filter: Any = None
    lexical: Mapping[str, Any] | None = None
    k: int | None = None
    offset: int | None = None
    cursor: str | bool | None = None
    depth: int | None = None
    window: int | None = None
    rerank: bool | None = None
    deadline_s: float | None = None
    credentials: Credentials | None = None
    facts: Mapping[str, Any] | None = None
    total: bool | int | None = None
    aggs: Mapping[str, Any] | None = None
    facets: Literal["lexical", "union"] | None = None
    highlight: bool | str | Sequence[str] | Mapping[str, Any] | None = None
    source: bool | str | Sequence[str] | Mapping[str, Any] | None = None
    collapse: str | None = None
    sort: str | Mapping[str, Any] | Sequence[Any] | None = None


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
class StageExplanation:
    """What a rerank stage said of the document: its rank, from 1, and score by the reranker alone.

    `truncated`: the passage was cut to what the reranker reads. `final` is how the score that placed it was made."""

    rank: int
    score: float
    truncated: bool
    final: ScoreExplanation


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is where it is: what each leg, the fusion and each rerank stage said of it. Legs and stages that did
    not see it are left out.

    `fused_rank` counts from 1. The hit's score is that of the last stage's `final`, else that of `fusion`."""

    legs: Mapping[str, LegExplanation] = field(default_factory=dict)
    fused_rank: int | None = None
    fused_score: float | None = None
    fusion: ScoreExplanation | None = None
    stages: Mapping[str, StageExplanation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One document of an answer.

    `rank` counts from 1; `score` compares only within this answer; `stage` names what placed it last: a rerank stage,
    `fused`, or the only leg that found anything; `fields` are the document's, as the source had them; `passage` is its
    best piece of text, None where there is none. `address` says where the document is: its index, its `_id` there, and
    its routing. `highlight` has fragments by field, where they were asked for: those of the lexical query where it
    found the document, else its passage with the query's words marked, under `passage`."""

    doc_id: str
    score: float
    rank: int
    stage: str
    fields: Mapping[str, Any]
    passage: Passage | None
    explain: Explanation
    address: Address | None = None
    highlight: Highlights = field(default_factory=dict)

    @property
    def index(self) -> str:
        """The index that holds the document."""
        return self.address.index if self.address else ""


@dataclass(frozen=True, slots=True)
class Degradation:
    """A part of a search that failed, ran late or came back short, and why.

    `stage` is the name of a leg or of a rerank stage, or `encode`, `term_weights`, `fields`, `facets`, `collapse`,
    `highlight` or `view`. `lasting`: it would fail again, however much time it had."""

    stage: str
    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class StageOutcome:
    """What a rerank stage did for an answer: whether it `ran`, how many documents of the window it was `asked` to score
    and how many it has `done`. `why`: the reason where it did not run, or scored fewer. `shrunk`: not all of the window
    was sent, since the reranker is busy."""

    ran: bool
    asked: int
    done: int = 0
    why: str = ""
    shrunk: bool = False


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """The answer to a query.

    `hits`, best first, at most k; `degraded`, the parts that failed, ran late or came back short, empty where the
    answer is whole; `took_ms`, milliseconds of each part, and of the `total`; `stages`, what each rerank stage did, by
    name; `rankings`, whole rankings by name: each leg's, the `fused` one, the order after each rerank stage, and the
    last of these again as `reranked`; `notes`, what was not done as asked though nothing failed; `cursor`, of the next
    page where pages were asked for, None after the last; `total`, how many documents match, None where nobody asked or
    the leg that counts failed; `aggregations`, as the engine words them."""

    query: str
    hits: tuple[SearchHit, ...]
    degraded: tuple[Degradation, ...]
    took_ms: Mapping[str, float]
    stages: Mapping[str, StageOutcome] = field(default_factory=dict)
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cursor: str | None = None
    total: Total | None = None
    aggregations: Mapping[str, Any] = field(default_factory=dict)
