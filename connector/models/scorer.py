"""What rates (query, passage) pairs: the seam that every reranker fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

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
        scope: str = "",
    ) -> Scores:
        """Scores of the pairs. `check` is called before each batch and may raise Cancelled. `weights` may be ignored.

        What is remembered of the passages is found again in the same `scope` only."""
        ...


def detect_kind(model: str) -> ScorerKind:
    """A cross-encoder says so in its configuration (a sequence classification head); all else is an encoder."""
    architectures = read_config(find_model(model)).get("architectures") or []
    is_pair_model = any("SequenceClassification" in name for name in architectures)
    return "cross-encoder" if is_pair_model else "late-interaction"
