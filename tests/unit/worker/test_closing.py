"""A batcher that ends while a request is tokenized, and another waits for that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from support.parts import OverlapScorer, wait_until
from support.worker.batching import batching, score

from connector.models.cross_encoder import CrossEncoderPlan
from connector.worker.batcher import Closed


async def test_a_batcher_that_ends_answers_who_is_not_tokenized_yet() -> None:
    has_begun, gate = threading.Event(), threading.Event()

    class Slow(OverlapScorer):
        def plan(self, query: str, passages: Sequence[str], **options: Any) -> CrossEncoderPlan:
            has_begun.set()
            assert gate.wait(120)
            return super().plan(query, passages, **options)

    async with batching(Slow()) as running:
        tokenized = asyncio.create_task(score(running, "red"))
        assert await asyncio.to_thread(has_begun.wait, 120)
        behind = asyncio.create_task(score(running, "blue"))
        await asyncio.to_thread(wait_until, lambda: not running.batcher._planning._work_queue.empty())
        running.batcher.close()
        gate.set()
        found = await asyncio.gather(tokenized, behind, return_exceptions=True)

    assert [type(outcome) for outcome in found] == [Closed, Closed]
    assert running.batcher.queue.under_way == 0
