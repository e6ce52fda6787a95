"""What rates (query, passage) pairs: the seam that every reranker fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from connector.config import WorkerSettings
from connector.models.files import find_model, read_config

ScorerKind = Literal["cross-encoder", "late-interaction"]
# character spans of a query and what the words in them count: (start, end, weight)
QueryWeights = Sequence[tuple[int, int, float]]


class Cancelled(Exception):
    """The caller no longer wants the scores."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores [n] in the order of the passages, and the positions of the passages that were cut to fit."""

    values: NDArray[np.float32]
    truncated: tuple[int, ...] = ()
    query_truncated: bool = False
    tokens: int = 0


class Scorer(Protocol):
    """Rates passages for a query; higher is better. Not thread-safe: one call at a time."""

    kind: ScorerKind
    name: str
    fingerprint: str
    max_length: int

    def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Scores:
        """Scores of the pairs. `check` is called before each batch and may raise Cancelled. `weights` may be ignored."""
        ...


def detect_kind(model: str) -> ScorerKind:
    """A cross-encoder says so in its configuration (a sequence classification head); all else is an encoder."""
    architectures = read_config(find_model(model)).get("architectures") or []
    is_pair_model = any("SequenceClassification" in name for name in architectures)
    return "cross-encoder" if is_pair_model else "late-interaction"


def load_scorer(settings: WorkerSettings) -> Scorer:
    """The scorer that the settings name; raises ModelError."""
    from connector.models.cross_encoder import CrossEncoderScorer
    from connector.models.late_interaction import LateInteractionScorer

    kind = detect_kind(settings.model) if settings.kind == "auto" else settings.kind
    limits: dict[str, Any] = {
        "device": settings.device,
        "max_length": settings.max_length,
        "max_batch_tokens": settings.max_batch_tokens,
    }
    if kind == "cross-encoder":
        return CrossEncoderScorer(settings.model, **limits)
    return LateInteractionScorer(settings.model, **limits, cache_bytes=settings.cache_bytes)
