"""Scores through a batcher: what is remembered, and that every request gets its own."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from support.parts import OverlapScorer
from support.worker.batching import MANY, Noting, batching, score

from connector.models.scorer import Scores


async def test_equal_passages_are_scored_once() -> None:
    scorer = OverlapScorer()
    async with batching(scorer) as running:
        scores = await score(running, "red", "blue", "red", "x" * 2_000, "red", "x" * 2_000)

    assert scores.values.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert scores.truncated == (3, 5)
    assert scores.tokens == 6
    assert scorer.scored == 3


async def test_a_pair_is_remembered_for_its_scope_its_query_and_its_weights() -> None:
    scorer = OverlapScorer()
    counts = []
    async with batching(scorer, cache_bytes=1_000_000) as running:
        for options in (
            {},
            {"scope": "ann"},
            {"scope": "bob"},
            {"scope": "ann"},
            {"weights": [(0, 3, 1.0)]},
            {"weights": [(0, 3, 2.0)]},
            {"weights": [(0, 3, 1.0)]},
            {"query": "blue"},
            {},
            {"use_cache": False},
            {},
        ):
            before = scorer.scored
            scores = await score(running, "red", "x" * 2_000, **options)
            counts.append(scorer.scored - before)
            assert scores.truncated == (1,)

    assert counts == [2, 2, 2, 0, 2, 2, 0, 2, 0, 2, 0]


async def test_what_is_remembered_keeps_to_its_bound() -> None:
    async with batching(OverlapScorer(), cache_bytes=3_000) as running:
        await score(running, *MANY)
        await score(running, MANY[-1])

    assert len(running.scoring.cache) == 10
    assert running.scorer.scored == 50


@given(
    st.lists(st.lists(st.text("ab c", min_size=1, max_size=8), min_size=1, max_size=9), min_size=1, max_size=6),
    st.integers(1, 30),
)
def test_however_batches_are_made_each_gets_its_own_scores(requests: list[list[str]], budget: int) -> None:
    async def run() -> list[Scores]:
        async with batching(Noting(max_batch_tokens=budget), cache_bytes=10_000) as running:
            return await asyncio.gather(
                *(score(running, *passages, query=f"a {at}") for at, passages in enumerate(requests))
            )

    expected = [OverlapScorer().score(f"a {at}", passages) for at, passages in enumerate(requests)]
    assert [scores.values.tolist() for scores in asyncio.run(run())] == [scores.values.tolist() for scores in expected]
