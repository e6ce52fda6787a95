"""Requests share the model: batches are made across them, and no request waits for the whole of another.

Every other batch is led by the request whose deadline comes first, the ones between by the request with the fewest tokens left, so
that a long request holds nobody up and is not held up for ever. A batch is filled with pieces of like length, of its leader and
then of the others, within the token budget. A request whose caller hung up, or whose time has passed, costs no further batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from connector.models.scorer import Cancelled, Piece, Plan, QueryWeights, Scorer, Scores
from connector.worker.metrics import Metrics
from connector.worker.score_cache import ScoreCache, Scored

log = logging.getLogger(__name__)
HANGUP_CHECK_S = 0.05
PATIENCE_S = 30.0  # what a request without a deadline is taken to wait for, when it comes to whose turn it is
LOOK_AHEAD = 64  # pieces of a request that are considered for one batch
MIN_FILL = 0.75  # of a batch's padded size that is tokens
RATE_SHARE = 0.2  # what the last batch counts in the estimate of tokens per second


class Overloaded(Exception):
    """More is waiting than can be scored in time; `retry_after_s` is about when that will have changed."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class BadScores(Exception):
    """The model gave a score that is not a finite number."""


@dataclass(eq=False)
class _Job:
    """A request under way. Its pieces are the batcher's to take; `done` is set from the model's thread."""

    plan: Plan
    deadline: float
    waiting: list[Piece]
    left: int  # pieces that have not run
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]
    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None

    @property
    def tokens(self) -> int:
        return sum(piece.length for piece in self.waiting)

    def finish(self, error: Exception | None = None) -> None:
        self.loop.call_soon_threadsafe(self._resolve, error)

    def _resolve(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error:
            self.done.set_exception(error)
        else:
            self.done.set_result(None)


class Batcher:
    """Scores requests with one model."""

    def __init__(
        self,
        scorer: Scorer,
        *,
        max_waiting: int,
        max_wait_s: float = PATIENCE_S,
        cache_bytes: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        """`max_wait_s`: a request that would have to wait longer is turned away."""
        self.scorer = scorer
        self.cache = ScoreCache(cache_bytes)
        self._metrics = metrics or Metrics()
        self._max_waiting, self._max_wait_s = max_waiting, max_wait_s
        self.waiting = 0  # requests under way
        self.rate = 0.0  # tokens per second lately
        self._jobs: list[_Job] = []
        self._changed = threading.Condition()
        self._closed = False
        self._turn = 0
        self._planning = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    async def score(
        self,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        deadline: float | None = None,
        hung_up: Callable[[], Awaitable[bool]],
    ) -> Scores:
        """The scores of a request that is `admitted`, without those that could not be had by its deadline. Equal passages
        are scored once.

        Raises Cancelled where the caller hung up, BadScores, or RuntimeError where the model fails."""
        recall = self.cache.of_query(query, weights, scope)
        known = {text: recall.get(text) for text in dict.fromkeys(passages)}
        missing = [text for text, found in known.items() if found is None]
        self._metrics.count_pairs(cached=len(known) - len(missing), scored=len(missing))
        if missing:
            scores = await self._compute(query, missing, weights, scope, deadline, hung_up)
            cut, unscored = set(scores.truncated), set(scores.unscored)
            for at, text in enumerate(missing):
                if at not in unscored:
                    one = Scored(float(scores.values[at]), scores.lengths[at], at in cut, scores.query_truncated)
                    known[text] = one
                    recall.put(text, one)
        found = [known[text] for text in passages]
        return Scores(
            np.array([np.nan if one is None else one.value for one in found], dtype=np.float32),
            tuple(at for at, one in enumerate(found) if one and one.truncated),
            any(one.query_truncated for one in found if one),
            tuple(one.tokens if one else 0 for one in found),
            tuple(at for at, one in enumerate(found) if one is None),
        )

    @contextmanager
    def admitted(self, budget_s: float | None = None) -> Iterator[float | None]:
        """A place in the line, and the deadline that the budget makes. Raises Overloaded where the line is full, or too long."""
        patience_s = self._max_wait_s if budget_s is None else min(budget_s, self._max_wait_s)
        with self._changed:
            ahead_s = sum(job.tokens for job in self._jobs) / self.rate if self.rate else 0.0
        if self.waiting >= self._max_waiting or ahead_s > patience_s:
            raise Overloaded(max(1, ceil(ahead_s)))
        self.waiting += 1
        try:
            yield None if budget_s is None else time.monotonic() + budget_s
        finally:
            self.waiting -= 1

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._planning.shutdown(wait=False, cancel_futures=True)

    def oldest_s(self) -> float:
        """For how long the oldest request that has not begun has waited."""
        with self._changed:
            return max((time.monotonic() - job.arrived for job in self._jobs if job.began is None), default=0.0)

    async def _compute(
        self,
        query: str,
        passages: Sequence[str],
        weights: QueryWeights | None,
        scope: str,
        deadline: float | None,
        hung_up: Callable[[], Awaitable[bool]],
    ) -> Scores:
        """The scores of distinct passages, by the model."""
        loop = asyncio.get_running_loop()
        with self._metrics.stage("tokenize"):
            plan = await loop.run_in_executor(self._planning, self._plan, query, passages, weights, scope)
        await self._run(plan, deadline, hung_up)
        scores = await loop.run_in_executor(self._planning, plan.scores)
        if not np.isfinite(np.delete(scores.values, scores.unscored)).all():
            raise BadScores("the model gave a score that is not a finite number")
        return scores

    def _plan(self, query: str, passages: Sequence[str], weights: QueryWeights | None, scope: str) -> Plan:
        return self.scorer.plan(query, passages, weights=weights, scope=scope)

    async def _run(self, plan: Plan, deadline: float | None, hung_up: Callable[[], Awaitable[bool]]) -> None:
        """Wait until all pieces have run or the deadline has passed."""
        pieces = list(plan.pieces)
        if not pieces:
            return
        loop = asyncio.get_running_loop()
        end = time.monotonic() + PATIENCE_S if deadline is None else deadline
        job = _Job(plan, end, pieces, len(pieces), loop, loop.create_future())
        with self._changed:
            self._jobs.append(job)
            self._changed.notify()
        try:
            while not job.done.done():
                left_s = HANGUP_CHECK_S if deadline is None else deadline - time.monotonic()
                if left_s <= 0:
                    return
                await asyncio.wait([job.done], timeout=min(left_s, HANGUP_CHECK_S))
                if not job.done.done() and await hung_up():
                    raise Cancelled
            job.done.result()
        finally:
            job.done.cancel()
            with self._changed:
                if job in self._jobs:
                    self._jobs.remove(job)

    def _work(self) -> None:
        """The model's thread: one batch after the other."""
        while True:
            with self._changed:
                while not (batch := self._next_batch()) and not self._closed:
                    self._changed.wait()
                if self._closed:
                    for job in self._jobs:
                        job.finish(RuntimeError("the worker is shutting down"))
                    return
            self._run_batch(batch)

    def _run_batch(self, batch: list[tuple[_Job, Piece]]) -> None:
        pieces = [piece for _, piece in batch]
        tokens = sum(piece.length for piece in pieces)
        began = time.monotonic()
        try:
            self.scorer.run(pieces)
        except Exception as error:
            owners = list(dict.fromkeys(job for job, _ in batch))
            if len(owners) == 1:
                owners[0].finish(error)
                self._leave(owners)
                return
            for owner in owners:  # so that one request does not fail another
                self._run_batch([(job, piece) for job, piece in batch if job is owner])
            return
        took_s = max(time.monotonic() - began, 1e-6)
        rate = tokens / took_s
        self.rate = rate if not self.rate else (1 - RATE_SHARE) * self.rate + RATE_SHARE * rate
        self._metrics.record_batch(took_s, [piece.length for piece in pieces])
        for job, _ in batch:
            job.left -= 1
        finished = [job for job in dict.fromkeys(job for job, _ in batch) if job.left == 0]
        self._leave(finished)
        for job in finished:
            job.finish()

    def _leave(self, jobs: Sequence[_Job]) -> None:
        with self._changed:
            self._jobs = [job for job in self._jobs if job not in jobs]

    def _next_batch(self) -> list[tuple[_Job, Piece]]:
        """The pieces to run next, taken from their requests; nothing where none waits. Called with the lock."""
        ready = sorted((job for job in self._jobs if job.waiting), key=lambda job: (job.deadline, job.arrived))
        if not ready:
            return []
        self._turn += 1
        leader = ready[0] if self._turn % 2 else min(ready, key=lambda job: (job.tokens, job.arrived))
        first = leader.waiting[0]
        others = [job for job in ready if job is not leader]
        alike = [(leader, piece) for piece in leader.waiting[1:LOOK_AHEAD]]
        alike.sort(key=lambda one: abs(one[1].length - first.length))
        for job in others:
            alike += sorted(
                ((job, piece) for piece in job.waiting[:LOOK_AHEAD]), key=lambda one: abs(one[1].length - first.length)
            )
        batch, longest, tokens = [(leader, first)], max(first.length, 1), max(first.length, 1)
        for job, piece in alike:
            padded = max(longest, piece.length) * (len(batch) + 1)
            if padded <= self.scorer.max_batch_tokens and tokens + piece.length >= MIN_FILL * padded:
                batch.append((job, piece))
                longest, tokens = max(longest, piece.length), tokens + piece.length
        taken = {id(piece) for _, piece in batch}
        now = time.monotonic()
        for job in dict.fromkeys(job for job, _ in batch):
            job.waiting = [piece for piece in job.waiting if id(piece) not in taken]
            if job.began is None:
                job.began = now
                self._metrics.observe("queue", now - job.arrived)
        return batch
