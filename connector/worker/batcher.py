"""Requests share the model: batches are made across them, and no request waits for the whole of another.

Every other batch is led by the request whose deadline comes first, the ones between by the request with the fewest tokens left, so
that a long request holds nobody up and is not held up for ever. A batch is filled with pieces of like length, of its leader and
then of the others, within the token budget. A request whose caller hung up, or whose time has passed, costs no further batch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from connector.models.scorer import Piece, Plan, QueryWeights, Scorer, Scores
from connector.worker.metrics import Metrics
from connector.worker.score_cache import ScoreCache, Scored

MAX_WAIT_S = 30.0
PATIENCE_S = 30.0  # what a request without a deadline is taken to wait for, when it comes to whose turn it is
LOOK_AHEAD = 32  # pieces of a request that are considered for one batch
MIN_FILL = 0.75  # of a batch's padded size that is tokens
RATE_SHARE = 0.2  # what the last batch, if it is full, counts in the estimate of tokens per second
FIRST_FULL = 0.25  # of the token budget has to be in the batch that gives the first estimate
CHARS_PER_TOKEN = 4  # about, before a text is tokenized


class Overloaded(Exception):
    """More is waiting than can be scored in time; `retry_after_s` is about when that will have changed."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many requests are waiting; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class BadScores(Exception):
    """The model gave a score that is not a finite number."""


class Closed(Exception):
    """The worker is ending."""

    def __init__(self) -> None:
        super().__init__("the worker is shutting down; try again")


@dataclass(eq=False)
class Place:
    """A request's place in the line: when its answer is of no use any more, and about how many tokens it has yet to run."""

    deadline: float | None
    tokens: int
    arrived: float = field(default_factory=time.monotonic)
    began: float | None = None  # its first batch


