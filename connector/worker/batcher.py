"""Requests share the processor: batches are made across them, and no request waits for the whole of another.

Every other batch is led by the request whose deadline comes first, the ones between by the request with the fewest
tokens left, so that a long request holds nobody up and is not held up for ever. A batch is filled with pieces of like
length for the same model, of its leader and then of the others, within the token budget. A request whose caller
closed the connection, or whose time has passed, costs no further batch.

Two batches of a model that allows it run side by side: while one is tokenized, or its last piece keeps one core, the
other has the rest of them."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from opentelemetry.trace import NoOpTracer, Tracer

from connector.errors import ModelError
from connector.models.model import Model, Piece
from connector.worker.metrics import Metrics
from connector.worker.request_queue import QueuedRequest, RequestQueue

LOOK_AHEAD = 32  # pieces of a request that are considered for one batch
MIN_FILL = 0.75  # of a batch's padded size that is tokens
BATCHES_AT_ONCE = 2  # at most, of any model
log = logging.getLogger(__name__)


class Planned(Protocol):
    """What a request came to: the pieces that have yet to run, those that matter first."""

    @property
    def pieces(self) -> Sequence[Piece]: ...


P = TypeVar("P", bound=Planned)


class Closed(Exception):
    """The worker is ending."""

    def __init__(self) -> None:
        super().__init__("the worker is shutting down; try again")


@dataclass(eq=False)
class _Job:
    """The pieces of a request that have yet to run. They are the batcher's to take; `done` is set from the model's
    thread."""

    place: QueuedRequest
    pieces: list[Piece]
    left: int  # pieces that have not run
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

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
    """Runs the requests of any models, a batch at a time."""

    def __init__(self, queue: RequestQueue, *, metrics: Metrics | None = None, tracer: Tracer | None = None) -> None:
        self.queue = queue
        self._metrics = metrics or Metrics()
        self._tracer = tracer or NoOpTracer()
        self._jobs: list[_Job] = []
        self._changed = queue.changed  # guards the queue's places and these
        self._closed = False
        self._turn = 0
        self._running: list[Model] = []  # of each batch that runs
        self._planning = ThreadPoolExecutor(max_workers=1, thread_name_prefix="plan")
        for _ in range(BATCHES_AT_ONCE):
            threading.Thread(target=self._work, name="model", daemon=True).start()

    async def run(self, place: QueuedRequest, texts: Sequence[str], plan: Callable[[], P]) -> P | None:
        """What `plan` makes of the texts, in a thread, once its pieces have run, or as many of them as could by the
        deadline; None where there was no time for the plan itself.

        Raises Closed, ModelError where the model fails, and what `plan` raises. A caller that is cancelled costs no
        further batch."""
        planning = asyncio.get_running_loop().run_in_executor(self._planning, self._plan, plan)
        try:
            with self._tracer.start_as_current_span("tokenize"):
                await asyncio.wait([planning], timeout=place.left_s)
            if planning.cancelled():
                raise Closed
            if not planning.done():
                return None
            planned = planning.result()
            self.queue.note_scale(place.model, texts, planned.pieces)
        finally:
            planning.cancel()
            self.queue.release(place, texts)
        with self._tracer.start_as_current_span("batches") as span:
            span.set_attribute("connector.model", place.model.name)
            span.set_attribute("connector.inputs", len(planned.pieces))
            span.set_attribute("connector.tokens", sum(piece.length for piece in planned.pieces))
            await self._run(place, planned.pieces)
            if place.queue_s is not None:
                span.set_attribute("connector.queue_ms", round(place.queue_s * 1000, 1))
        return planned

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._planning.shutdown(wait=False, cancel_futures=True)

    def _plan(self, plan: Callable[[], P]) -> P:
        with self._metrics.stage("tokenize"):
            return plan()

    async def _run(self, place: QueuedRequest, pieces: Sequence[Piece]) -> None:
        """Wait until all pieces have run or the deadline has passed."""
        if not pieces:
            return
        loop = asyncio.get_running_loop()
        job = _Job(place, list(pieces), len(pieces), loop, loop.create_future())
        with self._changed:
            if self._closed:
                raise Closed
            place.tokens += sum(piece.length for piece in pieces)
            self._jobs.append(job)
            self._changed.notify_all()
        try:
            await asyncio.wait([job.done], timeout=place.left_s)
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
        """A thread of the models: one batch after the other."""
        since = time.monotonic()
        while True:
            with self._changed:
                while not (batch := self._next_batch()) and not self._closed:
                    self._changed.wait()
                    since = time.monotonic()
                if self._closed:
                    if not self._running:  # else it is left to the thread that runs the last batch
                        for job in self._jobs:
                            job.finish(Closed())
                    return
                model = batch[0][0].place.model
                self._running.append(model)
            self._run_batch(batch, since)
            since = time.monotonic()
            with self._changed:
                self._running.remove(model)
                self._changed.notify_all()

    def _run_batch(self, batch: list[tuple[_Job, Piece]], since: float) -> None:
        """`since` when there has been something to run: what passes before the model has it is part of how fast it
        is."""
        pieces = [piece for _, piece in batch]
        owners = list(dict.fromkeys(job for job, _ in batch))
        model, beside = owners[0].place.model, len(self._running)
        try:
            model.run(pieces)
        except Exception as error:  # what torch, onnxruntime and OpenVINO raise has no class in common
            if len(owners) > 1:  # so that one request does not fail another
                for owner in owners:
                    if owner in self._jobs:
                        self._run_batch([(job, piece) for job, piece in batch if job is owner], time.monotonic())
                return
            log.exception("the model %s failed at a batch of %d inputs", model.name, len(pieces))
            self._leave(owners)
            owners[0].finish(_failure(error))
            return
        took_s = time.monotonic() - since
        shared = (beside + len(self._running)) / 2  # among so many batches, from its start to its end
        with self._changed:
            self.queue.note_speed(model, took_s / shared, sum(piece.length for piece in pieces))
            for job in owners:
                job.place.model_s += took_s / shared
            for job, _ in batch:
                job.left -= 1
            finished = [job for job in owners if job.left == 0]
        self._metrics.record_batch(took_s, [piece.length for piece in pieces])
        self._leave(finished)
        for job in finished:
            job.finish()

    def _leave(self, jobs: Sequence[_Job]) -> None:
        with self._changed:
            self._jobs = [job for job in self._jobs if job not in jobs]

    def _next_batch(self) -> list[tuple[_Job, Piece]]:
        """The pieces to run next, taken from their requests; nothing where none waits, or none may run beside what
        runs. Called with the lock."""
        ready = sorted((job for job in self._jobs if job.pieces), key=lambda job: (job.place.due, job.place.arrived))
        if not ready:
            return []
        by_deadline = self._turn % 2 == 0
        leader = ready[0] if by_deadline else min(ready, key=lambda job: (job.place.tokens, job.place.arrived))
        model = leader.place.model
        if any(other is not model for other in self._running) or len(self._running) >= model.batches_at_once:
            return []  # its turn comes when those have run
        self._turn += 1
        batch = self._fill(leader, [job for job in ready if job is not leader and job.place.model is model])
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

        Where the first is short (a query before its passages) the like length is that of the second: one short row is
        little waste."""
        first, *more = leader.pieces[:LOOK_AHEAD]
        length = max(first.length, more[0].length) if more else first.length
        alike = _nearest_in_length([(leader, piece) for piece in more], length)
        for job in others:
            alike += _nearest_in_length([(job, piece) for piece in job.pieces[:LOOK_AHEAD]], length)
        batch, longest, tokens = [(leader, first)], max(first.length, 1), 0
        for job, piece in alike:
            rows, wide = len(batch), max(longest, piece.length)
            is_filled = tokens + piece.length >= MIN_FILL * wide * rows  # without the first
            if is_filled and wide * (rows + 1) <= leader.place.model.batch_tokens:
                batch.append((job, piece))
                longest, tokens = wide, tokens + piece.length
        return batch


def _nearest_in_length(pieces: list[tuple[_Job, Piece]], length: int) -> list[tuple[_Job, Piece]]:
    return sorted(pieces, key=lambda owned: abs(owned[1].length - length))


def _failure(error: Exception) -> ModelError:
    """What came out of a model's run, as the one error that its callers know; its own is its cause."""
    if isinstance(error, ModelError):
        return error
    words = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
    failed = ModelError(f"the model failed: {words}")
    failed.__cause__ = error
    return failed
