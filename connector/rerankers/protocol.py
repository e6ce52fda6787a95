"""What every reranker can do: rate passages for a query within a time. Nobody inherits from anything here to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from connector.models.scorer import QueryWeights


@dataclass(frozen=True, slots=True)
class RerankerInfo:
    """What a reranker says of itself. A server that is not ours counts as a cross-encoder."""

    kind: str
    model: str
    fingerprint: str

    @property
    def weighs_words(self) -> bool:
        """Whether it makes use of the weights of a query's words."""
        return self.kind == "late-interaction"


@dataclass(frozen=True, slots=True)
class RerankScores:
    """Scores [n] in the order of the passages, not a number where one was not scored in time.

    With the positions of the passages that were cut to fit, and the kind of scorer."""

    values: NDArray[np.float32]
    truncated: frozenset[int]
    kind: str

    @property
    def unscored(self) -> int:
        """How many passages were not scored in time."""
        return int(np.isnan(self.values).sum())


class Turn(Protocol):
    """A search that is under way, and will ask for scores."""

    async def room(self, passages: Sequence[str], *, least: int, timeout_s: float) -> int:
        """How many of the passages, the first ones, it may ask for now, so that every search under way has scores in
        time: at least the `least` (or all of fewer), or 0 where not even those would come in time. Never raises."""
        ...

    def close(self) -> None:
        """It has its scores, or will ask for none; what was closed may be closed again."""
        ...


class Reranker(Protocol):
    """Rates (query, passage) pairs. Safe to share between tasks."""

    def expect(self, *, timeout_s: float) -> Turn:
        """For a search that will ask for scores within the time, from its start until it has them, when it is to be
        closed. While it is in its legs, others leave room for it."""
        ...

    async def info(self, *, timeout_s: float) -> RerankerInfo:
        """What it is. Raises a ConnectorError where that cannot be found out in time."""
        ...

    async def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        timeout_s: float,
    ) -> RerankScores:
        """Scores of the passages, perhaps of some only, within the time. `weights` are of the query's words; what is
        remembered of the passages serves this `scope` only. Raises a ConnectorError where there are none."""
        ...

    async def rerankers(self, *, timeout_s: float) -> tuple[str, ...]:
        """The names of what can be chosen from at the same place, the first one first; none where there is no list."""
        ...

    async def close(self) -> None:
        """End all connections."""
        ...