@dataclass(eq=False)
class _Job:
    """The pieces of a request that have yet to run. They are the batcher's to take; `done` is set from the model's thread."""

    place: Place
    pieces: list[Piece]
    left: int  # pieces that have not run
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    @property
    def due(self) -> float:
        """When it comes to whose turn it is."""
        return self.place.arrived + PATIENCE_S if self.place.deadline is None else self.place.deadline

    def finish(self, error: Exception | None = None) -> None:
        with suppress(RuntimeError):  # its loop has ended
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
        max_wait_s: float = MAX_WAIT_S,
        cache_bytes: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        """At most `max_waiting` requests are under way, and none that would have to wait for `max_wait_s`."""
        self.scorer = scorer
        self.cache = ScoreCache(cache_bytes)
        self.rate = 0.0  # tokens per second lately
        self._metrics = metrics or Metrics()
        self._max_waiting, self._max_wait_s = max_waiting, max_wait_s
        self._places: list[Place] = []
        self._jobs: list[_Job] = []
        self._changed = threading.Condition()  # guards both
        self._closed = False
        self._turn = 0
        self._planning = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def under_way(self) -> int:
        """Requests that have been admitted and not been answered."""
        return len(self._places)

    def oldest_s(self) -> float:
        """For how long the oldest request has waited for its first batch."""
        with self._changed:
            return max((time.monotonic() - one.arrived for one in self._places if one.began is None), default=0.0)

    @contextmanager
    def admitted(self, passages: Sequence[str], budget_s: float | None = None) -> Iterator[Place]:
        """A place in the line for a request with these passages. Raises Overloaded where the line is full, or too long."""
        tokens = self._guess(passages)
        patience_s = self._max_wait_s if budget_s is None else min(budget_s, self._max_wait_s)
        place = Place(None if budget_s is None else time.monotonic() + budget_s, tokens)
        with self._changed:
            ahead_s = self._ahead(tokens) / self.rate if self.rate else 0.0
            if len(self._places) >= self._max_waiting or ahead_s > patience_s:
                raise Overloaded(max(1, ceil(ahead_s)))
            self._places.append(place)
        try:
            yield place
        finally:
            with self._changed:
                self._places.remove(place)

    async def score(
        self,
        place: Place,
        query: str,
        passages: Sequence[str],
        *,
        weights: QueryWeights | None = None,
        scope: str = "",
        recall: bool = True,
    ) -> Scores:
        """The scores, without those that could not be had by the deadline. Equal passages are scored once; `recall` False scores
        also those that are remembered.

        Raises BadScores, Closed, or RuntimeError where the model fails. A caller that is cancelled costs no further batch."""
        memory = self.cache.of_query(query, weights, scope)
        known = {text: memory.get(text) if recall else None for text in dict.fromkeys(passages)}
        missing = [text for text, found in known.items() if found is None]
        self._metrics.count_pairs("cache", len(known) - len(missing))
        self._expect(place, -self._guess(passages))
        if missing:
            scores = await self._compute(place, query, missing, weights, scope)
            cut, unscored = set(scores.truncated), set(scores.unscored)
            self._metrics.count_pairs("model", len(missing) - len(unscored))
            for at, text in enumerate(missing):
                if at not in unscored:
                    one = Scored(float(scores.values[at]), scores.lengths[at], at in cut, scores.query_truncated)
                    known[text] = one
                    memory.put(text, one)
        found = [known[text] for text in passages]
        return Scores(
            np.array([np.nan if one is None else one.value for one in found], dtype=np.float32),
            tuple(at for at, one in enumerate(found) if one and one.truncated),
            any(one.query_truncated for one in found if one),
            tuple(one.tokens if one else 0 for one in found),
            tuple(at for at, one in enumerate(found) if one is None),
        )

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._planning.shutdown(wait=False, cancel_futures=True)

    def _guess(self, passages: Sequence[str]) -> int:
        """About how many tokens the passages have, before they are tokenized."""
        return sum(min(len(text) // CHARS_PER_TOKEN + 1, self.scorer.max_length) for text in passages)

    def _expect(self, place: Place, tokens: int) -> None:
        with self._changed:
            place.tokens += tokens

    def _ahead(self, tokens: int) -> int:
        """About how many tokens run before a request of so many is done: all of the requests that are no longer, which go before
        it in every other batch, and in the batches between as much again of the others."""
        shorter = sum(one.tokens for one in self._places if one.tokens <= tokens)
        longer = sum(one.tokens for one in self._places if one.tokens > tokens)
        return shorter + min(longer, shorter + tokens)

    async def _compute(
        self, place: Place, query: str, passages: Sequence[str], weights: QueryWeights | None, scope: str
    ) -> Scores:
        """The scores of distinct passages, by the model."""
        loop = asyncio.get_running_loop()
        guess = self._guess(passages)
        self._expect(place, guess)
        planning = loop.run_in_executor(self._planning, self._plan, query, passages, weights, scope)
        try:
            await asyncio.wait([planning], timeout=_left_s(place))
            if not planning.done():
                none = np.full(len(passages), np.nan, dtype=np.float32)
                return Scores(none, lengths=(0,) * len(passages), unscored=tuple(range(len(passages))))
            plan = planning.result()
        finally:
            planning.cancel()
            self._expect(place, -guess)
        await self._run(place, plan)
        scores = await asyncio.to_thread(plan.scores)
        if not np.isfinite(np.delete(scores.values, scores.unscored)).all():
            raise BadScores("the model gave a score that is not a finite number")
        return scores

    def _plan(self, query: str, passages: Sequence[str], weights: QueryWeights | None, scope: str) -> Plan:
        with self._metrics.stage("tokenize"):
            return self.scorer.plan(query, passages, weights=weights, scope=scope)

    async def _run(self, place: Place, plan: Plan) -> None:
        """Wait until all pieces have run or the deadline has passed."""
        pieces = list(plan.pieces)
        if not pieces:
            return
        loop = asyncio.get_running_loop()
        job = _Job(place, pieces, len(pieces), loop, loop.create_future())
        with self._changed:
            if self._closed:
                raise Closed
            place.tokens += sum(piece.length for piece in pieces)
            self._jobs.append(job)
            self._changed.notify()
        try:
            await asyncio.wait([job.done], timeout=_left_s(place))
            if job.done.done():
                job.done.result()
        finally:
            job.done.cancel()
            with self._changed:
                place.tokens -= sum(piece.length for piece in job.pieces)
                job.pieces = []
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
                        job.finish(Closed())
                    return
            self._run_batch(batch)

    def _run_batch(self, batch: list[tuple[_Job, Piece]]) -> None:
        pieces = [piece for _, piece in batch]
        owners = list(dict.fromkeys(job for job, _ in batch))
        began = time.monotonic()
        try:
            self.scorer.run(pieces)
        except Exception as error:
            if len(owners) > 1:  # so that one request does not fail another
                for owner in owners:
                    if owner in self._jobs:
                        self._run_batch([(job, piece) for job, piece in batch if job is owner])
                return
            failed = error if isinstance(error, RuntimeError) else RuntimeError(f"{type(error).__name__}: {error}")
            self._leave(owners)
            owners[0].finish(failed)
            return
        self._note(time.monotonic() - began, [piece.length for piece in pieces])
        for job, _ in batch:
            job.left -= 1
        finished = [job for job in owners if job.left == 0]
        self._leave(finished)
        for job in finished:
            job.finish()

    def _note(self, took_s: float, lengths: Sequence[int]) -> None:
        """How fast the model is; a small batch, which is slower by the token, counts as little as it is."""
        tokens = sum(lengths)
        full = min(tokens / self.scorer.max_batch_tokens, 1.0)
        rate = tokens / max(took_s, 1e-6)
        if self.rate:
            self.rate += RATE_SHARE * full * (rate - self.rate)
        elif full >= FIRST_FULL:
            self.rate = rate
        self._metrics.record_batch(took_s, lengths)

    def _leave(self, jobs: Sequence[_Job]) -> None:
        with self._changed:
            self._jobs = [job for job in self._jobs if job not in jobs]

    def _next_batch(self) -> list[tuple[_Job, Piece]]:
        """The pieces to run next, taken from their requests; nothing where none waits. Called with the lock."""
        ready = sorted((job for job in self._jobs if job.pieces), key=lambda job: (job.due, job.place.arrived))
        if not ready:
            return []
        self._turn += 1
        by_deadline = self._turn % 2 == 1
        leader = ready[0] if by_deadline else min(ready, key=lambda job: (job.place.tokens, job.place.arrived))
        batch = self._fill(leader, [job for job in ready if job is not leader])
        taken = {id(piece) for _, piece in batch}
        now = time.monotonic()
        for job in dict.fromkeys(job for job, _ in batch):
            job.place.tokens -= sum(piece.length for piece in job.pieces if id(piece) in taken)
            job.pieces = [piece for piece in job.pieces if id(piece) not in taken]
            if job.place.began is None:
                job.place.began = now
                self._metrics.observe("queue", now - job.place.arrived)
        return batch

    def _fill(self, leader: _Job, others: Sequence[_Job]) -> list[tuple[_Job, Piece]]:
        """A batch with the leader's first piece, and pieces of like length of the leader and of the others.

        Where the first is short (a query before its passages) the like length is that of the second: one short row is little waste."""
        first, *more = leader.pieces[:LOOK_AHEAD]
        length = max(first.length, more[0].length) if more else first.length
        alike = _nearest_in_length([(leader, piece) for piece in more], length)
        for job in others:
            alike += _nearest_in_length([(job, piece) for piece in job.pieces[:LOOK_AHEAD]], length)
        batch, longest, tokens = [(leader, first)], max(first.length, 1), 0
        for job, piece in alike:
            rows, wide = len(batch), max(longest, piece.length)
            is_filled = tokens + piece.length >= MIN_FILL * wide * rows  # without the first
            if is_filled and wide * (rows + 1) <= self.scorer.max_batch_tokens:
                batch.append((job, piece))
                longest, tokens = wide, tokens + piece.length
        return batch


def _nearest_in_length(pieces: list[tuple[_Job, Piece]], length: int) -> list[tuple[_Job, Piece]]:
    return sorted(pieces, key=lambda one: abs(one[1].length - length))


def _left_s(place: Place) -> float | None:
    """Seconds until the deadline, none below 0; None without one."""
    return None if place.deadline is None else max(place.deadline - time.monotonic(), 0.0)
