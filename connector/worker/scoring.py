"""Requests for scores: what is remembered of them, and what the model has yet to score."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import numpy as np

from connector.errors import ModelError
from connector.models.scorer import QueryWeights, Scorer, Scores
from connector.worker.batcher import Batcher
from connector.worker.metrics import Metrics
from connector.worker.request_queue import QueuedRequest
from connector.worker.score_cache import ScoreCache, Scored


class BadScores(ModelError):
    """The model gave a score that is not a finite number."""


class Scoring:
    """Scores through a batcher, and remembers them."""

    def __init__(self, batcher: Batcher, *, cache_bytes: int = 0, metrics: Metrics | None = None) -> None:
        self.cache = ScoreCache(cache_bytes)
        self._batcher = batcher
        self._metrics = metrics or Metrics()

    async def score(
        self,
        place: QueuedRequest,
        scorer: Scorer,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        use_cache: bool = True,
    ) -> Scores:
        """The scores, without those that could not be had by the deadline. Equal passages are scored once; without
        `use_cache` those that are remembered are scored too.

        `place` was taken for the scorer with these passages. Raises BadScores and what Batcher.run raises."""
        cache = self.cache.of_query(query, weights, scope, model=scorer.fingerprint)
        known = {text: cache.get(text) if use_cache else None for text in dict.fromkeys(passages)}
        missing = [text for text, found in known.items() if found is None]
        self._metrics.count_pairs("cache", len(known) - len(missing))
        self._batcher.queue.release(place, (Counter(passages) - Counter(missing)).elements())
        if missing:
            scores = await self._compute(place, scorer, query, missing, weights, scope)
            cut, unscored = set(scores.truncated), set(scores.unscored)
            self._metrics.count_pairs("model", len(missing) - len(unscored))
            for at, text in enumerate(missing):
                if at not in unscored:
                    scored = Scored(float(scores.values[at]), scores.lengths[at], at in cut, scores.query_truncated)
                    known[text] = scored
                    cache.put(text, scored)
        found = [known[text] for text in passages]
        return Scores(
            np.array([np.nan if scored is None else scored.value for scored in found], dtype=np.float32),
            tuple(at for at, scored in enumerate(found) if scored and scored.truncated),
            any(scored.query_truncated for scored in found if scored),
            tuple(scored.tokens if scored else 0 for scored in found),
            tuple(at for at, scored in enumerate(found) if scored is None),
        )

    async def _compute(
        self,
        place: QueuedRequest,
        scorer: Scorer,
        query: str,
        passages: Sequence[str],
        weights: QueryWeights | None,
        scope: str,
    ) -> Scores:
        """The scores of distinct passages, by the model."""
        plan = await self._batcher.run(
            place, passages, lambda: scorer.plan(query, passages, weights=weights, scope=scope)
        )
        if plan is None:
            none = np.full(len(passages), np.nan, dtype=np.float32)
            return Scores(none, lengths=(0,) * len(passages), unscored=tuple(range(len(passages))))
        scores = await asyncio.to_thread(plan.scores)
        if not np.isfinite(np.delete(scores.values, scores.unscored)).all():
            raise BadScores("the model gave a score that is not a finite number")
        return scores
