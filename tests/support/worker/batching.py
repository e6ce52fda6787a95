"""A batcher in a test: a scorer that waits at a gate and notes its batches, and requests to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support.parts import Gate, OverlapScorer

from connector.models.cross_encoder import CrossEncoderPlan
from connector.models.model import Piece
from connector.models.scorer import Scores
from connector.settings.sections import WorkerSettings
from connector.worker.batcher import Batcher
from connector.worker.request_queue import RequestQueue
from connector.worker.scoring import Scoring

MANY = [f"red {at}" for at in range(50)]


class Noting(OverlapScorer):
    """Notes every batch by its passages; a passage is as long as it has words."""

    def __init__(self, before_batch: Any = lambda: None, *, max_batch_tokens: int = 1) -> None:
        super().__init__(before_batch)
        self.max_batch_tokens = max_batch_tokens
        self.batches: list[list[str]] = []

    def plan(self, query: str, passages: Sequence[str], **options: Any) -> CrossEncoderPlan:
        pieces = [Piece(len(text.split()), (query, text)) for text in passages]
        return CrossEncoderPlan(pieces, tuple(piece.length for piece in pieces), (), False)

    def run(self, pieces: Sequence[Piece]) -> None:
        self.batches.append([piece.content[1] for piece in pieces])
        if any("poison" in piece.content[1] for piece in pieces):
            raise RuntimeError("out of memory")
        super().run(pieces)


@dataclass
class RunningBatcher:
    """A batcher with one scorer, and what scores through it."""

    scorer: OverlapScorer
    batcher: Batcher
    scoring: Scoring

    @property
    def rate(self) -> float:
        return self.batcher.queue.rates.get(self.scorer, 0.0)

    @rate.setter
    def rate(self, value: float) -> None:
        self.batcher.queue.rates[self.scorer] = value


@asynccontextmanager
async def batching(
    scorer: OverlapScorer, *, cache_bytes: int = 0, max_waiting: int = 99, **bounds: Any
) -> AsyncIterator[RunningBatcher]:
    settings = WorkerSettings(max_waiting=max_waiting, **bounds)
    queue = RequestQueue(
        max_waiting=settings.max_waiting, max_waiting_chars=settings.max_waiting_chars, max_wait_s=settings.max_wait_s
    )
    batcher = Batcher(queue)
    yield RunningBatcher(scorer, batcher, Scoring(batcher, cache_bytes=cache_bytes))
    batcher.close()


async def entered(gate: Gate) -> None:
    assert await asyncio.to_thread(gate.entered.wait, 120)


async def score(
    running: RunningBatcher,
    *passages: str,
    query: str = "red",
    budget_s: float | None = None,
    scorer: OverlapScorer | None = None,
    **options: Any,
) -> Scores:
    scorer = scorer or running.scorer
    with running.batcher.queue.admitted(scorer, passages, budget_s) as place:
        return await running.scoring.score(place, scorer, query, passages, **options)


async def enter(running: RunningBatcher, *passages: str, **options: Any) -> asyncio.Task[Scores]:
    """A request that has got as far as waiting for the model."""
    before = len(running.batcher._jobs)
    task = asyncio.create_task(score(running, *passages, **options))
    end = time.monotonic() + 120
    while len(running.batcher._jobs) == before:
        assert time.monotonic() < end
        await asyncio.sleep(0.001)
    return task
