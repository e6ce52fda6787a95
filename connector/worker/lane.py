"""The one lane to the model: requests wait in a bounded line, and one at a time is scored in a thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from connector.models.scorer import Cancelled, QueryWeights, Scorer, Scores

HANGUP_CHECK_S = 0.05


class Overloaded(Exception):
    """The line is full; `retry_after_s` is about when it will not be."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class BadScores(Exception):
    """The model gave a score that is not a finite number."""


class Lane:
    """Scores requests one after the other, in the order they came. A caller that hung up costs no further batch."""

    def __init__(self, scorer: Scorer, *, max_waiting: int) -> None:
        self.scorer = scorer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scorer")
        self._max_waiting = max_waiting
        self._waiting = 0
        self._recent_s = 0.1  # how long a request took lately

    async def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        hung_up: Callable[[], Awaitable[bool]],
    ) -> Scores:
        """The scores; raises Overloaded, Cancelled where the caller hung up, or BadScores."""
        if self._waiting >= self._max_waiting:
            raise Overloaded(max(1, round(self._waiting * self._recent_s)))
        self._waiting += 1
        cancelled = threading.Event()
        try:
            work = asyncio.get_running_loop().run_in_executor(
                self._thread, self._run, query, passages, weights, scope, cancelled
            )
            while not work.done():
                await asyncio.wait([work], timeout=HANGUP_CHECK_S)
                if not work.done() and await hung_up():
                    cancelled.set()
            scores = await work
        finally:
            cancelled.set()
            self._waiting -= 1
        if not np.isfinite(scores.values).all():
            raise BadScores("the model gave a score that is not a finite number")
        return scores

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _run(
        self,
        query: str,
        passages: Sequence[str],
        weights: QueryWeights | None,
        scope: str,
        cancelled: threading.Event,
    ) -> Scores:
        def check() -> None:
            if cancelled.is_set():
                raise Cancelled

        check()
        started = time.perf_counter()
        scores = self.scorer.score(query, passages, weights=weights, check=check, scope=scope)
        self._recent_s = 0.8 * self._recent_s + 0.2 * (time.perf_counter() - started)
        return scores
