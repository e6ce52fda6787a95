"""Batches of one call's inputs of like length, cut by a token budget, so that padding and memory stay small.

The worker, which puts the inputs of several requests together, cuts its own: worker/batcher.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def batches(lengths: Sequence[int], *, max_batch_tokens: int) -> Iterator[list[int]]:
    """Positions of inputs, longest first, in batches whose padded size (longest x count) stays within the budget.

    An input longer than the budget is a batch of its own. Every position comes exactly once."""
    batch: list[int] = []
    longest = 0
    for position in sorted(range(len(lengths)), key=lambda position: -lengths[position]):
        if batch and longest * (len(batch) + 1) > max_batch_tokens:
            yield batch
            batch = []
        if not batch:
            longest = max(lengths[position], 1)
        batch.append(position)
    if batch:
        yield batch
